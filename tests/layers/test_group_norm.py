"""Group normalization equals Keras', gradients of gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.layers import GroupNorm


def example(*shape):
    rng = np.random.default_rng(0)
    return (3 * rng.normal(size=shape) + 5).astype(np.float32)


def pair(x, **options):
    """Returns ours and Keras', with equal random weights."""
    layers = [
        cls(2, epsilon=1e-5, **options)
        for cls in (GroupNorm, keras.layers.GroupNormalization)
    ]
    rng = np.random.default_rng(1)
    for layer in layers:
        layer(x)
    values = [rng.normal(size=v.shape) for v in layers[0].variables]
    for layer in layers:
        layer.set_weights(values)
    return layers


@pytest.mark.parametrize(
    "shape", [(2, 6), (2, 5, 6), (2, 5, 3, 4), (1, 2, 3, 2, 8)]
)
@pytest.mark.parametrize("options", [{}, dict(scale=False, center=False)])
def test_keras_results(shape, options):
    x = example(*shape)
    ours, theirs = pair(x, **options)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_keras_gradients_and_those_of_their_squares():
    """The second are of a penalty such as R1."""
    x = tf.constant(example(2, 5, 3, 4))
    weight = example(2, 5, 3, 4) - 5

    def gradients(layer):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x) ** 3 * weight)
            first = inner.gradient(loss, x)
            penalty = tf.reduce_sum(first**2)
        return [first, *outer.gradient(penalty, [x, layer.gamma])]

    for a, b in zip(*map(gradients, pair(x))):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a / scale, b / scale, atol=2e-5)


def test_a_mean_far_from_0():
    """In float32 a mean of squares would have lost the variance."""
    x = example(2, 8, 8, 4) + 1e4
    ours, _ = pair(x, scale=False, center=False)
    found = ours(x).numpy().reshape(2, 64, 2, 2)
    np.testing.assert_allclose(found.std((1, 3)), 1, rtol=1e-2)


@pytest.mark.slow
def test_all_of_a_layer():
    run_layer_test(
        lambda **options: GroupNorm(2, **options),
        example(2, 4, 3, 4),
        (2, 4, 3, 4),
    )


def test_another_axis():
    with pytest.raises(ValueError, match="of the last axis.*axis=1"):
        GroupNorm(2, axis=1)(example(2, 4, 3, 4))
