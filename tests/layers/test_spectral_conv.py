"""Spectral normalization against NumPy's singular values."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.layers import SpectralConv2D


def made():
    layer = SpectralConv2D(4, 3, padding="same")
    x = np.random.default_rng(0).normal(size=[2, 6, 6, 3]).astype(np.float32)
    layer(x)
    layer.bias.assign([1.0, -1.0, 0.5, 0.0])
    return layer, x


def largest(layer):
    matrix = np.float64(layer.kernel).reshape(-1, 4)
    return np.linalg.svd(matrix, compute_uv=False)[0]


@pytest.mark.slow
def test_all_of_a_layer():
    run_layer_test(
        lambda **options: SpectralConv2D(4, 3, padding="same", **options),
        made()[1],
        (2, 6, 6, 4),
        float32_state="direction",
    )


def test_kernels_are_divided_by_their_largest_singular_value():
    layer, x = made()
    for _ in range(100):
        layer(x, training=True)
    plain = tf.nn.conv2d(x, tf.convert_to_tensor(layer.kernel), 1, "SAME")
    expected = plain / largest(layer) + layer.bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_the_estimate_rests_outside_training_and_where_frozen():
    layer, x = made()
    before = layer.direction.numpy()
    layer(x)
    layer.trainable = False
    layer(x, training=True)
    np.testing.assert_array_equal(layer.direction, before)


def test_activations_and_kernels_of_zeros():
    layer = SpectralConv2D(4, 3, activation="relu")
    x = made()[1]
    assert np.all(layer(x) >= 0) and np.any(layer(x))
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    np.testing.assert_array_equal(layer(x, training=True), 0)


def test_gradient_is_that_of_the_normalized_kernel():
    """Along the kernel itself it is 0: its size does not matter."""
    layer, x = made()
    for _ in range(100):
        layer(x, training=True)
    weight = np.random.default_rng(1).normal(size=[2, 6, 6, 4])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x) * weight.astype(np.float32))
    gradient = tape.gradient(total, layer.kernel).numpy()
    kernel = layer.kernel.numpy()
    along = (gradient * kernel).sum()
    assert abs(along) < 1e-3 * np.linalg.norm(gradient) * np.linalg.norm(kernel)
