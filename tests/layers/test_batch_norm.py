"""Batch normalisation against NumPy, with padding and on two replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import two_replicas
from vqvae_tf.layers.batch_norm import BatchNorm


def example(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (3 * rng.normal(size=shape) + 1).astype(np.float32)


def normalized(x, mean, variance):
    return (x - mean) / np.sqrt(variance + 1e-6)


def test_moments_of_the_batch_and_their_moving_averages():
    x, layer = example(4, 5, 6, 3), BatchNorm(momentum=0.9)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    y = layer(x, training=True)
    np.testing.assert_allclose(y, normalized(x, mean, variance), atol=1e-5)
    expected = normalized(x, 0.1 * mean, 0.9 + 0.1 * variance)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("per_row", [False, True])
def test_padding_is_in_no_moment(per_row):
    x = example(4, 5, 3)
    weight = np.ones([4] if per_row else [4, 5], np.float32)
    weight[2:] = 0
    layer = BatchNorm()
    y = layer(x, training=True, weight=weight)
    kept = x[:2]
    expected = normalized(x, kept.mean((0, 1)), kept.var((0, 1)))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        layer.moving_mean, 0.01 * kept.mean((0, 1)), rtol=1e-4
    )


def test_gradient_of_keras():
    """Theirs is of mean and variance too."""
    x, weight = example(4, 5, 3), example(4, 5, 3, seed=1)
    theirs = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-6
    )

    def gradient(layer):
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(layer(given, training=True) ** 3 * weight)
        return tape.gradient(loss, given)

    np.testing.assert_allclose(
        gradient(BatchNorm()), gradient(theirs), rtol=1e-3, atol=1e-4
    )


def test_two_replicas_are_one():
    """Outputs, gradients and moving averages, where shares differ."""
    x, weight = example(4, 5, 3), np.ones([4, 5], np.float32)
    weight[3, 1:] = 0

    def step(layer, given, kept):
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = layer(given, training=True, weight=kept)
            loss = tf.reduce_sum(y**3 * kept[..., None])
        return y, tape.gradient(loss, given)

    one = BatchNorm()
    expected = step(one, tf.constant(x), tf.constant(weight))
    strategy = two_replicas()
    with strategy.scope():
        two = BatchNorm()
        two.build(x.shape)
    data = tf.data.Dataset.from_tensor_slices((x, weight)).batch(4)
    ((given, kept),) = strategy.experimental_distribute_dataset(data)
    run = tf.function(lambda *a: strategy.run(lambda *b: step(two, *b), args=a))
    for found, wanted in zip(run(given, kept), expected):
        rows = strategy.experimental_local_results(found)
        np.testing.assert_allclose(
            tf.concat(rows, 0), wanted, rtol=1e-4, atol=1e-4
        )
    for a, b in zip(one.variables, two.variables):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_saved_and_half_precision(tmp_path):
    inputs = keras.Input([None, 3])
    model = keras.Model(inputs, BatchNorm(0.5)(inputs))
    model(example(4, 5, 3), training=True)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = example(2, 5, 3, seed=1)
    np.testing.assert_array_equal(again(x), model(x))
    y = BatchNorm(dtype="mixed_bfloat16")(tf.cast(x, tf.bfloat16))
    assert y.dtype == tf.bfloat16
    with pytest.raises(ValueError, match="momentum"):
        BatchNorm(momentum=1.5)
