"""Codebooks of directions: the cosine distance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import VectorQuantizer, VectorQuantizerEMA

CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def latents(channels, seed=0):
    x = np.random.default_rng(seed).normal(size=[40, channels])
    return x.astype(np.float32)


@CLASSES
def test_harness(cls):
    options = dict(num_embeddings=8, embedding_dim=4, distance="cosine")
    run_quantizer_test(cls, options, identity_gradient=False, exact=False)


@CLASSES
@pytest.mark.parametrize("num_codebooks", [1, 2])
def test_codes_are_those_of_the_largest_cosine(cls, num_codebooks):
    layer = cls(8, 4, num_codebooks=num_codebooks, distance="cosine")
    shape = [num_codebooks, 8, 4]
    book = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layer.set_codebook(book[0] if num_codebooks == 1 else book)
    x = latents(4 * num_codebooks)
    z = unit(oracle.split(x, num_codebooks))
    codes = np.argmax(np.einsum("gnd,gkd->gnk", z, unit(book)), axis=-1)
    q = oracle.look_up(unit(np.float64(book)), codes)
    quantized, received = layer(x, return_codes=True)
    np.testing.assert_array_equal(np.reshape(received, codes.T.shape), codes.T)
    np.testing.assert_allclose(quantized, oracle.join(q, x.shape), 1e-5, 1e-6)
    share = 1.25 if cls is VectorQuantizer else 0.25
    expected = share * oracle.squared_error(z, q)
    np.testing.assert_allclose(sum(layer.losses), expected, rtol=1e-5)
    # How long latents are does not matter.
    np.testing.assert_array_equal(layer.encode(7 * x), layer.encode(x))
    np.testing.assert_allclose(
        np.linalg.norm(layer.codebook, axis=-1), 1, rtol=1e-6
    )


def test_averages_are_of_directions():
    layer = VectorQuantizerEMA(8, 4, decay=0.5, distance="cosine")
    book = latents(4, seed=1)[:8]
    layer.set_codebook(book, counts=np.ones(8))
    x = latents(4)
    codes, z = layer.encode(x).numpy(), unit(np.float64(x))
    expected = unit(
        np.stack([book[k] + z[codes == k].sum(0) for k in range(8)])
    )
    layer(x, training=True)
    np.testing.assert_allclose(layer.codebook, expected, 1e-4, 1e-5)


def test_a_step_turns_directions_a_little():
    """Those of vectors as short as 1 / K would turn by any angle."""
    layer = VectorQuantizer(512, 8, distance="cosine")
    layer.build((None, 8))
    before = layer.codebook.numpy()
    optimizer = keras.optimizers.Adam(1e-3)
    x = latents(8)
    with tf.GradientTape() as tape:
        layer(x, training=True)
        loss = tf.add_n(layer.losses)
    weights = layer.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    cosines = np.sum(before * layer.codebook, axis=-1)
    assert np.all(cosines > 0.99) and np.any(cosines < 1 - 1e-7)


def test_a_latent_of_0_has_a_code():
    layer = VectorQuantizer(8, 4, distance="cosine")
    with tf.GradientTape() as tape:
        x = tf.zeros([2, 4])
        tape.watch(x)
        y, codes = layer(x, return_codes=True)
    assert np.all((codes >= 0) & (codes < 8))
    assert np.all(np.isfinite(tape.gradient(y, x)))


def test_another_distance_is_refused():
    with pytest.raises(ValueError, match="one of euclidean, cosine"):
        VectorQuantizer(8, 4, distance="manhattan")
