"""TD-VAE: its objective, its bound, its rollouts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support.harness import (
    assert_all_get_gradients,
    run_two_replica_test,
    saved_and_loaded,
)
from support.sequences import SIDE, TIME, frames, small
from vqvae_tf.models import TDVAE


def make(scale=0.3, **options):
    defaults = dict(latent_sizes=(2, 3), hidden_units=6, gaps=[(1, 3)])
    return small(TDVAE, scale, **{**defaults, **options})


def numbers(decoder_sizes=(2,)):
    """A model of sequences of vectors, whose decoder is a Gaussian."""
    return TDVAE(
        keras.layers.Dense(4, "tanh"),
        keras.layers.GRU(5, return_sequences=True),
        vq.densities.LayeredGaussian(decoder_sizes, 3),
        preprocess=keras.layers.Identity(),
        event_shape=(2,),
        latent_sizes=(3,),
        hidden_units=6,
        gaps=[(1, 2)],
    )


def test_objective_by_hand():
    """From the distributions of the parts, term by term (equation 6)."""
    model, x = make(), frames()
    _, _, metrics = model.compute_losses(x)
    noise = model.rows_noise(4, 13).numpy()
    b = model.belief(x).numpy()
    first, second = model._gaps.draw(noise[:, :3], tf.fill([4], TIME))
    eps2, eps1 = np.split(tf.math.ndtri(noise[:, 3:]).numpy(), 2, axis=1)
    for i, (t1, t2) in enumerate(zip(first.numpy(), second.numpy())):
        b1, b2 = b[i : i + 1, t1], b[i : i + 1, t2]
        z2, later = model.belief_density.transform(
            eps2[i : i + 1], {"global": b2}
        )
        (told,) = model._told(tf.constant([t2 - t1]))
        z1, q = model.smoothing.transform(
            eps1[i : i + 1],
            {"global": np.concatenate([b1, b2, z2, told], axis=1)},
        )
        after = {"global": np.concatenate([z1, told], axis=1)}
        expected = {
            "log_px": model.decoder.log_prob(
                x[i : i + 1, t2], {"local": z2[:, None, None]}
            ),
            "log_belief": later.log_prob(z2),
            "log_transition": model.transition.log_prob(z2, after),
            "smoothing_kl": q.kl_divergence(
                model.belief_density.given(z1, {"global": b1})
            ),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(
                metrics[name][i], value[0], rtol=2e-4, err_msg=name
            )
    np.testing.assert_allclose(
        metrics["objective"],
        metrics["log_px"]
        - metrics["smoothing_kl"]
        + metrics["log_transition"]
        - metrics["log_belief"],
        rtol=1e-5,
    )


def test_gradients_reach_all_parts_and_both_beliefs():
    model, x = make(), frames()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.compute_losses(x)[0])
    assert_all_get_gradients(tape, loss, model.trainable_variables)
    b = tf.Variable(model.belief(x)[:1])
    first, second = tf.constant([[1]]), tf.constant([[4]])
    with tf.GradientTape() as tape:
        terms = model._terms(b, x[:1], first, second, tf.ones([1, 10]))
        kl = terms.smoothing.kl_divergence(terms.earlier)
        total = terms.log_px - kl + terms.log_transition - terms.log_belief
    used = np.abs(tape.gradient(total, b).numpy()).max(axis=(0, 2)) > 0
    assert np.flatnonzero(used).tolist() == [1, 4]


def test_beliefs_see_no_later_frame():
    model, x = make(), frames()
    changed = x.copy()
    changed[:, 4:] = 255 - changed[:, 4:]
    before, after = model.belief(x).numpy(), model.belief(changed).numpy()
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.all(before[:, 4:] != after[:, 4:])


def test_an_example_does_not_depend_on_the_others():
    model, x = make(), frames()
    alone = model.compute_losses(x[:1])[0]
    together = model.compute_losses(np.concatenate([x[:1], frames(3)]))[0]
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5)


def test_masked_frames_do_not_matter():
    model, x = make(num_pairs=5), frames()
    mask = np.ones([4, TIME], np.float32)
    mask[1, 5:] = mask[2, 2:] = mask[3, 1:] = 0
    losses = model.compute_losses(x, weight=mask)[0].numpy()
    changed = np.where(mask[..., None, None, None] > 0, x, 255 - x)
    again = model.compute_losses(changed, weight=mask)[0].numpy()
    np.testing.assert_array_equal(losses, again)
    assert losses[3] == 0 and np.all(losses[:3] > 0)  # one frame: no pair
    full = model.compute_losses(x)[0].numpy()
    np.testing.assert_allclose(losses[0], full[0], rtol=1e-5)


def test_bound_tightens_and_both_proposals_agree():
    model, x = make(scale=0.1), frames(batch=2, time=4)
    # Proposals wider than what they stand for, so that no weight is huge.
    _set_log_scales(model.belief_density, 0.3)
    _set_log_scales(model.smoothing, 0.6)
    one, few = (
        np.mean([model.log_prob(x, 2, n, seed) for seed in range(30)], axis=0)
        for n in (1, 20)
    )
    many = {
        proposal: model.log_prob(x, 2, 40_000, proposal=proposal).numpy()
        for proposal in ("smoothing", "belief")
    }
    assert np.all(one < few) and np.all(few < many["smoothing"] + 0.02)
    np.testing.assert_allclose(many["smoothing"], many["belief"], atol=0.05)


def _set_log_scales(density, value):
    for layer in density.outputs_of:
        half = layer.units // 2
        kernel, bias = layer.get_weights()
        kernel[:, half:] = 0
        bias[half:] = value
        layer.set_weights([kernel, bias])


def test_rollouts():
    model, x = make(), frames(batch=2)
    drawn = model.rollout(x, steps=3, num_futures=2, seed=1)
    assert drawn.shape == (4, 3, SIDE, SIDE, 1) and drawn.dtype == tf.uint8
    again = model.rollout(x, times=[1, 2, 3], num_futures=2, seed=1)
    np.testing.assert_array_equal(drawn, again)
    latents = model.rollout_context(x, times=[2, 5], temperature=0.0, seed=1)
    other = model.rollout_context(x, times=[2, 5], temperature=0.0, seed=2)
    np.testing.assert_array_equal(latents, other)
    b = model.belief(x)[:, -1]
    z = model.belief_density.mode({"global": b})
    for number, gap in enumerate((2, 3)):
        (told,) = model._told(tf.fill([2], gap))
        z = model.transition.mode({"global": tf.concat([z, told], axis=-1)})
        np.testing.assert_allclose(latents[:, number], z, rtol=1e-5)


def test_sequences_of_numbers():
    model = numbers()
    model.compile(keras.optimizers.Adam(1e-2))
    x = np.random.default_rng(0).normal(size=[8, 6, 2]).astype(np.float32)
    before = model.evaluate(x, verbose=0, return_dict=True)
    model.fit(x, epochs=20, verbose=0)
    after = model.evaluate(x, verbose=0, return_dict=True)
    assert after["objective"] > before["objective"]
    assert model.rollout(x, times=[2], seed=0).shape == (8, 1, 2)


def test_saving_and_weights():
    model, x = make(gap_weights=[1.0], num_pairs=2), frames()
    loaded = saved_and_loaded(model)
    np.testing.assert_array_equal(loaded.belief(x), model.belief(x))
    np.testing.assert_array_equal(
        loaded.rollout(x, 2, seed=4), model.rollout(x, 2, seed=4)
    )
    assert loaded.gaps == model.gaps and loaded.num_pairs == 2


def test_two_replicas():
    def compiled():
        model = make()
        model.compile(keras.optimizers.SGD(0.05))
        return model

    run_two_replica_test(
        compiled, tf.data.Dataset.from_tensor_slices(frames()).batch(4)
    )


@pytest.mark.parametrize(
    "call, expected",
    [
        (lambda m, x: m.compute_losses(x[:, :3]), "longer than the longest"),
        (lambda m, x: m.belief(x[:, 0]), r"\[batch, time, 4, 4, 1\]"),
        (lambda m, x: m.belief(x // 255), "look"),
        (lambda m, x: m.rollout(x), "either steps or times"),
        (lambda m, x: m.rollout(x, 2, [1]), "either steps or times"),
        (lambda m, x: m.rollout(x, times=[2, 2]), "must increase"),
        (lambda m, x: m.rollout(x, times=[0]), "must increase"),
        (lambda m, x: m.rollout(x, times=[9]), "trained to jump by 1 to 3"),
        (lambda m, x: m.log_prob(x[:, :2], 2), "Give a longer clip"),
        (lambda m, x: m.log_prob(x, proposal="q"), "proposal"),
        (lambda m, x: m.fit(x, {"global": x}), "frames alone"),
        (
            lambda m, x: TDVAE(m.encoder, keras.layers.LSTM(3), m.decoder),
            "return_sequences=True",
        ),
    ],
)
def test_refusals(call, expected):
    model = make()
    model.compile("sgd")
    with pytest.raises(ValueError, match=expected):
        call(model, frames())


@pytest.mark.parametrize("option", ["go_backwards", "stateful"])
def test_beliefs_see_the_past_and_nothing_else(option):
    layer = keras.layers.LSTM(3, return_sequences=True, **{option: True})
    with pytest.raises(ValueError, match=f"'{option}': True"):
        TDVAE(keras.layers.Flatten(), layer, numbers().decoder)


def test_long_sequences_are_read_in_a_loop():
    """And have the same beliefs as those that are not."""
    model = numbers()
    x = np.random.default_rng(0).normal(size=[2, 40, 2]).astype(np.float32)
    whole, start = model.belief(x), model.belief(x[:, :30])
    np.testing.assert_allclose(whole[:, :30], start, atol=1e-6)
