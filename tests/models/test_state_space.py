"""State-space models: their bound, their futures."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import (
    assert_all_get_gradients,
    run_two_replica_test,
    saved_and_loaded,
)
from support.sequences import SIDE, TIME, frames, small
from vqvae_tf.models import StateSpaceModel

both = pytest.mark.parametrize("posterior", ["filtering", "mean_field"])


def make(posterior, **options):
    sizes = dict(latent_sizes=(2, 3), hidden_units=6)
    return small(StateSpaceModel, posterior=posterior, **sizes, **options)


@both
def test_bound_by_hand(posterior):
    """A latent at a time, from the distributions of the parts."""
    model, x = make(posterior), frames()
    _, _, metrics = model.compute_losses(x)
    noise = model.rows_noise(4, TIME * 5).numpy().reshape(4, TIME, 5)
    eps, b = tf.math.ndtri(noise), model.belief(x)
    before, log_px, kl = tf.zeros([4, 5]), 0, 0
    for t in range(TIME):
        seen = [b[:, t]]
        if posterior == "filtering":
            seen.insert(0, before)
        z, q = model.inference.transform(
            eps[:, t], {"global": tf.concat(seen, axis=-1)}
        )
        p = model.transition.given(z, {"global": before})
        kl += q.kl_divergence(p).numpy() / TIME
        local = {"local": z[:, None, None]}
        log_px += model.decoder.log_prob(x[:, t], local).numpy() / TIME
        before = z
    np.testing.assert_allclose(metrics["kl"], kl, rtol=2e-4)
    np.testing.assert_allclose(metrics["log_px"], log_px, rtol=2e-4)
    np.testing.assert_allclose(metrics["objective"], log_px - kl, rtol=2e-4)


@both
def test_gradients_reach_all_parts(posterior):
    model = make(posterior)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.compute_losses(frames())[0])
    assert_all_get_gradients(tape, loss, model.trainable_variables)


@both
def test_masked_frames_do_not_matter(posterior):
    model, x = make(posterior), frames()
    mask = np.ones([4, TIME], np.float32)
    mask[1, 5:] = mask[2, 2:] = 0
    losses = model.compute_losses(x, weight=mask)[0].numpy()
    changed = np.where(mask[..., None, None, None] > 0, x, 255 - x)
    again = model.compute_losses(changed, weight=mask)[0].numpy()
    np.testing.assert_array_equal(losses, again)
    full = model.compute_losses(x)[0].numpy()
    np.testing.assert_allclose(losses[0], full[0], rtol=1e-5)
    assert np.all(losses[1:3] != full[1:3])


@both
def test_futures_start_from_the_inferred_state(posterior):
    """At temperature 0: the mean of q at each step, then of the transition."""
    model, x = make(posterior), frames(batch=2)
    found = model.rollout_context(x, times=[2, 5], temperature=0.0, seed=1)
    b, z = model.belief(x), tf.zeros([2, 5])
    for t in range(TIME):
        seen = [b[:, t]]
        if posterior == "filtering":
            seen.insert(0, z)
        z = model.inference.mode({"global": tf.concat(seen, axis=-1)})
    for step in range(1, 6):
        z = model.transition.mode({"global": z})
        if step in (2, 5):
            np.testing.assert_allclose(
                found[:, (2, 5).index(step)], z, rtol=1e-4, atol=1e-5
            )
    drawn = model.rollout(x, 3, num_futures=2, seed=1)
    assert drawn.shape == (4, 3, SIDE, SIDE, 1)
    assert np.any(drawn[0] != drawn[1])


@both
def test_bound_on_a_later_frame_tightens(posterior):
    model, x = make(posterior), frames(batch=3)
    one, few = (
        np.mean([model.log_prob(x, 2, n, seed) for seed in range(30)], axis=0)
        for n in (1, 30)
    )
    assert np.all(one < few)


@both
def test_saving(posterior):
    model, x = make(posterior), frames()
    loaded = saved_and_loaded(model)
    np.testing.assert_array_equal(
        loaded.rollout(x, 2, seed=4), model.rollout(x, 2, seed=4)
    )
    assert loaded.posterior == posterior


def test_two_replicas():
    def compiled():
        model = make("filtering")
        model.compile(keras.optimizers.SGD(0.05))
        return model

    run_two_replica_test(
        compiled, tf.data.Dataset.from_tensor_slices(frames()).batch(4)
    )


def test_refuses_another_posterior():
    with pytest.raises(ValueError, match="filtering.*Received: 'smoothing'"):
        make("smoothing")
    with pytest.raises(ValueError, match="must increase"):
        make("filtering").rollout(frames(), times=[3, 1])
