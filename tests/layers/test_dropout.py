"""Dropout: its rate, its expectation, and no dependence on replicas."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test, two_replicas
from vqvae_tf import Dropout


def test_as_any_layer():
    x = np.random.default_rng(0).normal(size=[4, 5, 6]).astype(np.float32)
    run_layer_test(functools.partial(Dropout, 0.25), x, x.shape)


def test_share_and_scale():
    """Kept ones are x / (1 - rate); 5 sigma of the share is 0.0046."""
    layer = Dropout(0.3, seed=1)
    y = layer(tf.ones([100, 50, 50]), training=True).numpy()
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(1 / (1 - 0.3))}
    assert abs(np.mean(y == 0) - 0.3) < 0.0046


def test_only_in_training():
    x = tf.random.normal([3, 4])
    np.testing.assert_array_equal(Dropout(0.9)(x), x)
    np.testing.assert_array_equal(Dropout(0)(x, training=True), x)


def test_each_call_draws_anew():
    layer, x = Dropout(0.5, seed=2), tf.ones([8, 100])
    first, second = layer(x, training=True), layer(x, training=True)
    assert 0.3 < np.mean(first.numpy() != second.numpy()) < 0.7
    again = Dropout(0.5, seed=2)(x, training=True)
    np.testing.assert_array_equal(first, again)


def test_gradient_passes_where_kept():
    layer, x = Dropout(0.5, seed=2), tf.ones([8, 100])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


def test_replicas_drop_what_one_would():
    x = tf.reshape(tf.range(1, 25, dtype=tf.float32), [4, 6])
    expected = Dropout(0.5, seed=7)(x, training=True)
    strategy = two_replicas()
    with strategy.scope():
        layer = Dropout(0.5, seed=7)
    parts = iter(
        strategy.experimental_distribute_dataset(
            tf.data.Dataset.from_tensors(x).unbatch().batch(4)
        )
    )
    run = tf.function(
        lambda part: strategy.run(lambda p: layer(p, training=True), (part,))
    )
    rows = strategy.experimental_local_results(run(next(parts)))
    np.testing.assert_array_equal(tf.concat(rows, axis=0), expected)


@pytest.mark.parametrize("rate", [-0.1, 1.5, "0.5"])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match="must be a number in"):
        Dropout(rate)


def test_state_is_saved(tmp_path):
    model = keras.Sequential([keras.Input((6,)), Dropout(0.5, seed=7)])
    x = tf.ones([2, 6])
    model(x, training=True)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        again(x, training=True), model(x, training=True)
    )
