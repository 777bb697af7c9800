"""A categorical posterior: its divergence, its draws, its table."""

import math

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks import IndependentCategorical


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=shape), tf.float32)


def categorical(values=5, dim=3, groups=2, **options):
    layer = IndependentCategorical(values, dim, groups, **options)
    layer.build()
    return layer


def test_categorical_kl_equals_numpy():
    layer, latents = categorical(), noise(3, 2, 2, 10)
    logits = latents.numpy().reshape([3, -1, 5]).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = (p * np.log(p * 5)).sum(axis=(1, 2))
    np.testing.assert_allclose(layer.kl_divergence(latents), expected, 1e-5)


def test_categorical_ratio_is_that_of_the_codes_drawn():
    layer, latents = categorical(), noise(3, 2, 2, 10)
    draw = layer.sample(latents, 4, seed=1)
    assert draw.z.shape == (4, 3, 2, 2, 6)
    log_probs = layer.log_probs(latents).numpy()
    z = draw.z.numpy().reshape([4, 3, 2, 2, 2, 1, 3])
    table = layer.embeddings.numpy()  # [G, K, D]
    codes = np.argmin(((z - table) ** 2).sum(-1), axis=-1)
    chosen = np.take_along_axis(
        np.broadcast_to(log_probs, [4, *log_probs.shape]), codes[..., None], -1
    )
    log_q = chosen.sum(axis=(2, 3, 4, 5))
    expected = -8 * math.log(5) - log_q
    np.testing.assert_allclose(draw.log_ratio, expected, rtol=1e-4)


def test_categorical_draws_have_the_posteriors_frequencies():
    """Falsely fails with a chance below 1e-4 (15 counts, 4.7 deviations)."""
    layer = categorical(groups=3, dim=1)
    layer.embeddings.assign(np.tile(np.arange(5.0)[:, None], [3, 1, 1]))
    latents, count = noise(1, 1, 1, 15), 20_000
    codes = layer.sample(latents, count, seed=4).z[:, 0, 0, 0].numpy()
    p = np.exp(layer.log_probs(latents).numpy())[0, 0, 0]
    for group in range(3):
        found = np.bincount(codes[:, group].astype(int), minlength=5)
        error = np.sqrt(count * p[group] * (1 - p[group]))
        assert np.all(np.abs(found - count * p[group]) < 4.7 * error)


def test_categorical_encodes_the_most_probable():
    layer = categorical()
    latents = np.full([1, 1, 1, 10], -9.0, np.float32)
    latents[..., 3] = latents[..., 5 + 1] = 9.0
    assert layer.codes(latents).numpy().ravel().tolist() == [3, 1]
    expected = np.concatenate([layer.embeddings[0, 3], layer.embeddings[1, 1]])
    np.testing.assert_array_equal(layer.encode(latents)[0, 0, 0], expected)


def test_a_sure_posterior_is_never_left():
    latents = tf.constant([[[[0.0, 60.0, 0.0], [0.0, 0.0, 60.0]]]])
    layer = categorical(values=3, groups=1)
    draw = layer.sample(latents, 500, seed=5)
    sure = np.full([500, 1], -2 * math.log(3))  # log q is 0
    np.testing.assert_allclose(draw.log_ratio, sure, rtol=1e-6)


def test_categorical_prior_is_uniform():
    layer = categorical(values=4, dim=1, groups=1)
    layer.embeddings.assign(np.arange(4.0).reshape([1, 4, 1]))
    drawn = layer.prior_sample([4000, 2, 2, 1], [3, 4]).numpy().astype(int)
    counts = np.bincount(drawn.ravel(), minlength=4)
    assert len(counts) == 4 and np.abs(counts - 4000).max() < 300


def test_the_table_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = categorical()
    assert layer.embeddings.dtype == "float32"
    assert layer.sample(noise(1, 1, 1, 10), 2).z.dtype == tf.float32
    keras.config.set_dtype_policy("float32")
