"""A density and the network of its context, as one density."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import (
    assert_all_get_gradients,
    check_saving_after_fit,
    run_density_test,
    run_two_replica_test,
)
from vqvae_tf import ConditionalDensity, PastFrames
from vqvae_tf.presets import load
from vqvae_tf.runtime.adam import Adam

K, P = 8, 2


def make(action_dropout=0.0, num_codebooks=1, **kwargs):
    """A density that says more of its context than at the start."""
    network = PastFrames(
        K,
        P,
        num_actions=5,
        embedding_dim=3,
        hidden_channels=8,
        num_residual_layers=1,
        action_dropout=action_dropout,
        seed=1,
    )
    inner = small.prior(num_codebooks, local_channels=8, num_layers=1)
    density = ConditionalDensity(network, inner, **kwargs)
    density.build()
    rng = np.random.default_rng(1)
    variables = list(network.trainable_variables)
    if density.marginals is not None:
        variables += density.marginals.trainable_variables
    for v in variables:
        v.assign(v + 0.2 * rng.normal(size=v.shape))
    return density


def code_maps(batch=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, [batch, 4, 4], dtype=np.int32)


def past_and_action(batch=4, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "past": rng.integers(0, K, [batch, P, 4, 4], dtype=np.int32),
        "action": np.arange(batch, dtype=np.int32) % 5,
    }


@pytest.fixture(scope="module")
def density():
    keras.utils.set_random_seed(0)
    return make()


def test_is_the_density_given_what_the_network_says(density):
    codes, context = code_maps(), past_and_action()
    inner = density.network(context)
    assert set(inner) == {"local"}
    mask = np.random.default_rng(0).integers(0, 2, [4, 4, 4])
    for options in ({}, {"mask": mask}):
        np.testing.assert_array_equal(
            density.log_prob(codes, context, **options),
            density.density.log_prob(codes, inner, **options),
        )
    np.testing.assert_array_equal(
        density.logits(codes, context), density.density.logits(codes, inner)
    )
    options = dict(temperature=0.7, top_k=5, seed=3)
    np.testing.assert_array_equal(
        density.sample(context=context, **options),
        density.density.sample(context=inner, **options),
    )
    np.testing.assert_array_equal(
        density.mode(context), density.density.mode(inner)
    )
    assert density.num_embeddings == K
    assert density.num_codebooks == 1
    assert density.event_shape == (4, 4)


def test_past_and_action_matter(density):
    codes, context = code_maps(), past_and_action()
    expected = density.log_prob(codes, context).numpy()
    for other in (
        {**context, "past": context["past"][:, ::-1]},
        {**context, "action": context["action"] + 1},
        {"past": context["past"]},
    ):
        assert np.all(abs(density.log_prob(codes, other) - expected) > 1e-3)


def test_training_reaches_the_network():
    """With all actions withheld, training knows none."""
    density = make(action_dropout=1.0)
    codes, context = code_maps(), past_and_action()
    unknown = density.log_prob(codes, {"past": context["past"]})
    known = density.log_prob(codes, context)
    trained = density.log_prob(codes, context, training=True)
    np.testing.assert_allclose(trained, unknown, rtol=1e-6)
    assert np.all(abs(known - unknown) > 1e-3)
    nll, _, _ = density.compute_losses(codes, context, training=True)
    np.testing.assert_allclose(nll, -unknown / 16, rtol=1e-6)


def test_gradients_reach_both(density):
    with tf.GradientTape() as tape:
        target = density.log_prob(code_maps(), past_and_action())
    network = len(density.network.trainable_variables)
    inner = len(density.density.trainable_variables)
    variables = density.trainable_variables
    assert len(variables) == network + inner and network and inner
    assert_all_get_gradients(tape, target, variables)


@pytest.mark.parametrize("marginal_channels", [None, 6])
def test_harness(marginal_channels):
    context = past_and_action()
    mask = np.random.default_rng(0).integers(0, 2, [4, 4, 4]).astype(bool)
    # Integers have no gradients: what `fits` does is done by the others.
    run_density_test(
        functools.partial(make, marginal_channels=marginal_channels),
        code_maps(),
        context,
        (4, 4, 4),
        mask=mask,
        fits=False,
    )


@pytest.mark.parametrize(
    "marginal_channels", [pytest.param(None, marks=pytest.mark.slow), 6]
)
def test_saving_after_fit(marginal_channels):
    sizes = dict(hidden_channels=8, num_residual_layers=1)
    network = PastFrames(K, P, 5, action_dropout=0.0, seed=1, **sizes)
    inner = small.prior(local_channels=8, num_layers=1)
    model = ConditionalDensity(network, inner, marginal_channels)
    check_saving_after_fit(model, code_maps(), past_and_action())


def test_preset(tmp_path, density):
    density.save_to_preset(tmp_path / "a")
    loaded = load(tmp_path / "a")
    assert type(loaded) is ConditionalDensity
    codes, context = code_maps(), past_and_action()
    np.testing.assert_array_equal(
        loaded.log_prob(codes, context), density.log_prob(codes, context)
    )
    np.testing.assert_array_equal(
        loaded.sample(context=context, seed=3),
        density.sample(context=context, seed=3),
    )


@pytest.mark.slow
def test_two_replicas_are_one():
    def compiled():
        keras.utils.set_random_seed(0)
        model = make()
        model.compile(Adam(0.01))
        return model

    data = (code_maps(), past_and_action())
    dataset = tf.data.Dataset.from_tensors(data)
    _, history = run_two_replica_test(compiled, dataset, epochs=2, steps=2)
    assert set(history) == {"loss", "bits_per_dim"}
    assert history["loss"][-1] < 0.99 * history["loss"][0]


# Marginals --------------------------------------------------------------------


def log_softmax(logits):
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_marginals_join_the_loss(num_codebooks):
    density = make(
        num_codebooks=num_codebooks, marginal_channels=6, marginal_weight=0.3
    )
    codes, context = code_maps(), past_and_action()
    if num_codebooks > 1:
        codes = np.stack([codes, (codes + 1) % K, (codes + 2) % K], axis=-1)
    logits = density.marginal_logits(context).numpy()
    assert logits.shape == (*codes.shape, K) and logits.dtype == np.float32
    found = log_softmax(logits)
    found = np.take_along_axis(found, codes[..., None], axis=-1)
    marginal = -found.reshape(4, -1).mean(axis=-1)
    nll = -density.log_prob(codes, context).numpy() / codes[0].size
    loss, extra, metrics = density.compute_losses(codes, context)
    np.testing.assert_allclose(loss, nll + 0.3 * marginal, rtol=1e-5)
    assert extra == 0
    bits = {name: value * np.log(2) for name, value in metrics.items()}
    np.testing.assert_allclose(bits["bits_per_dim"], nll, rtol=1e-5)
    np.testing.assert_allclose(
        bits["marginal_bits_per_dim"], marginal, rtol=1e-5
    )
    mode = density.mode(context)
    np.testing.assert_array_equal(mode, logits.argmax(axis=-1))
    assert mode.dtype == tf.int32


def test_marginals_know_nothing_of_the_value():
    density = make(marginal_channels=6)
    context = past_and_action()
    other = {**context, "action": context["action"] + 1}
    changes = density.marginal_logits(other) - density.marginal_logits(context)
    # The action reaches all positions.
    assert np.all(np.any(abs(changes.numpy()) > 1e-4, axis=-1))


def test_marginals_are_trained():
    density = make(marginal_channels=6)
    density.compile(Adam(0.02))
    data = (code_maps(), past_and_action())
    history = density.fit(*data, epochs=8, verbose=0).history
    for name in ("loss", "bits_per_dim", "marginal_bits_per_dim"):
        assert history[name][-1] < 0.99 * history[name][0], name
    right = density.mode(data[1]) == data[0]
    assert np.mean(right) > 1.5 / K


@pytest.mark.parametrize(
    "inner, message",
    [
        (dict(), "Marginals need a density of codes with a local"),
        (
            dict(local_channels=8, local_upsampling=2),
            "on its own grid. Received: .*local_upsampling=2",
        ),
    ],
)
def test_densities_without_marginals(inner, message):
    with pytest.raises(ValueError, match=message):
        ConditionalDensity(
            PastFrames(K, P), small.prior(**inner), marginal_channels=6
        )


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_temperature_0_gives_the_mode(num_codebooks):
    density = make(num_codebooks=num_codebooks, marginal_channels=6)
    context = past_and_action()
    mode = density.mode(context).numpy()
    cold = tf.function(
        lambda t: density.sample(context=context, temperature=t),
        autograph=False,
    )
    for received in (
        density.sample(context=context, temperature=0),
        cold(tf.constant(0.0)),
    ):
        np.testing.assert_array_equal(received, mode)
    # Otherwise the density draws.
    options = dict(seed=3, temperature=0.5)
    np.testing.assert_array_equal(
        density.sample(context=context, **options),
        density.density.sample(context=density.network(context), **options),
    )
    given = (mode + 1) % K
    keep = np.random.default_rng(0).integers(0, 2, [4, 4, 4]).astype(bool)
    received = density.sample(
        context=context, temperature=0, given=given, given_mask=keep
    )
    keep = keep if num_codebooks == 1 else keep[..., None]
    np.testing.assert_array_equal(received, np.where(keep, given, mode))
    first = {name: value[:1] for name, value in context.items()}
    alike = density.sample(3, first, temperature=0)
    np.testing.assert_array_equal(alike, np.repeat(mode[:1], 3, axis=0))
    with pytest.raises(ValueError, match="temperature"):
        density.sample(context=context, temperature=-1)


@pytest.mark.parametrize("action", [5, -1])
def test_unknown_actions_are_refused_before_training(action):
    density = make()
    density.compile("adam")
    context = past_and_action()
    context["action"] = np.full([4], action, np.int32)
    batch = (code_maps(), context)
    dataset = tf.data.Dataset.from_tensors(batch)
    for call in (
        lambda: density.fit(*batch, verbose=0),
        lambda: density.evaluate(*batch, verbose=0),
        lambda: density.fit(dataset, verbose=0),
    ):
        with pytest.raises(ValueError, match=rf"in 0..4.*in \D*{action}\b"):
            call()


def test_marginals_that_are_not_there(density):
    with pytest.raises(ValueError, match="made without marginals"):
        density.marginal_logits(past_and_action())


@pytest.mark.parametrize("context", [None, {}])
def test_without_context(density, context):
    for call in (
        lambda: density.log_prob(code_maps(), context),
        lambda: density.sample(4, context, seed=0),
    ):
        with pytest.raises(ValueError, match="needs a context.* Received: "):
            call()
