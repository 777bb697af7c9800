"""Gradients of quantizers that divide latents by their norm: of directions.

What `run_quantizer_test` leaves open where a gradient is not that of the
latents, in NumPy float64. With u = z / |z|, a gradient g of u is one of z by

    (g - u (u . g)) / |z|

and that of the quantized latents reaches u straight through, or rotated.
"""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from vqvae_tf.quantizers import BSQ, VectorQuantizer, VectorQuantizerEMA

K, D = 8, 4
CODEBOOKS = pytest.mark.parametrize(
    "cls", [VectorQuantizer, VectorQuantizerEMA]
)
ALL = pytest.mark.parametrize(
    "cls, options",
    [
        (BSQ, {}),
        *(
            (cls, dict(gradient=gradient, num_codebooks=groups))
            for cls in (VectorQuantizer, VectorQuantizerEMA)
            for gradient in ("straight_through", "rotation")
            for groups in (1, 2)
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)


def make(cls, options):
    """A layer, its codebook `[G, K, D]` before it is normalized, and G."""
    if cls is BSQ:
        layer = BSQ(D, entropy_weight=0.0)
        return layer, layer.codebook.numpy()[np.newaxis], 1
    groups = options.get("num_codebooks", 1)
    layer = cls(K, D, distance="cosine", **options)
    book = np.random.default_rng(1).normal(size=[groups, K, D])
    book = book.astype(np.float32)
    layer.set_codebook(book if groups > 1 else book[0])
    return layer, book, groups


def latents(groups):
    """Of norms between 0.01 and 100, `[2, 20, G * D]`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=[2, 20, groups, D])
    x *= 10.0 ** rng.uniform(-2, 2, size=[2, 20, groups, 1])
    return x.reshape(2, 20, -1).astype(np.float32)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def of_vectors(vectors, gradient):
    """A gradient of vectors, given one of their directions."""
    u, size = unit(vectors), np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (gradient - u * np.sum(u * gradient, axis=-1, keepdims=True)) / size


def turned(u, q, gradient):
    """A gradient of q, rotated as u is to q; all of them `[..., D]`."""
    r = unit(u + q)
    turns = (
        np.eye(D)
        - 2 * r[..., :, np.newaxis] * r[..., np.newaxis, :]
        + 2 * q[..., :, np.newaxis] * u[..., np.newaxis, :]
    )
    return np.einsum("...ij,...i->...j", turns, gradient)


def assert_gradient(received, expected, vectors):
    """To 1e-5 of the largest, given what becomes shorter as it grows."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    received, expected = received * size, expected * size
    least = 1e-5 * np.max(np.abs(expected))
    np.testing.assert_allclose(received, expected, 0, least)


def quantized(book, z):
    """Directions of z, and the nearest of a codebook's, `[G, N, D]`."""
    u, book = unit(z), unit(np.float64(book))
    codes = oracle.nearest(u, book)
    return u, oracle.look_up(book, codes), codes


@ALL
def test_outputs(cls, options):
    layer, book, groups = make(cls, options)
    x = latents(groups)
    weights = np.random.default_rng(2).normal(size=x.shape)
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        target = tf.reduce_sum(layer(value) * np.float32(weights))
    received = oracle.split(tape.gradient(target, value), groups)
    z, g = oracle.split(x, groups), oracle.split(weights, groups)
    u, q, _ = quantized(book, z)
    if options.get("gradient") == "rotation":
        g = turned(u, q, g)
    assert_gradient(received, of_vectors(z, g), z)


@ALL
def test_losses(cls, options):
    """Of latents, and of the embeddings, which are divided by theirs."""
    layer, book, groups = make(cls, options)
    x = latents(groups)
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        layer(value)
        loss = tf.add_n(layer.losses)
    variables = [v.value for v in layer.trainable_variables]
    received, *of_book = tape.gradient(loss, [value, *variables])
    z = oracle.split(x, groups)
    u, q, codes = quantized(book, z)
    expected = of_vectors(z, 0.25 * 2 * (u - q) / u.size)
    assert_gradient(oracle.split(received, groups), expected, z)
    assert len(of_book) == (cls is VectorQuantizer)
    if of_book:
        n, s = oracle.counts_and_sums(u, codes, K)
        expected = 2 * (n[..., np.newaxis] * unit(np.float64(book)) - s)
        expected = of_vectors(np.float64(book), expected / u.size)
        assert_gradient(of_book[0], expected, book)


@CODEBOOKS
def test_projected(cls):
    """With a `codebook_dim`: to directions and back by linear maps."""
    layer = cls(K, 6, codebook_dim=D, distance="cosine")
    layer.build((None, 6))
    book = np.random.default_rng(1).normal(size=[K, D]).astype(np.float32)
    layer.set_codebook(book)
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=[2, 30, 6]).astype(np.float32)
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        target = tf.reduce_sum(layer(value) * weights)
    into, out = (
        np.float64(part.kernel[0])
        for part in (layer.project_in, layer.project_out)
    )
    of_z = of_vectors(x @ into, np.float64(weights) @ out.T)
    expected = of_z @ into.T
    least = 1e-5 * np.max(np.abs(expected))
    np.testing.assert_allclose(tape.gradient(target, value), expected, 0, least)
