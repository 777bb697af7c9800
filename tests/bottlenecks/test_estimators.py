"""Bounds of several samples, and VIMCO's gradient against enumeration."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.bottlenecks import IndependentCategorical
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


def enumerated(layer, latents, log_px):
    """E[log mean weights] of two draws of two codes, over all draws."""
    pairs = np.array(list(itertools.product(range(VALUES), repeat=2)))
    draws = np.array(list(itertools.product(pairs, repeat=2)))  # [81, S, G]
    each = log_q(tf.reshape(latents, [2, VALUES]), draws)
    log_p = log_px(layer.embed(draws)) - 2 * math.log(VALUES)
    bound = tf.reduce_logsumexp(log_p - each, -1) - math.log(2)
    return tf.reduce_sum(tf.exp(tf.reduce_sum(each, -1)) * bound)


def test_the_bottlenecks_gradients_have_no_bias():
    """Of the encoder and of the decoder's side, through sample and objective.

    Falsely fails with a chance below 1e-4: 12 entries, 4.5 deviations.
    """
    layer = IndependentCategorical(VALUES, 1, 2, num_samples=2)
    layer.build()
    rng = np.random.default_rng(5)
    layer.embeddings.assign(rng.normal(size=layer.embeddings.shape))
    logits = tf.Variable(rng.normal(size=[2 * VALUES]), dtype=tf.float32)
    sources = [logits, layer.embeddings]

    def log_px(z):
        return -2.0 * (tf.reduce_sum(z, -1) - 0.7) ** 2

    @tf.function
    def estimate(seed, rows=400):
        with tf.GradientTape() as tape:
            latents = tf.tile(logits[None, None], [rows, 1, 1])
            draw = layer.sample(latents, 2, seed=seed)
            log_weights = tf.reshape(log_px(draw.z), [2, rows])
            surrogate, bound, _ = layer.objective(log_weights, draw, latents)
            mean = tf.reduce_mean(surrogate)
        return tf.reduce_mean(bound), tape.gradient(mean, sources)

    with tf.GradientTape() as tape:
        value = enumerated(layer, logits, log_px)
    expected = tape.gradient(value, sources)
    found = [estimate(tf.constant([7, n])) for n in range(200)]
    bounds = np.array([bound for bound, _ in found])
    error = bounds.std() / math.sqrt(len(found))
    assert abs(bounds.mean() - float(value)) < 4.5 * error
    for i, exact in enumerate(expected):
        each = np.array([tf.convert_to_tensor(g[i]).numpy() for _, g in found])
        error = each.std(axis=0) / math.sqrt(len(found))
        assert np.all(np.abs(each.mean(axis=0) - exact) < 4.5 * error)
        assert np.abs(exact).max() > 20 * error.max()  # the test can tell
