"""A Gaussian posterior: its divergence, its draws, its prior."""

import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.bottlenecks import DiagonalGaussian


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
