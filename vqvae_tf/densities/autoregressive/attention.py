"""Self-attention over grids in raster order, and its cached form."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.loops import linear, put
from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.checks import check_choice, check_positive


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
        scores = tf.einsum("bthd,bshd->bhts", self.scaled(queries), keys)
        seen = True
        if self.mask is not None:
            order = tf.range(tf.shape(queries)[1])
            seen = order[:, tf.newaxis] >= order
        shares = shares_of(scores, seen)
        mixed = tf.einsum("bhts,bshd->bthd", shares, values)
        return self.joined(mixed)

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
        return _reshaped(x, [self.num_heads, x.shape[-1] // self.num_heads])

    def joined(self, x: tf.Tensor) -> tf.Tensor:
        """Joins the last two axes."""
        return _reshaped(x, [x.shape[-2] * x.shape[-1]], drop=2)

    def scaled(self, queries: tf.Tensor) -> tf.Tensor:
        """Returns queries over the square root of their channels."""
        return queries * tf.cast(self.key_channels**-0.5, queries.dtype)

    # A position at a time -----------------------------------------------------

    def steps(self, num_samples: int | tf.Tensor) -> "AttentionSteps":
        """Returns what attends from one position after another."""
        return AttentionSteps(self, num_samples)


class AttentionSteps:
    """A `SelfAttention` whose keys and values are kept.

    Args:
        attention: a built layer.
        num_samples: an integer or int32 scalar tensor.
    """

    def __init__(
        self, attention: SelfAttention, num_samples: int | tf.Tensor
    ) -> None:
        self.layer, self.num_samples = attention, num_samples
        self.to_queries = linear(attention.to_queries, attention.compute_dtype)
        self.to_pairs = linear(attention.to_pairs, attention.compute_dtype)

    def empty(self, positions: int | tf.Tensor) -> tf.Tensor:
        """Returns the pairs of no position, and of the start.

        `[positions, batch, heads, key_channels + value_channels]`, with one
        more position where the layer is strict.
        """
        layer = self.layer
        channels = layer.key_channels + layer.value_channels
        shape = [self.num_samples, layer.num_heads, channels]
        if not layer.strict:
            return tf.zeros([positions, *shape], layer.compute_dtype)
        pairs = tf.zeros([positions + 1, *shape], layer.compute_dtype)
        return put(pairs, 0, layer.first_pair(self.num_samples))

    def add(
        self,
        pairs: tf.Tensor,
        t: tf.Tensor,
        keys: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Adds a position's pair.

        Args:
            pairs: those of earlier positions.
            t: the position, int32 scalar.
            keys: `[batch, key_inputs]`.
            rotate: as for the layer's call, at this position; or None.
        """
        pair = self.layer.heads(self.to_pairs(keys))
        if rotate is not None:
            key, value = self.layer.split(pair)
            pair = tf.concat([rotate(key), value], axis=-1)
        return put(pairs, t + 1 if self.layer.strict else t, pair)

    def attend(
        self,
        pairs: tf.Tensor,
        t: tf.Tensor,
        queries: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns what position t sees, `[batch, heads * value_channels]`.

        Args:
            pairs: of the positions that it sees, as from `add`.
            t: the position, int32 scalar.
            queries: `[batch, query_inputs]`.
            rotate: as for the layer's call, at this position; or None.
        """
        layer = self.layer
        queries = layer.heads(self.to_queries(queries))
        if rotate is not None:
            queries = rotate(queries)
        keys, values = layer.split(pairs)
        scores = tf.einsum("bhd,sbhd->bhs", layer.scaled(queries), keys)
        seen = tf.range(tf.shape(pairs)[0]) <= t
        mixed = tf.einsum("bhs,sbhd->bhd", shares_of(scores, seen), values)
        return layer.joined(mixed)


def shares_of(scores: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    """Returns the softmax over what is seen, computed in float32.

    Args:
        scores: `[..., positions]`.
        seen: bool, of a shape that broadcasts to that of scores.
    """
    exact = tf.where(seen, tf.cast(scores, tf.float32), -1e38)
    return tf.cast(tf.nn.softmax(exact), scores.dtype)


def _reshaped(x, last, drop=1):
    """Reshapes the last `drop` axes."""
    shape = tf.concat([tf.shape(x)[:-drop], last], axis=0)
    result = tf.reshape(x, shape)
    result.set_shape([*x.shape[:-drop], *last])
    return result
