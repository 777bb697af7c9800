"""Bounds of several samples, and VIMCO's gradient against enumeration."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.bottlenecks.estimators import log_mean_exp, vimco_surrogate

VALUES = 3  # of each latent of the toy


def test_log_mean_exp_equals_numpy():
    log_weights = np.random.default_rng(0).normal(size=[5, 4]) * 30
    expected = np.log(np.mean(np.exp(log_weights), axis=0))
    found = log_mean_exp(tf.constant(log_weights, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_log_mean_exp_of_tiny_weights():
    found = log_mean_exp(tf.fill([7, 2], -1e4))
    np.testing.assert_allclose(found, -1e4)


def test_the_signal_is_the_gain_over_the_mean_of_the_others():
    rng = np.random.default_rng(1)
    log_weights = rng.normal(size=[4, 3]).astype(np.float32)
    log_q = tf.Variable(rng.normal(size=[4, 3]), dtype=tf.float32)
    with tf.GradientTape() as tape:
        surrogate = vimco_surrogate(tf.constant(log_weights), log_q)
    bound = np.log(np.mean(np.exp(log_weights), axis=0))
    np.testing.assert_allclose(surrogate, bound, rtol=1e-5)
    expected = np.zeros([4, 3])
    for j in range(4):
        replaced = log_weights.copy()
        replaced[j] = np.delete(log_weights, j, axis=0).mean(axis=0)
        expected[j] = bound - np.log(np.mean(np.exp(replaced), axis=0))
    found = tape.gradient(surrogate, log_q)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [1, None])
def test_vimco_needs_two_draws(count):
    @tf.function(input_signature=[tf.TensorSpec([count, 2])])
    def call(log_weights):
        return vimco_surrogate(log_weights, log_weights)

    with pytest.raises(ValueError, match="at least 2. Received: (1|None) draw"):
        call.get_concrete_function()


# A toy of two latents ---------------------------------------------------------


def toy():
    """Returns q's logits [2, V], and log p(x, h) of each pair [V, V]."""
    rng = np.random.default_rng(3)
    return rng.normal(size=[2, VALUES]), rng.normal(size=[VALUES, VALUES]) * 2


def log_q(logits, latents):
    """log q(h | x) of latents int [..., 2]."""
    log_probs = tf.nn.log_softmax(logits)
    first, second = tf.unstack(latents, axis=-1)
    return tf.gather(log_probs[0], first) + tf.gather(log_probs[1], second)


def exact_gradient(logits, log_joint, samples):
    """d/d logits of E[log mean weights], over all draws of S pairs."""
    pairs = list(itertools.product(range(VALUES), repeat=2))
    draws = np.array(list(itertools.product(pairs, repeat=samples)))
    logits = tf.Variable(logits, dtype=tf.float64)
    with tf.GradientTape() as tape:
        each = log_q(logits, draws)  # [draws, S]
        log_p = tf.gather_nd(log_joint, draws)
        weights = log_p - each
        bound = tf.reduce_logsumexp(weights, -1) - math.log(samples)
        probability = tf.exp(tf.reduce_sum(each, -1))
        expected = tf.reduce_sum(probability * bound)
    return tape.gradient(expected, logits).numpy()


@pytest.mark.parametrize("samples", [2, 3])
def test_vimcos_gradient_has_no_bias(samples):
    """Falsely fails with a chance below 1e-4: 6 entries, 4.5 deviations."""
    logits, log_joint = toy()
    count, rng = 60_000, np.random.default_rng(samples)
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    latents = np.stack(
        [rng.choice(VALUES, [samples, count], p=p) for p in probs], axis=-1
    )
    # One copy of the logits for each estimate: a gradient of its own.
    copies = tf.Variable(np.tile(logits, [count, 1, 1]), dtype=tf.float32)
    with tf.GradientTape() as tape:
        log_probs = tf.nn.log_softmax(copies)  # [N, 2, V]
        picked = tf.reduce_sum(log_probs * tf.one_hot(latents, VALUES), -1)
        each = tf.reduce_sum(picked, -1)  # [S, N]
        log_p = tf.gather_nd(log_joint.astype(np.float32), latents)
        surrogate = tf.reduce_sum(vimco_surrogate(log_p - each, each))
    estimates = tape.gradient(surrogate, copies).numpy()
    expected = exact_gradient(logits, log_joint, samples)
    error = estimates.std(axis=0) / math.sqrt(count)
    deviation = (estimates.mean(axis=0) - expected) / error
    assert np.abs(deviation).max() < 4.5
    assert np.abs(expected).max() > 20 * error.max()  # the test can tell
