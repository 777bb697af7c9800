"""Codebooks that a user puts by hand stay where training goes on from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import saved_and_loaded, two_replicas
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA

K, D = 8, 4
both = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def centres(num_codebooks=1, scale=5.0, seed=0):
    """Codes of the size of the latents, far beyond the initial ones."""
    rng = np.random.default_rng(seed)
    shape = [num_codebooks, K, D]
    return (scale * rng.normal(size=shape)).astype(np.float32)


def near(codebooks, count=2, noise=0.1, seed=1):
    """Latents `[K * count, G * D]` around each of the embeddings."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate(list(codebooks), axis=-1)
    rows = np.repeat(rows, count, axis=0)
    return tf.constant(rows + noise * rng.normal(size=rows.shape), tf.float32)


def embeddings(layer):
    return layer.embeddings.numpy()


def built(cls, num_codebooks=1, **options):
    layer = cls(K, D, num_codebooks=num_codebooks, **options)
    layer.build((None, num_codebooks * D))
    return layer


def by_assign(layer, values):
    layer.embeddings.assign(values)


def by_variable(layer, values):
    layer.embeddings.value.assign(values)


def by_set_weights(layer, values):
    layer.set_weights([values, *layer.get_weights()[1:]])


def by_set_codebook(layer, values):
    layer.set_codebook(values)


WAYS = [by_assign, by_variable, by_set_weights, by_set_codebook]


@pytest.mark.parametrize("num_codebooks", [1, 2])
@pytest.mark.parametrize("put", WAYS)
def test_a_given_codebook_is_not_thrown_away(put, num_codebooks):
    layer = built(VectorQuantizerEMA, num_codebooks)
    given = centres(num_codebooks)
    put(layer, given)
    x = near(given)
    layer(x, training=True)
    # A code weighs as one latent against (1 - decay) * 2 of a step.
    np.testing.assert_allclose(embeddings(layer), given, atol=0.1)
    sums = layer.ema_counts.numpy()[..., None] * embeddings(layer)
    np.testing.assert_allclose(layer.ema_sums, sums, rtol=1e-5)
    for _ in range(50):
        layer(x, training=True)
    np.testing.assert_allclose(embeddings(layer), given, atol=0.3)


@pytest.mark.parametrize("put", WAYS)
def test_a_given_codebook_lasts_in_a_trained_layer(put):
    layer = built(VectorQuantizerEMA, decay=0.5)
    for seed in range(20):
        layer(near(centres(scale=0.1), seed=seed), training=True)
    assert np.max(layer.ema_counts) > 2 > 0.5 > np.min(layer.ema_counts)
    before = embeddings(layer)
    given = centres()
    given[0, 2] = before[0, 2]  # one is left alone
    counts, sums = layer.ema_counts.numpy(), layer.ema_sums.numpy()
    put(layer, given)
    layer(near(given)[:0], training=True)  # a step without latents
    np.testing.assert_array_equal(embeddings(layer), given)
    weight = np.maximum(counts, 1.0)
    weight[0, 2] = counts[0, 2]
    if put is not by_assign and put is not by_set_codebook:
        # Noticed where the code weighs anything.
        weight = np.where(counts > 1e-30, weight, counts)
    np.testing.assert_allclose(layer.ema_counts, 0.5 * weight, rtol=1e-6)
    np.testing.assert_array_equal(layer.ema_sums[0, 2], 0.5 * sums[0, 2])


def test_training_without_a_given_codebook_is_bit_for_bit_the_same(monkeypatch):
    """Nothing is noticed where nothing was assigned, however long unused."""
    layers = [
        built(VectorQuantizerEMA, decay=decay) for decay in (0.0, 0.9, 0.97)
    ]
    plain = [
        built(VectorQuantizerEMA, decay=decay) for decay in (0.0, 0.9, 0.97)
    ]
    for layer in plain:
        monkeypatch.setattr(
            layer,
            "_averages",
            lambda layer=layer: (
                tf.convert_to_tensor(layer.ema_counts),
                tf.convert_to_tensor(layer.ema_sums),
            ),
        )
    x = tf.constant(0.05 * centres(seed=3)[0, :3])  # uses three codes at most

    @tf.function
    def train():
        for i in tf.range(2500):
            noise = tf.random.stateless_normal(x.shape, [i, 0], 0.0, 0.01)
            for layer in layers + plain:
                layer(x + noise, training=True)

    train()
    for layer, other in zip(layers, plain):
        assert np.min(layer.ema_counts) < 1e-30
        for new, old in zip(layer.weights, other.weights):
            np.testing.assert_array_equal(new.numpy(), old.numpy(), new.path)


@both
@pytest.mark.parametrize("put", [by_assign, by_set_codebook])
def test_data_do_not_initialise_over_a_given_codebook(cls, put):
    layer = built(cls, initialize_from_data=True, restart_after=5)
    given = centres()
    put(layer, given)
    layer(near(given) + 0.5, training=True)
    atol = 0.1 if cls is VectorQuantizerEMA else 0
    np.testing.assert_allclose(embeddings(layer), given, atol=atol)


@both
def test_set_codebook_counts_all_codes_as_used(cls):
    layer = built(cls, restart_after=2)
    layer(near(centres(scale=0.01))[:1], training=True)
    assert np.max(layer.unused_steps) == 1
    layer.set_codebook(centres()[0])
    assert np.max(layer.unused_steps) == 0


def test_counts_say_what_a_given_codebook_weighs():
    layer = built(VectorQuantizerEMA, decay=0.9)
    given, counts = centres(), np.arange(1, K + 1)
    layer.set_codebook(given[0], counts)
    np.testing.assert_array_equal(layer.ema_counts, counts[None])
    x = near(given, count=1)
    layer(x, training=True)
    share = 0.1 / (0.9 * counts + 0.1)
    expected = given[0] + share[:, None] * (x.numpy() - given[0])
    np.testing.assert_allclose(embeddings(layer)[0], expected, rtol=1e-5)


@both
def test_loading_puts_the_averages_that_were_saved(cls):
    """Loading assigns, too, and must not count as a codebook given by hand."""
    inputs = keras.Input((D,))
    layer = cls(K, D, initialize_from_data=True, name="vq")
    model = keras.Model(inputs, layer(inputs))
    fresh = saved_and_loaded(model)
    assert fresh.get_layer("vq").steps == 0  # data may still initialise
    for seed in range(3):
        layer(near(centres(), seed=seed), training=True)
    for copy in (saved_and_loaded(model), keras.models.clone_model(model)):
        copy.set_weights(model.get_weights())
        for new, old in zip(copy.variables, model.variables):
            np.testing.assert_array_equal(new.numpy(), old.numpy(), old.path)


def test_a_codebook_is_given_on_replicas():
    with two_replicas().scope():
        layer = built(VectorQuantizerEMA)
    given = centres()
    layer.embeddings.assign(given)
    x = near(given)

    @tf.function
    def step():
        two_replicas().run(lambda: layer(x, training=True))

    step()
    for variable in (layer.embeddings, layer.ema_sums):
        for copy in two_replicas().experimental_local_results(variable.value):
            expected = given * (1 if variable is layer.embeddings else 1.03)
            np.testing.assert_allclose(copy, expected, atol=0.2)


def with_nan(array):
    array = array.copy()
    array.flat[3] = np.nan
    return array


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([np.zeros([D, K])], r"\[K, D\] = \(8, 4\). Received: .* \(4, 8\)"),
        ([np.zeros([2, K, D])], r"\[K, D\] = \(8, 4\). Received: .* \(2, 8"),
        ([with_nan(centres())], "finite numbers, as float32. Received: 1 NaN"),
        ([centres().astype(np.float64) * 1e300], "Received: 32 NaN or infin"),
        ([[["a"] * D] * K], "must be numbers. Received: .* dtype string"),
        ([[[1.0], [1.0, 2.0]]], "must be an array of numbers. Received:"),
        ([centres(), np.ones([D])], r"counts must have shape \[K\] = \(8,\)"),
        ([centres(), -np.ones([K])], "at least 0. Received: counts down to -1"),
        ([centres(), np.full([K], np.inf)], "counts must be finite numbers"),
    ],
)
def test_codebooks_that_are_refused(arguments, message):
    layer = built(VectorQuantizerEMA)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=message):
        layer.set_codebook(*arguments)
    for new, old in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(new, old)


def test_a_codebook_of_gradients_has_no_counts():
    layer = built(VectorQuantizer)
    with pytest.raises(ValueError, match="has no counts.* Received: counts="):
        layer.set_codebook(centres(), np.ones([K]))
    several = built(VectorQuantizer, 2)
    with pytest.raises(ValueError, match=r"\[G, K, D\] = \(2, 8, 4\)"):
        several.set_codebook(centres())
