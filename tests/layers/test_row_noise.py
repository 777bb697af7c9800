"""Noise of the rows of the global batch, and what is saved of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import assert_weights_round_trip, two_replicas
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.runtime import random


class Scaled(keras.layers.Layer):
    """A base with a variable of its own, and a metric's worth of state."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(3,), name="scale")
        self.built = True


class NoisyScaled(RowNoise, Scaled):
    def call(self, inputs):
        return inputs * self.scale + self.uniform(
            tf.shape(inputs), self.next_seed()
        )


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    shape=st.lists(st.integers(1, 4), max_size=3),
    seed=st.integers(-(2**31), 2**31 - 1),
)
@settings(max_examples=20, deadline=None)
def test_rows_do_not_depend_on_the_batch_split(sizes, shape, seed):
    layer = RowNoise(seed=0)
    whole = layer.uniform([sum(sizes), *shape], seed)
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [
        layer.uniform([rows, *shape], seed, first_row=start)
        for rows, start in zip(sizes, starts)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    expected = random.uniform_rows(whole.shape, random.make_seed(seed))
    np.testing.assert_array_equal(whole, expected)


def test_each_call_has_its_own_seed():
    layer, again = RowNoise(seed=5), RowNoise(seed=5)
    seeds = np.stack([layer.next_seed() for _ in range(4)])
    assert seeds.dtype == np.int32
    assert len(np.unique(seeds, axis=0)) == 4
    np.testing.assert_array_equal(seeds[0], [5, 0])
    np.testing.assert_array_equal(again.next_seed(), seeds[0])


def test_without_noise_there_is_no_state():
    assert RowNoise(noisy=False).variables == []
    assert len(RowNoise().variables) == 1


def test_replicas_draw_what_one_would():
    one = RowNoise(seed=7)
    expected = [one.uniform([6, 5], one.next_seed()) for _ in range(3)]
    strategy = two_replicas()
    with strategy.scope():
        layer = RowNoise(seed=7)
    draw = tf.function(
        lambda: strategy.run(lambda: layer.uniform([3, 5], layer.next_seed()))
    )
    for whole in expected:
        rows = strategy.experimental_local_results(draw())
        np.testing.assert_array_equal(tf.concat(rows, axis=0), whole)


def test_what_was_drawn_is_saved_beside_the_weights():
    def make(seed):
        layer = NoisyScaled(seed=seed)
        return keras.Sequential([keras.Input((3,)), layer])

    x = tf.ones([2, 3])
    model, fresh = make(seed=1), make(seed=2)
    model.layers[0].scale.assign([1.0, 2.0, 3.0])
    model(x)
    assert_weights_round_trip(model, fresh)
    np.testing.assert_array_equal(fresh(x), model(x))


def test_weights_of_a_file_without_drawn_numbers():
    layer = NoisyScaled(seed=1)
    layer.build((None, 3))
    layer.load_own_variables({"0": np.array([4.0, 5.0, 6.0])})
    np.testing.assert_array_equal(layer.scale, [4.0, 5.0, 6.0])
    np.testing.assert_array_equal(layer.next_seed(), [1, 0])


def test_missing_weights_are_an_error():
    layer = NoisyScaled(seed=1)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="expected 1 variables"):
        layer.load_own_variables({"drawn": np.array([1, 0])})
