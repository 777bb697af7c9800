"""A density and the network of its context, as one density."""

import keras
import numpy as np
import pytest
import small
import tensorflow as tf
from harness import (
    assert_all_get_gradients,
    check_saving_after_fit,
    run_density_test,
    run_two_replica_test,
)

from vqvae_tf import ConditionalDensity, PastFrames
from vqvae_tf.presets import load

K, P = 8, 2


def make(action_dropout=0.0, **kwargs):
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
    density = ConditionalDensity(
        network, small.prior(local_channels=8, num_layers=1), **kwargs
    )
    density.build()
    rng = np.random.default_rng(1)
    for v in network.trainable_variables:
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


def test_harness():
    context = past_and_action()
    mask = np.random.default_rng(0).integers(0, 2, [4, 4, 4]).astype(bool)
    # Integers have no gradients: what `fits` does is done by the others.
    run_density_test(
        make, code_maps(), context, (4, 4, 4), mask=mask, fits=False
    )


def test_saving_after_fit():
    sizes = dict(hidden_channels=8, num_residual_layers=1)
    network = PastFrames(K, P, 5, action_dropout=0.0, seed=1, **sizes)
    model = ConditionalDensity(
        network, small.prior(local_channels=8, num_layers=1)
    )
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


def test_two_replicas_are_one():
    def compiled():
        keras.utils.set_random_seed(0)
        model = make()
        model.compile(keras.optimizers.Adam(0.01))
        return model

    data = (code_maps(), past_and_action())
    dataset = tf.data.Dataset.from_tensors(data)
    _, history = run_two_replica_test(compiled, dataset, epochs=2, steps=2)
    assert set(history) == {"loss", "bits_per_dim"}
    assert history["loss"][-1] < 0.99 * history["loss"][0]


@pytest.mark.parametrize("context", [None, {}])
def test_without_context(density, context):
    for call in (
        lambda: density.log_prob(code_maps(), context),
        lambda: density.sample(4, context, seed=0),
    ):
        with pytest.raises(ValueError, match="needs a context.* Received: "):
            call()
