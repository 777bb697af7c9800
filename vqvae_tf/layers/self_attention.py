"""Self-attention over positions."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.checks import check_choice, check_positive

# Queries that are scored at a time, where each sees only earlier keys.
_CHUNK = 256


@keras.saving.register_keras_serializable("vqvae_tf")
class SelfAttention(Configured):
    """Attention of the positions of a grid to each other.

    With `mask="causal"` a position sees itself and those before it. With
    `"strict"` it sees those before it, and a learned start, so that the first
    has something to see; keys and values may then be made of data that the
    position itself must not see. With None it sees all.

    Args:
        num_heads: int.
        key_channels: int, channels of a head's keys and queries.
        value_channels: int, channels of a head's values.
        query_inputs: int, channels of what queries are made of.
        key_inputs: int, channels of what keys and values are made of.
        mask: `"causal"` (default), `"strict"` or None.

    Scores take `4 * num_heads * positions^2` bytes for each example, and in
    training several times as much, for the gradient; with a mask, half of it
    where grids are of known sizes and over 256 positions, since later keys are
    left out.

    Call arguments:
        queries: float `[batch, positions, query_inputs]`.
        keys: float `[batch, positions, key_inputs]`.
        rotate: a function of queries or keys `[..., positions, heads,
            key_channels]` that encodes their positions; or None.

    Returns:
        `[batch, positions, num_heads * value_channels]`.

    Example:

    >>> attention = SelfAttention(2, 8, 4, query_inputs=6, key_inputs=6)
    >>> x = tf.random.normal([1, 5, 6])
    >>> attention(x, x).shape
    TensorShape([1, 5, 8])

    References:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
        Chen et al. 2017, arXiv:1712.09763, section 3.
    """

    def __init__(
        self,
        num_heads: int,
        key_channels: int,
        value_channels: int,
        query_inputs: int,
        key_inputs: int,
        mask: str | None = "causal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = check_positive("num_heads", num_heads)
        self.key_channels = check_positive("key_channels", key_channels)
        self.value_channels = check_positive("value_channels", value_channels)
        self.query_inputs = query_inputs
        self.key_inputs = key_inputs
        self.mask = check_choice("mask", mask, ("causal", "strict", None))
        self.start = None
        self.to_queries = keras.layers.Dense(
            num_heads * key_channels, dtype=self.dtype_policy, name="queries"
        )
        self.to_pairs = keras.layers.Dense(
            num_heads * (key_channels + value_channels),
            dtype=self.dtype_policy,
            name="pairs",
        )

    def build(self, *input_shapes: Any) -> None:
        self.to_queries.build((None, self.query_inputs))
        self.to_pairs.build((None, self.key_inputs))
        if self.strict:
            self.start = self.add_weight(
                name="start",
                shape=(self.num_heads, self.key_channels + self.value_channels),
                initializer="glorot_uniform",
            )
        self.built = True

    def call(
        self,
        queries: tf.Tensor,
        keys: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        queries = self.heads(self.to_queries(queries))
        keys, values = self.split(self.heads(self.to_pairs(keys)))
        if rotate is not None:
            queries, keys = rotate(queries), rotate(keys)
        if self.strict:
            first = self.first_pair(tf.shape(queries)[0])[:, tf.newaxis]
            first_key, first_value = self.split(first)
            keys = tf.concat([first_key, keys[:, :-1]], axis=1)
            values = tf.concat([first_value, values[:, :-1]], axis=1)
        # Heads before positions, for products of matrices.
        queries, keys, values = (
            tf.transpose(x, [0, 2, 1, 3]) for x in (queries, keys, values)
        )
        mixed = self._mixed(self.scaled(queries), keys, values)
        return self.joined(tf.transpose(mixed, [0, 2, 1, 3]))

    def _mixed(self, queries, keys, values):
        """Returns the values that `[batch, heads, positions]` see."""
        positions = queries.shape[2]
        if self.mask is None or positions is None or positions <= _CHUNK:
            order = tf.range(tf.shape(queries)[2])
            seen = True if self.mask is None else order[:, None] >= order
            return _attended(queries, keys, values, seen)
        # The later half of the scores is never needed.
        parts = []
        for first in range(0, positions, _CHUNK):
            last = min(first + _CHUNK, positions)
            seen = tf.range(first, last)[:, None] >= tf.range(last)
            parts.append(
                _attended(
                    queries[:, :, first:last],
                    keys[:, :, :last],
                    values[:, :, :last],
                    seen,
                )
            )
        return tf.concat(parts, axis=2)

    @property
    def strict(self) -> bool:
        """Whether a position does not see itself."""
        return self.mask == "strict"

    def first_pair(self, batch: int | tf.Tensor) -> tf.Tensor:
        """Returns the start's key and value, `[batch, heads, channels]`."""
        start = tf.cast(tf.convert_to_tensor(self.start), self.compute_dtype)
        return tf.broadcast_to(start, [batch, *start.shape])

    def split(self, pairs: tf.Tensor) -> list[tf.Tensor]:
        """Returns the keys and values of `[..., heads, channels]`."""
        return tf.split(pairs, [self.key_channels, self.value_channels], -1)

    def heads(self, x: tf.Tensor) -> tf.Tensor:
        """Splits the last axis into those of heads and their channels."""
        shape = [self.num_heads, x.shape[-1] // self.num_heads]
        result = tf.reshape(x, [*tf.unstack(tf.shape(x)[:-1]), *shape])
        return tf.ensure_shape(result, [*x.shape[:-1], *shape])

    def joined(self, x: tf.Tensor) -> tf.Tensor:
        """Joins the last two axes."""
        size = self.num_heads * self.value_channels
        result = tf.reshape(x, [*tf.unstack(tf.shape(x)[:-2]), size])
        return tf.ensure_shape(result, [*x.shape[:-2], size])

    def scaled(self, queries: tf.Tensor) -> tf.Tensor:
        """Returns queries over the square root of their channels."""
        return queries * tf.cast(self.key_channels**-0.5, queries.dtype)


def _attended(queries, keys, values, seen):
    """Returns the means of values, `[..., queries, channels]`."""
    scores = tf.matmul(queries, keys, transpose_b=True)
    scores = hidden(scores, seen)
    return tf.matmul(shares(scores, values.dtype), values)


def hidden(scores: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    """Returns scores in float32, without those that are not seen."""
    return tf.where(seen, tf.cast(scores, tf.float32), -1e38)


def shares(scores: tf.Tensor, dtype: str | tf.DType) -> tf.Tensor:
    """Returns the softmax of float32 scores, of another dtype."""
    return tf.cast(tf.nn.softmax(scores), dtype)


def flat_grid(x: tf.Tensor) -> tf.Tensor:
    """Returns `[batch, height, width, ...]` as `[batch, positions, ...]`.

    The number of positions is static where both sizes are.
    """
    height, width = x.shape[1:3]
    positions = -1 if None in (height, width) else height * width
    return tf.reshape(x, [tf.shape(x)[0], positions, *x.shape[3:]])
