"""PixelSNAIL a position at a time, with activations that are kept.

Convolutions keep the last rows of their inputs, attention all keys and values.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.attention_steps import AttentionSteps
from vqvae_tf.densities.autoregressive.loops import linear, put
from vqvae_tf.densities.autoregressive.pixel_snail_layer import (
    GatedResidual,
    ShiftedConv,
    SnailBlock,
    gated_sum,
)
from vqvae_tf.densities.autoregressive.positions import background
from vqvae_tf.densities.autoregressive.stepping import Steps


class Rows:
    """The last rows of a grid's activations, from which windows are taken.

    Args:
        rows: how many are kept, the current one included.
        left, right: columns of zeros beside the grid.
        width: of the grid, an integer or int32 scalar tensor.
    """

    def __init__(
        self, rows: int, left: int, right: int, width: int | tf.Tensor
    ) -> None:
        self.rows, self.left = rows, left
        self.width, self.stride = width, width + left + right

    def empty(
        self, num_samples: int | tf.Tensor, channels: int, dtype: str
    ) -> tf.Tensor:
        """Returns zeros `[places, batch, channels]`."""
        shape = [self.rows * self.stride, num_samples, channels]
        return tf.zeros(shape, dtype)

    def place(self, t: tf.Tensor, up: int = 0, back: int = 0) -> tf.Tensor:
        """Returns where the entry `up` rows above and `back` left of t is."""
        row = tf.math.floormod(t // self.width - up, self.rows)
        return row * self.stride + t % self.width - back + self.left

    def put(self, kept: tf.Tensor, t: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Keeps x `[batch, channels]` as position t's."""
        return put(kept, self.place(t), x)

    def window(
        self, kept: tf.Tensor, t: tf.Tensor, offsets: Sequence
    ) -> tf.Tensor:
        """Returns entries side by side, `[batch, len(offsets) * channels]`.

        Args:
            kept: as from `empty` and `put`.
            t: the position, int32 scalar, row by row.
            offsets: pairs (up, back).
        """
        places = [self.place(t, up, back) for up, back in offsets]
        found = tf.transpose(tf.gather(kept, tf.stack(places)), [1, 0, 2])
        return tf.reshape(found, [-1, len(offsets) * kept.shape[-1]])


def _offsets(rows, columns):
    """Pairs (up, back) of a kernel's entries, in their order."""
    return [(up, back) for up in rows for back in columns]


class _ShiftedSteps:
    """A `ShiftedConv`."""

    def __init__(self, layer: ShiftedConv, width: int | tf.Tensor) -> None:
        past, dtype = layer.kernel_size // 2, layer.compute_dtype
        self.rows = Rows(past + 1, past, past, width)
        self.above = linear(layer.above, dtype)
        self.left = linear(layer.left, dtype)
        columns = range(past, -past - 1, -1)
        self.of_above = _offsets(range(past, 0, -1), columns)
        self.of_left = _offsets([0], range(past, 0, -1))

    def step(self, kept, t):
        above = self.rows.window(kept, t, self.of_above)
        left = self.rows.window(kept, t, self.of_left)
        return self.above(above) + self.left(left)


class _GatedSteps:
    """A `GatedResidual`; without a state where its kernels have one entry."""

    def __init__(self, layer: GatedResidual, width: int | tf.Tensor) -> None:
        size, dtype = layer.kernel_size, layer.compute_dtype
        self.layer = layer
        self.first = linear(layer.first, dtype)
        self.second = linear(layer.second, dtype)
        self.of_extra = layer.of_extra and linear(layer.of_extra, dtype)
        self.of_local = layer.of_local and linear(layer.of_local, dtype)
        self.rows = Rows(size, size - 1, 0, width) if size > 1 else None
        span = range(size - 1, -1, -1)
        self.offsets = _offsets(span, span)

    def empty(self, num_samples):
        if self.rows is None:
            return []
        sizes = (self.layer.channels, self.layer.hidden_channels)
        dtype = self.layer.compute_dtype
        return [self.rows.empty(num_samples, size, dtype) for size in sizes]

    def step(self, x, kept, t, extra=None, of_global=None, local=None):
        """Returns the outputs at position t, and the state with its own."""
        kept = list(kept)

        def window(i, x):
            if self.rows is None:
                return x
            kept[i] = self.rows.put(kept[i], t, x)
            return self.rows.window(kept[i], t, self.offsets)

        hidden = self.first(window(0, tf.nn.elu(x)))
        if extra is not None:
            hidden += self.of_extra(tf.nn.elu(extra))
        gates = self.second(window(1, tf.nn.elu(hidden)))
        if of_global is not None:
            gates += of_global
        if local is not None:
            gates += self.of_local(local)
        return gated_sum(x, gates), kept


class _BlockSteps:
    """A `SnailBlock`."""

    def __init__(
        self,
        block: SnailBlock,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        global_context: tf.Tensor | None,
    ) -> None:
        height, width = grid
        self.num_samples, self.positions = num_samples, height * width
        self.residuals = [_GatedSteps(r, width) for r in block.residuals]
        self.of_global = [None] * len(self.residuals)
        if global_context is not None:
            self.of_global = [
                r.of_global(global_context) for r in block.residuals
            ]
        self.attention = None
        if block.attention is not None:
            self.attention = AttentionSteps(block.attention, num_samples)
            mixing = (block.for_keys, block.for_queries, block.merge)
            self.for_keys, self.for_queries, self.merge = (
                _GatedSteps(layer, width) for layer in mixing
            )

    def settled(self):
        if self.attention is None:
            return []
        return self.attention.no_blocks(self.positions)

    def empty(self):
        kept = [layer.empty(self.num_samples) for layer in self.residuals]
        return [kept, [] if self.attention is None else self.attention.empty()]

    def step(self, x, settled, state, t, place, local):
        """Returns outputs, the state, and features of which keys are made."""
        kept, pairs = list(state[0]), state[1]
        for i, layer in enumerate(self.residuals):
            x, kept[i] = layer.step(
                x, kept[i], t, of_global=self.of_global[i], local=local
            )
        if self.attention is None:
            return x, [kept, pairs], []
        queries = tf.concat([x, place], axis=-1)
        queries, _ = self.for_queries.step(queries, [], t)
        seen = self.attention.attend(settled, pairs, t, queries)
        merged, _ = self.merge.step(x, [], t, extra=seen)
        return merged, [kept, pairs], [x]

    def add(self, pairs, t, embedded, features, place):
        """Adds position t's key and value."""
        if self.attention is None:
            return pairs
        keys = tf.concat([embedded, *features, place], axis=-1)
        keys, _ = self.for_keys.step(keys, [], t)
        return self.attention.add(pairs, t, keys)

    def settle(self, settled, state, t):
        if self.attention is None:
            return settled
        return self.attention.join(settled, state[1], t)


class SnailSteps(Steps):
    """A `PixelSNAIL`, for `stepping.run`.

    Args:
        density: a built `PixelSNAIL`.
        num_samples: an integer or int32 scalar tensor.
        grid: (height, width), integers or int32 scalar tensors.
        contexts: the global entry `[num_samples, channels]` and the local one
            `[num_samples, height, width, channels]`, each or None.
    """

    def __init__(
        self,
        density: keras.Model,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        contexts: Sequence[tf.Tensor | None],
    ) -> None:
        self.density, self.num_samples = density, num_samples
        global_context, local = contexts
        self.local = local
        if local is not None:
            local = tf.cast(local, density.compute_dtype)
            shape = [num_samples, grid[0] * grid[1], local.shape[-1]]
            self.local = tf.reshape(local, shape)
        self.places = background(*grid, density.compute_dtype)
        self.first = _ShiftedSteps(density.first, grid[1])
        self.blocks = [
            _BlockSteps(block, num_samples, grid, global_context)
            for block in density.middle
        ]
        self.after = [_GatedSteps(layer, grid[1]) for layer in density.after]

    def settled(self) -> list[Any]:
        return [block.settled() for block in self.blocks]

    def empty(self) -> list[Any]:
        layer = self.density.first
        codes = self.first.rows.empty(
            self.num_samples, layer.channels, layer.compute_dtype
        )
        return [codes, [block.empty() for block in self.blocks]]

    def features(
        self, settled: list, state: list, t: tf.Tensor
    ) -> tuple[tf.Tensor, list]:
        codes, states = state
        local = None
        if self.local is not None:
            local = tf.gather(self.local, t, axis=1)
        place, x = self._place(t), self.first.step(codes, t)
        kept, waiting = [], []
        for block, blocks, each in zip(self.blocks, settled, states):
            x, each, features = block.step(x, blocks, each, t, place, local)
            kept.append(each)
            waiting.append(features)
        for layer in self.after:
            x, _ = layer.step(x, [], t)
        return x, [codes, kept, waiting]

    def finish(self, pending: list, t: tf.Tensor, newest: tf.Tensor) -> list:
        codes, states, waiting = pending
        place = self._place(t)
        states = [
            [kept, block.add(pairs, t, newest, features, place)]
            for block, (kept, pairs), features in zip(
                self.blocks, states, waiting
            )
        ]
        return [self.first.rows.put(codes, t, newest), states]

    def settle(self, settled: list, state: list, t: tf.Tensor) -> list:
        return [
            block.settle(blocks, each, t)
            for block, blocks, each in zip(self.blocks, settled, state[1])
        ]

    def _place(self, t):
        place = tf.gather(self.places, t)
        return tf.broadcast_to(place, [self.num_samples, 2])
