"""Sampling from a WaveNet with cached activations.

Each new position costs one evaluation of every layer *at that position*. A
layer's earlier inputs are in a ring buffer: with dilation d and kernel size n,
the last `(n - 1) d`. Position t reads those of `t - d, ..., t - (n-1) d` and
overwrites the oldest. The rings of all layers are one tensor, with one gather
and one scatter per step, and the products with past inputs are one batched
product. Only what depends on the current input is a chain through the layers.

Steps run in chunks. A chunk is one loop, which XLA may compile; the same
compiled loop serves sequences of all lengths. The contexts' contributions to
the gates are computed per chunk, `CHUNK * layers * 2 * channels` floats for
each sample (1.3 MB with 20 layers of 64 channels).

References:
    Le Paine et al. 2016, arXiv:1611.09482: the queue of each layer.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive.loops import LoopHead, linear, loop, put
from vqvae_tf.layers.causal_conv import gate

CHUNK = 128  # Positions; starting the compiled loop costs less than one.


def run(
    density: keras.Model,
    num_samples: int | tf.Tensor,
    time: int | tf.Tensor,
    contexts: Sequence[tf.Tensor | None],
    choose: Callable[..., tf.Tensor],
    record: bool = False,
    jit_compile: bool = False,
) -> tf.Tensor:
    """Visits a sequence in order and chooses the codes at each position.

    Args:
        density: a built `WaveNet`.
        num_samples, time: integers or int32 scalar tensors.
        contexts: the global entry `[num_samples, channels]` and the local one
            `[num_samples, time, channels]`, each or None.
        choose: `choose(logits, t, g)` returns int32 `[num_samples]`, given
            float32 `[num_samples, K]`, the position t and the codebook g.
        record: whether to return the logits instead of the codes.
        jit_compile: whether XLA compiles the loop of a chunk.

    Returns:
        int32 codes `[num_samples, time, G]`, or float32 logits
        `[num_samples, time, G, K]`.
    """
    size = min(CHUNK, time) if isinstance(time, int) else CHUNK
    count = (time + size - 1) // size
    column = _Column(density, contexts[0])
    local = _chunks(contexts[1], num_samples, time, count, size)
    groups = density.num_codebooks

    def visit_chunk(start, steps, x, ring, local):
        biases = column.biases(local, size)

        def visit(j, x, ring, codes, logits):
            bias = biases if local is None else tf.gather(biases, j)
            t = start + j
            features, ring = column.features(t, x, ring, bias)
            drawn, seen, x = column.head.choose(
                features, column.table, lambda logits, g: choose(logits, t, g)
            )
            codes = put(codes, j, drawn)
            return j + 1, x, ring, codes, put(logits, j, seen) if record else ()

        codes = tf.zeros([size, num_samples, groups], tf.int32)
        shape = [size, num_samples, groups, density.num_embeddings]
        logits = tf.zeros(shape) if record else ()
        first = [tf.constant(0), x, ring, codes, logits]
        _, x, ring, codes, logits = loop(steps, visit, first)
        return x, ring, logits if record else codes

    visit_chunk = tf.function(
        visit_chunk, jit_compile=jit_compile, autograph=False
    )

    def visit(i, x, ring, line):
        start = i * size
        here = None if local is None else tf.gather(local, i)
        x, ring, results = visit_chunk(
            start, tf.minimum(size, time - start), x, ring, here
        )
        return i + 1, x, ring, put(line, i, results)

    shape = [count, size, num_samples, groups]
    shape += [density.num_embeddings] if record else []
    line = tf.zeros(shape, tf.float32 if record else tf.int32)
    first = [tf.constant(0), *column.start(num_samples), line]
    line = loop(count, visit, first)[-1]
    line = tf.reshape(line, [count * size, num_samples, *shape[3:]])[:time]
    return tf.transpose(line, [1, 0, *range(2, len(line.shape))])


def _chunks(local, num_samples, time, count, size):
    """Returns `[B, T, channels]` as `[count, B, size, channels]`, padded."""
    if local is None:
        return None
    channels = local.shape[-1]
    local = tf.pad(local, [[0, 0], [0, count * size - time], [0, 0]])
    local = tf.reshape(local, [num_samples, count, size, channels])
    return tf.transpose(local, [1, 0, 2, 3])


class _Column:
    """All layers at one position; weights are read and cast once."""

    def __init__(self, density, global_context):
        layers = density.blocks
        self.dtype = density.compute_dtype
        self.channels = density.hidden_channels
        self.dilations = np.array([b.dilation_rate for b in layers], np.int32)
        self.kernel_size = density.kernel_size
        # The size of each layer's ring, and its first row in the tensor.
        self.sizes = (self.kernel_size - 1) * self.dilations
        self.first = np.cumsum(self.sizes) - self.sizes
        self.table = tf.cast(density.embedding.embeddings, self.dtype)
        kernels = [tf.cast(b.conv.kernel, self.dtype) for b in layers]
        flat = (-1, 2 * self.channels)
        self.past = tf.stack([tf.reshape(k[:-1], flat) for k in kernels])
        self.now = [kernel[-1] for kernel in kernels]
        self.residuals = [linear(b.residual, self.dtype) for b in layers[:-1]]
        self.skips = linear(density.skips, self.dtype)
        self.head = LoopHead(density.head, self.dtype)
        biases = [tf.cast(b.conv.bias, self.dtype) for b in layers]
        self.bias = tf.stack(biases)[:, tf.newaxis]
        if global_context is not None:
            of_global = [b.of_global(global_context) for b in layers]
            self.bias += tf.stack(of_global)
        self.of_local = None
        if layers[0].of_local is not None:
            of_local = [tf.cast(b.of_local.kernel, self.dtype) for b in layers]
            self.of_local = tf.concat(of_local, axis=1)

    def start(self, num_samples):
        """Returns the first position's input and the rings, all 0."""
        x = tf.zeros([num_samples, self.channels], self.dtype)
        slots = int(self.sizes.sum())
        ring = tf.zeros([slots, num_samples, self.channels], self.dtype)
        return x, ring

    def biases(self, local, size):
        """Returns the part of the gates' inputs that is independent of codes.

        Args:
            local: `[B, size, channels]`, or None.
            size: of the chunk.

        Returns:
            `[layers, B or 1, 2 * channels]`, or with a local context
            `[size, layers, B, 2 * channels]`.
        """
        if local is None:
            return self.bias
        layers, width = len(self.now), 2 * self.channels
        local = tf.reshape(
            tf.matmul(tf.cast(local, self.dtype), self.of_local),
            [-1, size, layers, width],
        )
        return tf.transpose(local, [1, 2, 0, 3]) + self.bias

    def features(self, t, x, ring, bias):
        """Runs the layers at position t.

        Args:
            t: the position, int32 scalar.
            x: the first layer's input, `[B, channels]`.
            ring: the layers' earlier inputs, `[slots, B, channels]`.
            bias: `[layers, B or 1, 2 * channels]`.

        Returns:
            `[B, skip_channels]`, and the ring with the inputs at t.
        """
        past = tf.unstack(tf.matmul(self._past(t, ring), self.past) + bias)
        inputs, gated = [], []
        for i, now in enumerate(self.now):
            inputs.append(x)
            gated.append(gate(tf.matmul(x, now) + past[i]))
            if i < len(self.residuals):
                x += self.residuals[i](gated[i])
        slots = t % self.sizes + self.first
        ring = tf.tensor_scatter_nd_update(
            ring, slots[:, tf.newaxis], tf.stack(inputs)
        )
        return self.skips(tf.concat(gated, axis=-1)), ring

    def _past(self, t, ring):
        """Returns each layer's taps, `[layers, B, taps * channels]`."""
        taps = self.kernel_size - 1
        back = np.arange(taps, 0, -1, dtype=np.int32) * self.dilations[:, None]
        slots = (t - back) % self.sizes[:, None] + self.first[:, None]
        past = tf.gather(ring, slots)
        if taps == 1:
            return past[:, 0]
        past = tf.transpose(past, [0, 2, 1, 3])
        return tf.reshape(past, [len(self.now), -1, taps * self.channels])
