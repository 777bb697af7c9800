"""The normal distribution's bin masses against two references."""

import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities.normal_bins import log_bin_mass

VALUES = np.arange(256.0)
MEANS = [-300.0, -5.0, 0.0, 0.5, 100.0, 127.3, 255.0, 260.0, 400.0]
SCALES = [0.1, 0.5, 3.0, 25.0, 300.0]
_erfc = np.vectorize(math.erfc)


def by_erfc(value, mean, scale):
    """log (Phi(b) - Phi(a)) in float64, and its derivatives.

    Returns:
        The logarithm, and its derivatives by mean and scale. Inaccurate where
        math.erfc underflows, beyond 37 standard deviations.
    """
    a, b = (value - 0.5 - mean) / scale, (value + 0.5 - mean) / scale
    a, b = np.where(value <= 0, -np.inf, a), np.where(value >= 255, np.inf, b)
    # On the side where the tails are small.
    flip = np.where(np.abs(a) < np.abs(b), a, b) < 0
    near, far = np.where(flip, -b, a), np.where(flip, -a, b)
    mass = 0.5 * (_erfc(near / math.sqrt(2)) - _erfc(far / math.sqrt(2)))

    def density(x):
        return np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)

    def times(x):
        return np.where(np.isinf(x), 0.0, x * density(x))

    with np.errstate(divide="ignore", invalid="ignore"):
        by_mean = (density(a) - density(b)) / (scale * mass)
        by_scale = (times(a) - times(b)) / (scale * mass)
        return np.log(mass), by_mean, by_scale


def float32(*arrays):
    return [tf.constant(x, tf.float32) for x in np.broadcast_arrays(*arrays)]


@pytest.mark.parametrize("scale", SCALES)
def test_values_and_gradients_are_those_of_erfc_in_float64(scale):
    value, mean, scale = float32(VALUES, np.array(MEANS)[:, None], scale)
    with tf.GradientTape() as tape:
        tape.watch([mean, scale])
        result = log_bin_mass(value, mean, scale)
    gradients = tape.gradient(result, [mean, scale])
    # The reference at the very inputs, rounded to float32.
    value, mean, scale = (
        x.numpy().astype(np.float64) for x in (value, mean, scale)
    )
    within = np.abs(value - mean) / scale < 36
    for received, expected, rtol in zip(
        [result, *gradients], by_erfc(value, mean, scale), [2e-5, 2e-3, 2e-3]
    ):
        assert np.all(np.isfinite(received))
        # Differences of masses nearly alike lose digits where scale is large.
        atol = rtol * np.maximum(1, 1 / scale[within])
        difference = np.abs(received.numpy() - expected)[within]
        limit = atol + rtol * np.abs(expected[within])
        assert np.all(difference <= limit), (difference / limit).max()


@pytest.mark.parametrize("scale", [0.05, 0.5, 3.0, 25.0])
def test_equal_to_tensorflow_probability_however_far_out(scale):
    from tensorflow_probability import distributions as tfd

    means = np.array([-5000.0, -300.0, -1.0, 42.0, 255.5, 700.0])[:, None]
    normal = tfd.Normal(tf.constant(means - 0.5), tf.constant(scale, "float64"))
    expected = tfd.QuantizedDistribution(normal, 0.0, 255.0).log_prob(VALUES)
    value, mean, scale = float32(VALUES, means, scale)
    np.testing.assert_allclose(
        log_bin_mass(value, mean, scale), expected, rtol=1e-5, atol=2e-5
    )


@pytest.mark.parametrize("scale", [*SCALES, 1e4, 1e-3])
@pytest.mark.parametrize("mean", [*MEANS, -1e5, 1e6])
def test_masses_sum_to_1(mean, scale):
    result = log_bin_mass(*float32(VALUES, mean, scale)).numpy()
    assert np.all(result <= 1e-6)
    total = np.exp(result.astype(np.float64)).sum()
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-5)


def test_gradients_are_finite_and_point_home_however_far_out():
    means = np.array([-1e6, -1e4, -300.0, 600.0, 1e4, 1e6])[:, None]
    value, mean, scale = float32(VALUES, means, 0.1)
    with tf.GradientTape() as tape:
        tape.watch([mean, scale])
        result = log_bin_mass(value, mean, scale)
    by_mean, by_scale = tape.gradient(result, [mean, scale])
    assert np.all(np.isfinite(result))
    assert np.all(np.isfinite(by_mean)) and np.all(np.isfinite(by_scale))
    inner = slice(1, 255)  # the outer bins may be certain already
    towards = np.sign(VALUES - means)[:, inner]
    np.testing.assert_array_equal(np.sign(by_mean)[:, inner], towards)
    assert np.all(by_scale.numpy()[:, inner] > 0)


def test_gradient_of_an_open_bin_at_its_value():
    """Black under a mean of exactly black: a lower mean is more likely."""
    value, mean, scale = float32([0.0, 255.0], [0.0, 255.0], 2.0)
    with tf.GradientTape() as tape:
        tape.watch(mean)
        result = log_bin_mass(value, mean, scale)
    _, expected, _ = by_erfc(*(x.numpy() for x in (value, mean, scale)))
    received = tape.gradient(result, mean)
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert received[0] < 0 < received[1]


@pytest.mark.parametrize("mean", [100.0, 1000.0])
def test_graph_and_xla(mean):
    arguments = float32(VALUES, mean, 5.0)
    expected = log_bin_mass(*arguments)
    for jit in (False, True):
        result = tf.function(log_bin_mass, jit_compile=jit, autograph=False)(
            *arguments
        )
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
