"""The recurrent model of the next frame."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support.harness import assert_all_get_gradients, saved_and_loaded
from support.sequences import SIDE, TIME, frames, small
from vqvae_tf.models import NextFrameModel

make = lambda: small(NextFrameModel)  # noqa: E731


def test_objective_by_hand():
    model, x = make(), frames()
    _, _, metrics = model.compute_losses(x)
    b, expected = model.belief(x), 0
    for t in range(TIME - 1):
        local = {"local": b[:, t, None, None]}
        expected += model.decoder.log_prob(x[:, t + 1], local).numpy()
    expected /= TIME - 1
    np.testing.assert_allclose(metrics["objective"], expected, rtol=1e-5)
    mask = np.ones([4, TIME], np.float32)
    mask[1, 3:] = mask[2, 1:] = 0
    losses = model.compute_losses(x, weight=mask)[0].numpy()
    changed = np.where(mask[..., None, None, None] > 0, x, 255 - x)
    again = model.compute_losses(changed, weight=mask)[0].numpy()
    np.testing.assert_array_equal(losses, again)
    assert losses[2] == 0 and np.all(losses[[0, 1, 3]] > 0)


def test_gradients_reach_all_parts():
    model = make()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.compute_losses(frames())[0])
    assert_all_get_gradients(tape, loss, model.trainable_variables)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_futures_read_what_they_draw(kind):
    """As if the drawn frames had been given."""
    keras.utils.set_random_seed(0)
    model = NextFrameModel(
        keras.layers.Dense(4, "tanh"),
        getattr(keras.layers, kind)(5, return_sequences=True),
        vq.densities.LayeredGaussian((2,), 5),
        preprocess=keras.layers.Identity(),
        event_shape=(2,),
    )
    x = np.random.default_rng(0).normal(size=[3, 4, 2]).astype(np.float32)
    drawn = model.rollout(x, 3, temperature=0.0, seed=0).numpy()
    for step in range(3):
        so_far = np.concatenate([x, drawn[:, :step]], axis=1)
        mode = model.decoder.mode({"global": model.belief(so_far)[:, -1]})
        np.testing.assert_allclose(drawn[:, step], mode, atol=1e-5)
    later = model.rollout(x, times=[1, 3], temperature=0.0, seed=0)
    np.testing.assert_allclose(later, drawn[:, [0, 2]], atol=1e-6)


def test_next_frame_has_its_exact_probability():
    model, x = make(), frames()
    b = model.belief(x)[:, -2]
    expected = model.decoder.log_prob(x[:, -1], {"local": b[:, None, None]})
    found = model.log_weights(x, 1, 3)
    np.testing.assert_allclose(found, np.tile(expected, [3, 1]), rtol=1e-5)
    two = model.log_weights(x, 2, 50).numpy()
    assert np.all(two.std(axis=0) > 0)


def test_saving():
    model, x = make(), frames()
    loaded = saved_and_loaded(model)
    found = loaded.rollout(x, 2, num_futures=2, seed=4)
    assert found.shape == (8, 2, SIDE, SIDE, 1)
    np.testing.assert_array_equal(
        found, model.rollout(x, 2, num_futures=2, seed=4)
    )
