"""The mixture's bin masses and gradients, against float64 arithmetic."""

import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities.logistic_bins import log_mixture_mass

VALUES = np.array([0.0, 1.0, 60.0, 127.0, 254.0, 255.0])


def by_definition(value, logits, mean, scale):
    """log sum_m w_m (sigmoid(b) - sigmoid(a)), in float64."""
    low = np.where(value <= 0, -np.inf, (value - 0.5 - mean) / scale)
    high = np.where(value >= 255, np.inf, (value + 0.5 - mean) / scale)
    # sigmoid(b) - sigmoid(a), on the side where the tails are small.
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    masses = 1 / (1 + np.exp(-high)) - 1 / (1 + np.exp(-low))
    weights = np.exp(logits) / np.exp(logits).sum(0)
    return np.log((weights * masses).sum(0))


def numeric_gradients(value, arguments, step=1e-5):
    """Central differences of `by_definition`, each column's by its own."""
    found = []
    for i, argument in enumerate(arguments):
        rows = []
        for m in range(len(argument)):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in arguments]
                moved[i][m] += sign * step
                ends.append(by_definition(value, *moved))
            rows.append((ends[0] - ends[1]) / (2 * step))
        found.append(np.stack(rows))
    return found


@pytest.mark.parametrize("components", [1, 3])
def test_masses_and_gradients(components):
    rng = np.random.default_rng(components)
    shape = (components, 50 * len(VALUES))
    value = np.tile(VALUES, 50)
    arguments = [
        rng.normal(size=shape),
        value + rng.normal(scale=30, size=shape),
        np.exp(rng.uniform(1.5, 4.5, shape)),
    ]
    arguments = [a.astype(np.float32).astype(np.float64) for a in arguments]
    inputs = [tf.constant(a, tf.float32) for a in arguments]
    weights = rng.normal(size=value.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        received = log_mixture_mass(tf.constant(value, tf.float32), *inputs)
        total = tf.reduce_sum(weights * received)
    np.testing.assert_allclose(
        received, by_definition(value, *arguments), rtol=1e-4, atol=1e-4
    )
    expected = numeric_gradients(value, arguments)
    for mine, theirs in zip(tape.gradient(total, inputs), expected):
        np.testing.assert_allclose(mine, weights * theirs, rtol=3e-3, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1e6])
def test_extremes_stay_finite(scale):
    value = tf.constant(VALUES, tf.float32)
    mean = tf.constant([[100.0] * 6, [-1e4] * 6])
    inputs = [tf.zeros_like(mean), mean, tf.fill(mean.shape, scale)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        received = log_mixture_mass(value, *inputs)
    for tensor in (received, *tape.gradient(received, inputs)):
        assert np.isfinite(tensor).all()


def test_open_edges_hold_what_lies_beyond():
    value, mean = tf.constant([0.0, 255.0]), tf.constant([[-1e3, 2e3]])
    received = log_mixture_mass(value, mean * 0, mean, mean * 0 + 1.0)
    np.testing.assert_allclose(received, [0.0, 0.0], atol=1e-6)


def test_all_values_sum_to_one():
    values = tf.range(256.0)
    shape = [2, 256]
    scale = tf.fill(shape, 40.0)
    mean = tf.constant([[10.0], [300.0]]) + tf.zeros(shape)
    logs = log_mixture_mass(values, tf.zeros(shape), mean, scale)
    assert math.isclose(tf.reduce_sum(tf.exp(logs)), 1.0, rel_tol=1e-5)
