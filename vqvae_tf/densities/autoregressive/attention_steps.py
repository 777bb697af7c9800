"""Self-attention from one position after another, with a cache."""

from collections.abc import Callable

import tensorflow as tf

from vqvae_tf.densities.autoregressive.loops import linear
from vqvae_tf.layers.self_attention import SelfAttention, hidden, shares
from vqvae_tf.runtime.compilation import is_compiled

# Positions that are drawn between two changes of the keys and values of all
# earlier ones.
BLOCK = 32


class AttentionSteps:
    """A `SelfAttention` whose keys and values are cached.

    Tensors are copied whole where one entry is replaced, so those of earlier
    blocks of positions are kept apart from those of the current block, and
    change only when it ends.

    Args:
        attention: a built layer with a mask.
        num_samples: an integer or int32 scalar tensor.
    """

    def __init__(
        self, attention: SelfAttention, num_samples: int | tf.Tensor
    ) -> None:
        self.layer, self.num_samples = attention, num_samples
        self.to_queries = linear(attention.to_queries, attention.compute_dtype)
        self.to_pairs = linear(attention.to_pairs, attention.compute_dtype)
        # The start comes before all blocks.
        self.before = 1 if attention.strict else 0

    def no_blocks(self, positions: int | tf.Tensor) -> list[tf.Tensor]:
        """Returns the keys and values of no earlier block.

        Two tensors `[batch * heads, places, channels]`, with the start first
        where the layer is strict. `join` adds places; where XLA needs fixed
        sizes there is room for all positions from the beginning.
        """
        room = 0
        if is_compiled():
            room = (positions + BLOCK - 1) // BLOCK * BLOCK
        pairs = self._zeros(room)
        if not self.layer.strict:
            return pairs
        start = self.layer.split(self.layer.first_pair(self.num_samples))
        return [
            tf.concat([_reshaped(first, [-1, 1], [first.shape[-1]]), rest], 1)
            for first, rest in zip(start, pairs)
        ]

    def empty(self) -> list[tf.Tensor]:
        """Returns the keys and values of a block without positions."""
        return self._zeros(BLOCK)

    def _zeros(self, places):
        layer = self.layer
        rows = self.num_samples * layer.num_heads
        return [
            tf.zeros([rows, places, channels], layer.compute_dtype)
            for channels in (layer.key_channels, layer.value_channels)
        ]

    def add(
        self,
        block: list[tf.Tensor],
        t: tf.Tensor,
        keys: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> list[tf.Tensor]:
        """Adds a position's key and value to those of its block.

        Args:
            block: those of the block's earlier positions.
            t: the position, int32 scalar.
            keys: `[batch, key_inputs]`.
            rotate: as for the layer's call, at this position; or None.
        """
        key, value = self.layer.split(self.layer.heads(self.to_pairs(keys)))
        if rotate is not None:
            key = rotate(key)
        here = tf.range(BLOCK)[:, tf.newaxis] == t % BLOCK
        return [
            tf.where(here, _reshaped(entry, [-1, 1], [entry.shape[-1]]), array)
            for array, entry in zip(block, (key, value))
        ]

    def join(
        self, blocks: list[tf.Tensor], block: list[tf.Tensor], t: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the keys and values with those of a block that ends.

        Args:
            blocks: of earlier blocks.
            block: of the block.
            t: its first position, int32 scalar.
        """
        if not is_compiled():
            return [tf.concat(pair, axis=1) for pair in zip(blocks, block)]
        order = tf.range(tf.shape(blocks[0])[1]) - self.before
        here = (order // BLOCK == t // BLOCK)[:, tf.newaxis]
        repeated = [tf.gather(new, order % BLOCK, axis=1) for new in block]
        return [tf.where(here, *pair) for pair in zip(repeated, blocks)]

    def attend(
        self,
        blocks: list[tf.Tensor],
        block: list[tf.Tensor],
        t: tf.Tensor,
        queries: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns what position t sees, `[batch, heads * value_channels]`.

        Args:
            blocks: keys and values of earlier blocks.
            block: of the positions of its own block that it sees.
            t: the position, int32 scalar.
            queries: `[batch, query_inputs]`.
            rotate: as for the layer's call, at this position; or None.
        """
        layer, place = self.layer, t % BLOCK
        queries = layer.heads(self.to_queries(queries))
        if rotate is not None:
            queries = rotate(queries)
        queries = _reshaped(
            layer.scaled(queries), [-1, 1], [layer.key_channels]
        )
        scores = [
            tf.matmul(queries, keys, transpose_b=True)
            for keys in (blocks[0], block[0])
        ]
        own = 0 if layer.strict else 1
        scores[1] = hidden(scores[1], tf.range(BLOCK) < place + own)
        if is_compiled():  # there is room for later blocks
            count = self.before + t - place
            seen = tf.range(tf.shape(blocks[0])[1]) < count
            scores[0] = hidden(scores[0], seen)
        else:
            scores[0] = tf.cast(scores[0], tf.float32)
        found = shares(tf.concat(scores, axis=-1), layer.compute_dtype)
        mixed = tf.matmul(found[..., :-BLOCK], blocks[1])
        mixed += tf.matmul(found[..., -BLOCK:], block[1])
        shape = [layer.num_heads * layer.value_channels]
        return _reshaped(mixed, [self.num_samples], shape)


def _reshaped(x, before, last):
    """Reshapes to `[*before, *last]`, of which the last is known."""
    result = tf.reshape(x, [*before, *last])
    result.set_shape([None] * len(before) + list(last))
    return result
