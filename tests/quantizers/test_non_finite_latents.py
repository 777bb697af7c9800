"""NaN and infinite latents never reach a codebook, nor what it is made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import arrays, assert_finite, two_replicas
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA
from vqvae_tf.runtime.adam import Adam

K, D = 8, 4
OPTIONS = {
    "plain": {},
    "restarts": {"restart_after": 2},
    "from data": {"initialize_from_data": True},
    "two codebooks": {"num_codebooks": 2, "restart_after": 2},
}
both = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
bad_values = pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])


def latents(channels=D, seed=0):
    x = np.random.default_rng(seed).normal(size=[6, 5, channels])
    return (0.1 * x).astype(np.float32)


def broken(x, bad, row=2):
    """x with one entry that is not finite."""
    x = x.copy()
    x[row, 1, 3] = bad
    return x


def state(layer):
    metrics = {id(v) for v in layer.metrics_variables}
    return [v for v in layer.variables if id(v) not in metrics]


def changed(layer, before):
    """Whether the state did; without restarts a gradient codebook does not."""
    after = arrays(state(layer))
    moved = any(np.any(a != b) for a, b in zip(before, after))
    return moved or len(after) == len(layer.trainable_variables)


@both
@pytest.mark.parametrize(
    "options, mode, bad",
    [
        *[(options, "eager", np.nan) for options in OPTIONS],
        ("plain", "eager", np.inf),
        ("restarts", "eager", -np.inf),
        ("restarts", "graph", np.inf),
        ("two codebooks", "XLA", np.nan),
    ],
)
def test_a_step_with_such_a_latent_leaves_all_state(cls, options, mode, bad):
    layer = cls(K, D, **OPTIONS[options])
    x = latents(layer.num_codebooks * D)
    layer(x, training=True)
    before = arrays(state(layer))
    step = layer
    if mode != "eager":
        step = tf.function(layer, jit_compile=mode == "XLA")
    for _ in range(3):
        outputs = step(tf.constant(broken(x, bad)), training=True)
    for old, variable in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(variable, old, err_msg=variable.path)
    # The loss says so, and the other latents are quantised as ever.
    if mode == "eager":
        assert not np.isfinite(layer.losses[-1])
    fine = np.delete(outputs, 2, axis=0)
    np.testing.assert_array_equal(fine, np.delete(layer(x), 2, axis=0))
    layer(x, training=True)
    assert changed(layer, before)


@bad_values
@pytest.mark.parametrize("size", [K, 1024])  # from there, found in blocks
def test_their_codes_are_codes(bad, size):
    layer = VectorQuantizer(size, D)
    x = tf.constant(broken(latents(), bad))
    for encode in (layer.encode, tf.function(layer.encode, jit_compile=True)):
        codes = encode(x).numpy()
        assert 0 <= codes.min() and codes.max() < size
        fine = np.delete(codes, 2, axis=0)
        expected = layer.encode(latents()).numpy()
        np.testing.assert_array_equal(fine, np.delete(expected, 2, axis=0))


@both
def test_the_first_finite_step_initialises(cls):
    x = latents()
    layer = cls(K, D, initialize_from_data=True)
    expected = cls(K, D, initialize_from_data=True)
    for step in (broken(x, np.inf), broken(x, np.nan), x):
        layer(step, training=True)
    expected(x, training=True)
    for new, old in zip(state(layer), state(expected), strict=True):
        np.testing.assert_array_equal(new, old, err_msg=old.path)


@both
def test_codes_that_wait_for_latents_are_not_restarted_by_such_ones(cls):
    """Where an earlier step had fewer latents than there are unused codes."""
    layer = cls(K, D, restart_after=1)
    layer(latents()[:1, :3], training=True)
    assert np.max(layer.unused_steps) == 1
    before = layer.codebook.numpy()
    layer(tf.constant(broken(latents(), np.nan)), training=True)
    np.testing.assert_array_equal(layer.codebook, before)
    layer(latents(), training=True)
    assert layer.restart_metric.result() > 0
    assert_finite([layer.codebook])


@bad_values
def test_a_gradient_codebook_gets_none_from_such_a_step(bad):
    layer = VectorQuantizer(K, D)

    def gradient(x):
        with tf.GradientTape() as tape:
            layer(x, training=True)
            loss = tf.add_n(layer.losses)
        return tape.gradient(loss, layer.embeddings.value).numpy()

    assert np.any(gradient(latents()))
    np.testing.assert_array_equal(
        gradient(broken(latents(), bad)), np.zeros([1, K, D])
    )


def test_training_goes_on_after_such_a_batch():
    """A user's model with nothing to train but the codebook."""
    inputs = keras.Input((5, D))
    layer = VectorQuantizer(K, D, restart_after=3)
    model = keras.Model(inputs, layer(inputs))
    model.compile(Adam(0.01))
    x = latents()
    before = layer.codebook.numpy()
    for batch in (x, broken(x, np.nan), x, broken(x, -np.inf), x):
        losses = model.fit(batch, verbose=0, batch_size=6).history["loss"]
    assert_finite([losses, *arrays(state(layer))])
    assert np.any(layer.codebook.numpy() != before)


@both
@pytest.mark.parametrize("options", ["plain", "restarts", "from data"])
def test_a_bad_latent_of_one_replica_stops_all(cls, options):
    with two_replicas().scope():
        layer = cls(K, D, **OPTIONS[options])
        layer.build((None, D))

    @tf.function
    def step(x):
        def run():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            layer(x[:2] if first else x[2:], training=True)

        two_replicas().run(run)

    x = latents()
    step(tf.constant(x))
    before = arrays(state(layer))
    step(tf.constant(broken(x, np.nan, row=4)))  # on the second replica
    for old, variable in zip(before, state(layer), strict=True):
        copies = two_replicas().experimental_local_results(variable.value)
        for copy in copies:
            np.testing.assert_array_equal(copy, old, err_msg=variable.path)
    step(tf.constant(x + 1))
    assert changed(layer, before)
