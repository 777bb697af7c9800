"""Weights that are averaged over the steps of a training (Polyak averaging).

Only what an optimizer trains is averaged. Codebooks that follow by moving
averages and the statistics of batch normalization are those of the last step.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


def use_averages(model: keras.Model) -> None:
    """Puts the averages in place of the weights, if there are any.

    Args:
        model: compiled, with an optimizer that was made with `use_ema`, or
            without, which changes nothing.
    """
    for weight, average in _pairs(model):
        weight.assign(tf.convert_to_tensor(average))


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """A context in which the model's weights are their averages.

    Args:
        model: as for `use_averages`.
    """
    kept = [
        (weight, tf.identity(tf.convert_to_tensor(weight)))
        for weight, _ in _pairs(model)
    ]
    try:
        use_averages(model)
        yield
    finally:
        for weight, value in kept:
            weight.assign(value)


def _pairs(model):
    """Returns pairs of a weight and its average; none before the first step."""
    optimizer = model.optimizer
    # In mixed_float16 Keras wraps it.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    steps = int(tf.convert_to_tensor(optimizer.iterations))
    if not optimizer.use_ema or steps == 0:
        return []
    # Keras has no public name for them; its own callback reads this one.
    averages = optimizer._model_variables_moving_average
    return list(zip(optimizer._trainable_variables, averages))
