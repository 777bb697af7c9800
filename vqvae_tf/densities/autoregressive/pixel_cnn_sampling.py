"""Sampling from a gated PixelCNN with cached activations.

Each new position costs one evaluation of the network *at that position*. The
vertical stack runs once per row, on buffers with the last rows of each layer's
input; the horizontal stack is, per column, a chain of small matrix products
with buffers of the last columns. All of it is two nested `tf.while_loop`s in
one graph.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.loops import LoopHead, linear, loop, put
from vqvae_tf.layers.causal_conv import gate
from vqvae_tf.utils.code_sizes import first_rows


def run(
    density: keras.Model,
    num_samples: int | tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    contexts: Sequence[tf.Tensor | None],
    choose: Callable[..., tf.Tensor],
    record: bool = False,
) -> tf.Tensor:
    """Visits the grid in raster order and chooses a code at each position.

    Args:
        density: a built `PixelCNN`.
        num_samples, height, width: integers or int32 scalar tensors.
        contexts: the global entry `[num_samples, channels]` and the local one
            `[num_samples, height, width, channels]`, each or None.
        choose: `choose(logits, t, g)` returns int32 `[num_samples]`, given
            float32 `[num_samples, K]`, the position t and the codebook g.
        record: whether to return the logits instead of the codes.

    Returns:
        int32 codes `[num_samples, height, width, G]`, or float32 logits
        `[num_samples, height, width, G, K]`.
    """
    rows = _RowPass(density, num_samples, width, contexts)
    pixels = _PixelPass(density, num_samples)
    groups, size = density.num_codebooks, density.num_embeddings

    def visit_row(row, buffers, grid):
        biases, above = rows.start(row, buffers)
        empty = tf.zeros([width, num_samples, groups], tf.int32)
        line = [empty]
        if record:
            shape = [width, num_samples, groups, size]
            line.append(tf.zeros(shape, tf.float32))

        def visit_pixel(column, left, line):
            here = [tf.gather(bias, column) for bias in biases]
            codes, logits, left = pixels.step(
                left, here, lambda x, g: choose(x, row * width + column, g)
            )
            results = [codes, logits] if record else [codes]
            line = [put(a, column, b) for a, b in zip(line, results)]
            return column + 1, left, line

        start = [tf.constant(0), pixels.empty_buffers(), line]
        line = loop(width, visit_pixel, start)[2]
        buffers = rows.finish(above, pixels.embed_row(line[0]))
        return row + 1, buffers, put(grid, row, line[-1])

    shape = [height, width, num_samples, groups]
    grid = tf.zeros(shape, tf.int32)
    if record:
        grid = tf.zeros([*shape, size], tf.float32)
    start = [tf.constant(0), rows.empty_buffers(), grid]
    grid = loop(height, visit_row, start)[2]
    return tf.transpose(grid, [2, 0, 1, *range(3, len(grid.shape))])


class _RowPass:
    """The vertical stack, a row at a time."""

    def __init__(self, density, num_samples, width, contexts):
        self.layers = density.blocks
        self.dtype = density.compute_dtype
        self.num_samples, self.width = num_samples, width
        self.global_context, self.local_context = contexts

    def empty_buffers(self):
        """Returns the rows above, all 0: `[batch, rows, width, channels]`."""
        return [
            tf.zeros(
                [
                    self.num_samples,
                    layer.kernel_size // 2,
                    self.width,
                    layer.channels,
                ],
                self.dtype,
            )
            for layer in self.layers
        ]

    def start(self, row, buffers):
        """Runs the stack for a row whose codes are not known yet.

        Returns:
            Each layer's contribution to the horizontal gates, `[width, batch,
            2 * channels]`, and the buffers without their oldest row.
        """
        biases, remaining, x = [], [], None
        local = self.local_context
        if local is not None:
            local = tf.expand_dims(tf.gather(local, row, axis=1), 1)
        for layer, buffer in zip(self.layers, buffers):
            window = buffer if x is None else tf.concat([buffer, x], axis=1)
            above = layer.vertical.valid(window)
            contexts = layer.biases(self.global_context, local)
            bias = (layer.across(above) + contexts[1])[:, 0]
            biases.append(tf.transpose(bias, [1, 0, 2]))
            remaining.append(window[:, 1:])
            x = gate(above + contexts[0])
        return biases, remaining

    def finish(self, remaining, embedded_row):
        """Adds the row of codes to the first layer's buffer."""
        first = tf.concat([remaining[0], embedded_row], axis=1)
        return [first, *remaining[1:]]


class _PixelPass:
    """The horizontal stack and the head, a position at a time."""

    def __init__(self, density, num_samples):
        self.layers = density.blocks
        self.dtype = density.compute_dtype
        self.num_samples = num_samples
        self.first_rows = first_rows(density.num_codes)
        self.table = tf.cast(density.embedding.embeddings, self.dtype)
        self.left = [linear(b.horizontal, self.dtype) for b in self.layers]
        self.out = [linear(b.out, self.dtype) for b in self.layers]
        self.head = LoopHead(density.head, self.dtype)

    def empty_buffers(self):
        """Returns the columns to the left, all 0, `[batch, n, channels]`."""
        return [
            tf.zeros(
                [self.num_samples, layer.kernel_size // 2, layer.channels],
                self.dtype,
            )
            for layer in self.layers
        ]

    def step(self, buffers, biases, choose):
        """Chooses the codes of one position.

        Returns:
            Codes int32 `[batch, G]`, logits float32 `[batch, G, K]`, and the
            buffers shifted by one column.
        """
        features, remaining = self._features(buffers, biases)
        codes, logits, newest = self.head.choose(features, self.table, choose)
        newest = tf.expand_dims(newest, 1)
        remaining[0] = tf.concat([remaining[0], newest], axis=1)
        return codes, logits, remaining

    def _features(self, buffers, biases):
        remaining, x, skips = [], None, 0.0
        for i, window in enumerate(buffers):
            if i:
                window = tf.concat([window, tf.expand_dims(x, 1)], axis=1)
            flat = tf.reshape(window, [-1, window.shape[1] * window.shape[2]])
            gated = gate(self.left[i](flat) + biases[i])
            residual, skip = tf.split(self.out[i](gated), 2, axis=-1)
            x = residual + x if i else residual
            skips += skip
            remaining.append(window[:, 1:])
        return skips + x, remaining

    def embed_row(self, codes):
        """Embeds codes `[width, batch, G]` as `[batch, 1, width, channels]`."""
        rows = tf.gather(self.table, codes + self.first_rows)
        embedded = tf.reduce_sum(rows, axis=2)
        return tf.expand_dims(tf.transpose(embedded, [1, 0, 2]), 1)
