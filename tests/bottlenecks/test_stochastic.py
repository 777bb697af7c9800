"""Gaussian and categorical posteriors: draws, ratios, divergences, bounds."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from support.harness import assert_config_round_trip
from vqvae_tf.bottlenecks import DiagonalGaussian, IndependentCategorical


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=shape), tf.float32)


def gaussian_parts(latents):
    """Mean and scale of each latent, by NumPy."""
    mean, raw = np.split(np.asarray(latents, np.float64), 2, axis=-1)
    return mean, np.log1p(np.exp(raw + math.log(math.e - 1))) + 1e-4


def normal_log_density(z, mean, scale):
    squares = ((z - mean) / scale) ** 2
    return -0.5 * (squares + np.log(2 * np.pi)) - np.log(scale)


# The Gaussian -----------------------------------------------------------------


def test_gaussian_kl_equals_numpy():
    latents = noise(3, 2, 2, 8)
    mean, scale = gaussian_parts(latents)
    kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
    found = DiagonalGaussian().kl_divergence(latents)
    np.testing.assert_allclose(found, kl.sum(axis=(1, 2, 3)), rtol=1e-5)


def test_gaussian_ratio_equals_numpy():
    latents = noise(3, 2, 2, 8)
    draw = DiagonalGaussian().sample(latents, 5, seed=1)
    assert draw.z.shape == (5, 3, 2, 2, 4)
    mean, scale = gaussian_parts(latents)
    z = draw.z.numpy().astype(np.float64)
    log_q = normal_log_density(z, mean, scale).sum(axis=(2, 3, 4))
    log_p = normal_log_density(z, 0.0, 1.0).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(draw.log_ratio, log_p - log_q, 1e-4, 1e-4)


def test_gaussian_draws_have_the_posteriors_moments():
    """Falsely fails with a chance below 1e-4: 16 numbers, 4.7 deviations.

    The error of a standard deviation is that of a mean over sqrt(2).
    """
    latents = noise(1, 1, 1, 16)
    z = DiagonalGaussian().sample(latents, 20_000, seed=2).z[:, 0, 0, 0]
    mean, scale = (part[0, 0, 0] for part in gaussian_parts(latents))
    error = scale / math.sqrt(20_000)
    assert np.all(np.abs(z.numpy().mean(0) - mean) < 4.7 * error)
    assert np.all(np.abs(z.numpy().std(0) - scale) < 4.7 * error / 2**0.5)


def test_gaussian_draws_follow_mean_and_scale():
    latents = tf.Variable(noise(2, 1, 1, 4))
    with tf.GradientTape() as tape:
        z = DiagonalGaussian().sample(latents, seed=3).z
    gradient = tape.gradient(z, latents).numpy()
    np.testing.assert_allclose(gradient[..., :2], 1.0, rtol=1e-5)
    assert np.all(gradient[..., 2:] != 0.0)


def test_vimcos_draws_have_no_gradient():
    latents = tf.Variable(noise(2, 1, 1, 4))
    bottleneck = DiagonalGaussian(estimator="vimco", num_samples=2)
    with tf.GradientTape(persistent=True) as tape:
        draw = bottleneck.sample(latents, 2, seed=3)
    assert tape.gradient(draw.z, latents) is None
    assert np.any(tape.gradient(draw.log_ratio, latents).numpy())


def test_gaussian_prior_is_standard():
    draws = DiagonalGaussian().prior_sample([4000, 2, 2, 1], [1, 2]).numpy()
    assert abs(draws.mean()) < 5 / math.sqrt(16_000)
    assert abs(draws.var() - 1) < 5 * math.sqrt(2 / 16_000)
    halved = DiagonalGaussian().prior_sample([4000, 2, 2, 1], [1, 2], 0.5)
    np.testing.assert_allclose(halved, 0.5 * draws)


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_beta_weighs_the_divergence(beta):
    latents, log_px = noise(3, 1, 1, 4), noise(1, 3)
    bottleneck = DiagonalGaussian(beta=beta)
    surrogate, bound, metrics = bottleneck.objective(log_px, None, latents)
    kl = bottleneck.kl_divergence(latents)
    np.testing.assert_allclose(surrogate, log_px[0] - beta * kl, rtol=1e-5)
    np.testing.assert_allclose(bound, log_px[0] - kl, rtol=1e-5)
    np.testing.assert_allclose(metrics["kl"], kl)


def test_capacity_grows_with_the_steps_of_training():
    latents, log_px = noise(3, 1, 1, 4), noise(1, 3)
    bottleneck = DiagonalGaussian(beta=10, capacity=8.0, capacity_steps=4)
    bottleneck.build()
    kl = bottleneck.kl_divergence(latents).numpy()
    capacities = []
    for _ in range(6):
        for training in (False, True):
            surrogate, _, metrics = bottleneck.objective(
                log_px, None, latents, training
            )
        capacity = float(metrics["capacity"][0])
        expected = log_px[0] - 10 * np.abs(kl - capacity)
        np.testing.assert_allclose(surrogate, expected, rtol=1e-5)
        capacities.append(capacity)
    assert capacities == [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]


# The categorical --------------------------------------------------------------


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


# Both -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, channels",
    [(DiagonalGaussian, 4), (lambda: categorical(num_samples=3), 10)],
)
def test_draws_do_not_depend_on_the_rest_of_the_batch(make, channels):
    layer, latents = make(), noise(4, 2, 2, channels)
    whole = layer.sample(latents, 3, seed=7)
    part = layer.sample(latents[:2], 3, seed=7)
    np.testing.assert_allclose(whole.z[:, :2], part.z, 1e-6, 1e-6)


@pytest.mark.parametrize(
    "make, channels",
    [(DiagonalGaussian, 4), (lambda: categorical(num_samples=3), 10)],
)
def test_training_draws_anew_and_evaluation_does_not(make, channels):
    layer, latents = make(), noise(4, 2, 2, channels)
    first, second = (layer.sample(latents, 3, training=True) for _ in "ab")
    assert np.any(first.z.numpy() != second.z.numpy())
    first, second = (layer.sample(latents, 3) for _ in "ab")
    np.testing.assert_array_equal(first.z, second.z)


def test_the_bound_grows_with_the_draws():
    """E L_1 <= E L_5 <= E L_50 (Burda et al., theorem 1).

    Falsely fails with a chance below 1e-4: each mean grows by more than 4
    standard errors of the paired differences of 2,000 rows.
    """
    layer = DiagonalGaussian(estimator="iwae", num_samples=50)
    latents = tf.tile(0.5 * noise(1, 1, 1, 8), [2000, 1, 1, 1])
    bounds = []
    for count in (1, 5, 50):
        draw = layer.sample(latents, count, seed=count)
        log_px = -tf.reduce_sum((draw.z - 1.0) ** 2, axis=[2, 3, 4])
        bounds.append(layer.objective(log_px, draw, latents)[1].numpy())
    for fewer, more in itertools.pairwise(bounds):
        gain = more - fewer
        assert gain.mean() > 4 * gain.std() / math.sqrt(len(gain))


@given(
    rows=st.integers(1, 4),
    grid=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    channels=st.integers(1, 4),
    draws=st.integers(1, 3),
)
def test_shapes(rows, grid, channels, draws):
    latents = noise(rows, *grid, 2 * channels)
    draw = DiagonalGaussian().sample(latents, draws)
    assert draw.z.shape == (draws, rows, *grid, channels)
    assert draw.log_ratio.shape == (draws, rows)


def test_unknown_sizes():
    layer = DiagonalGaussian()
    spec = [tf.TensorSpec([None, None, None, 6])]
    draw = tf.function(lambda x: layer.sample(x, 2), input_signature=spec)
    latents = noise(2, 3, 4, 6)
    expected = layer.sample(latents, 2)
    for found, same in zip(draw(latents), expected):
        np.testing.assert_allclose(found, same, 1e-5, 1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiagonalGaussian(beta=4.0, capacity=3.0, capacity_steps=7),
        lambda: DiagonalGaussian(estimator="iwae", num_samples=5, seed=3),
        lambda: IndependentCategorical(5, 3, 2, 4, seed=1, resample=True),
    ],
)
def test_configurations(make):
    assert_config_round_trip(make())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DiagonalGaussian(estimator="x"), "one of elbo, iwae, vimco"),
        (lambda: DiagonalGaussian(num_samples=0), "num_samples must be a pos"),
        (lambda: DiagonalGaussian(estimator="vimco"), "at least 2. Received"),
        (lambda: DiagonalGaussian(resample=True), "resample is for.*'elbo'"),
        (lambda: DiagonalGaussian(beta=-1), "beta .at least 0.*beta=-1"),
        (lambda: DiagonalGaussian(4, estimator="iwae"), 'for estimator="elbo"'),
        (
            lambda: DiagonalGaussian(capacity=-1),
            "capacity must be at least 0",
        ),
        (lambda: DiagonalGaussian().encode(tf.zeros([1, 3])), "must be even"),
        (lambda: IndependentCategorical(0, 3), "num_embeddings must be a pos"),
        (
            lambda: IndependentCategorical(4, 3, estimator="elbo"),
            "one of vimco",
        ),
        (
            lambda: categorical().encode(tf.zeros([1, 7])),
            "num_codebooks . num_embeddings = 10. Received: 7 channels",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_table_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = categorical()
    assert layer.embeddings.dtype == "float32"
    assert layer.sample(noise(1, 1, 1, 10), 2).z.dtype == tf.float32
    keras.config.set_dtype_policy("float32")
