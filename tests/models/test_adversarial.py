"""The losses of two players, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from vqvae_tf.models import adversarial

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(0, 2, [2, 3, 4, 4, 1]).astype(np.float32)


def mean(x):
    return x.reshape(len(x), -1).mean(-1)


def softplus(x):
    return np.logaddexp(0, np.float64(x))


def test_losses_by_hand():
    hinge = 0.5 * (
        mean(np.maximum(1 - REAL, 0)) + mean(np.maximum(1 + FAKE, 0))
    )
    entropy = 0.5 * (mean(softplus(-REAL)) + mean(softplus(FAKE)))
    for kind, of_judge, of_generator in (
        ("hinge", hinge, -mean(FAKE)),
        ("non_saturating", entropy, mean(softplus(-FAKE))),
    ):
        found = adversarial.discriminator_loss(REAL, FAKE, kind)
        np.testing.assert_allclose(found, of_judge, rtol=1e-5)
        found = adversarial.generator_loss(FAKE, kind)
        np.testing.assert_allclose(found, of_generator, rtol=1e-5)


def test_penalty_of_a_known_discriminator():
    """Of D(x) = sum(w x) the gradient is w, whatever x is."""
    w = RNG.normal(size=[4, 4, 3]).astype(np.float32)

    def judge(x):
        total = tf.reduce_sum(x * w, axis=(1, 2, 3))
        return tf.reshape(total, [-1, 1, 1, 1])

    x = tf.constant(RNG.normal(size=[2, 4, 4, 3]), tf.float32)
    found = adversarial.gradient_penalty(judge, x)
    np.testing.assert_allclose(found, [0.5 * (w**2).sum()] * 2, rtol=1e-5)


def test_the_penalty_has_a_gradient_for_the_discriminator():
    layer = keras.layers.Conv2D(1, 3)
    x = tf.constant(RNG.normal(size=[2, 4, 4, 3]), tf.float32)
    with tf.GradientTape() as tape:
        found = tf.reduce_sum(adversarial.gradient_penalty(layer, x))
    assert np.any(tape.gradient(found, layer.kernel))


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.sampled_from([1.0, 2e4]))
def test_the_adversary_then_pulls_as_much(a, b, scale):
    """Whatever both have been multiplied by."""
    one, other = RNG.normal(size=[2, 50]).astype(np.float32)
    weight = adversarial.adaptive_weight(
        scale * a * one, scale * b * other, scale
    )
    sizes = np.linalg.norm(a * one), np.linalg.norm(b * other)
    expected = min(sizes[0] / (sizes[1] + 1e-4), 1e4)
    np.testing.assert_allclose(weight, expected, rtol=1e-4)


def test_limits_of_the_adaptive_weight():
    one = tf.ones([3])
    assert adversarial.adaptive_weight(one, tf.zeros([3])) == 1e4
    assert adversarial.adaptive_weight(tf.zeros([3]), one) == 0
    for bad in (float("inf"), float("nan")):
        assert adversarial.adaptive_weight(one * bad, one * bad) == 0


def test_the_adaptive_weight_has_no_gradient():
    one = tf.ones([3])
    with tf.GradientTape() as tape:
        tape.watch(one)
        weight = adversarial.adaptive_weight(2 * one, one)
    assert tape.gradient(weight, one) is None


@pytest.mark.parametrize("length", [0, 1])
def test_a_ramp_of_one_step(length):
    shares = [
        float(adversarial.ramp(tf.constant(n), 3, length)) for n in range(6)
    ]
    assert shares == [0, 0, 0, 1, 1, 1]
