"""The codebook variable, and checks of values assigned to it by users."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Codebook(keras.Variable):
    """A variable that notifies its layer of assignments.

    Otherwise the moving averages would undo an assignment at the next step.
    The layer itself uses `move`; loading restores the averages after the
    codebook.

    Args:
        *args, **kwargs: as for `keras.Variable`.
        on_assign: called with the values before and after an assignment.

    Example:

    >>> codebook = Codebook(
    ...     "zeros", (2,), on_assign=lambda before, after: print(after.numpy())
    ... )
    >>> _ = codebook.assign([1.0, 2.0])
    [1. 2.]
    """

    def __init__(
        self,
        *args: Any,
        on_assign: Callable[[tf.Tensor, tf.Tensor], Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._on_assign = on_assign

    def assign(self, value: tf.Tensor | np.ndarray) -> tf.Tensor:
        before = tf.identity(self)
        value = super().assign(value)
        self._on_assign(before, value)
        return value

    def move(self, value: tf.Tensor) -> tf.Tensor:
        """Assigns without calling `on_assign`; for training steps."""
        return super().assign(value)


def given_codebook(
    embeddings: tf.Tensor | np.ndarray, shape: tuple[int, ...]
) -> tf.Tensor:
    """Returns a user's embeddings, float32 `[G, K, D]`.

    Args:
        embeddings: numbers `[G, K, D]`, or `[K, D]` for G = 1.
        shape: G, K, D.

    Raises:
        ValueError: for the wrong shape, or values that are not finite.
    """
    return _given("embeddings", embeddings, shape, "[K, D]", "[G, K, D]")


def given_counts(
    counts: tf.Tensor | np.ndarray, shape: tuple[int, ...]
) -> tf.Tensor:
    """Returns a user's counts, float32 `[G, K]`.

    Args:
        counts: numbers `[G, K]`, or `[K]` for G = 1.
        shape: G, K.

    Raises:
        ValueError: for the wrong shape, or values that are negative or not
            finite.
    """
    counts = _given("counts", counts, shape, "[K]", "[G, K]")
    if tf.executing_eagerly() and float(tf.reduce_min(counts)) < 0:
        raise ValueError(
            "counts must be at least 0. Received: counts down to "
            f"{float(tf.reduce_min(counts)):.6g}."
        )
    return counts


def _given(name, values, shape, short, long):
    values = _numbers(name, values)
    fitting = [shape, shape[1:]] if shape[0] == 1 else [shape]
    if tuple(values.shape) not in fitting:
        letters = short if shape[0] == 1 else long
        raise ValueError(
            f"{name} must have shape {letters} = {fitting[-1]}. Received: "
            f"{name} of shape {tuple(values.shape)}."
        )
    values = tf.cast(tf.reshape(values, shape), tf.float32)
    if tf.executing_eagerly():
        wrong = np.count_nonzero(~np.isfinite(values.numpy()))
        if wrong:
            raise ValueError(
                f"{name} must be finite numbers, as float32. Received: "
                f"{wrong} NaN or infinite values."
            )
    return values


def _numbers(name, values):
    try:
        if not tf.is_tensor(values):
            values = np.asarray(values)
        values = tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be an array of numbers. Received: {values!r}."
        ) from error
    if not (values.dtype.is_floating or values.dtype.is_integer):
        raise ValueError(
            f"{name} must be numbers. Received: {name} of dtype "
            f"{values.dtype.name}."
        )
    return values
