"""Random projections: targets of masked prediction, arXiv:2202.01855."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import RandomProjectionQuantizer

K, D, P = 32, 12, 3


def latents(count=200, channels=D):
    return np.random.default_rng(0).normal(size=[count, channels])


def built(**options):
    options = dict(channels=D, projected_channels=P) | options
    layer = RandomProjectionQuantizer(K, **options)
    layer.build((None, layer.channels))
    return layer


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def oracle(layer, x):
    """Codes `[G, N]` and what they are decoded to, in float64."""
    groups, size = layer.num_codebooks, layer.projected_channels
    projection = np.float64(layer.projection)
    projected = (x @ projection).reshape(-1, groups, size).swapaxes(0, 1)
    books = unit(np.float64(layer.codebook))
    gaps = unit(projected)[:, :, None] - books[:, None]
    codes = np.linalg.norm(gaps, axis=-1).argmin(-1)
    chosen = np.concatenate([b[c] for b, c in zip(books, codes)], axis=-1)
    decoded = np.linalg.lstsq(projection.T, chosen.T, rcond=None)[0].T
    return codes, decoded


def test_harness():
    options = dict(
        num_embeddings=8, channels=5, projected_channels=2, num_codebooks=2
    )
    run_quantizer_test(RandomProjectionQuantizer, options, exact=False)


@pytest.mark.parametrize("groups", [1, 3, 5])
def test_codes_and_vectors_are_those_of_the_equation(groups):
    """Five codebooks of three channels are more than twelve can hold."""
    layer, x = built(num_codebooks=groups), latents()
    codes, decoded = oracle(layer, x)
    quantized, received = layer(tf.constant(x, tf.float32), return_codes=True)
    received = np.reshape(received, [-1, groups])
    np.testing.assert_array_equal(received, codes.T)
    np.testing.assert_allclose(quantized, decoded, 1e-4, 1e-5)
    assert sum(layer.losses) == 0


@pytest.mark.parametrize("groups", [1, 4])
def test_decoded_codes_have_the_same_codes(groups):
    layer = built(num_codebooks=groups)
    codes = np.random.default_rng(1).integers(0, K, [100, groups])
    codes = codes[:, 0] if groups == 1 else codes
    np.testing.assert_array_equal(layer.encode(layer.decode(codes)), codes)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_only_directions_count(scale):
    layer, x = built(), tf.constant(latents(), tf.float32)
    np.testing.assert_array_equal(layer.encode(scale * x), layer.encode(x))


def test_normalized_inputs_use_the_codes_and_shifted_ones_do_not():
    layer, x = built(), latents(2000)
    layer(tf.constant(x, tf.float32))
    assert layer.usage_metric.result()[f"{layer.name}_usage"] > 0.9
    layer.usage_metric.reset_state()
    layer(tf.constant(x + 30.0, tf.float32))
    assert layer.usage_metric.result()[f"{layer.name}_usage"] < 0.3


# Weights ----------------------------------------------------------------------


def test_weights_are_drawn_as_in_the_paper_and_not_trained():
    layer = RandomProjectionQuantizer(4096, 80)
    layer.build((None, 80))
    limit = (6 / (80 + 16)) ** 0.5
    assert np.all(np.abs(layer.projection) <= limit)
    np.testing.assert_allclose(np.std(layer.projection), limit / 3**0.5, 0.05)
    np.testing.assert_allclose(np.mean(layer.codebook), 0, atol=0.02)
    np.testing.assert_allclose(np.std(layer.codebook), 1, rtol=0.02)
    assert not layer.trainable_variables
    before = [v.numpy() for v in layer.variables[:3]]
    layer(tf.random.normal([50, 80]), training=True)
    for variable, value in zip(layer.variables, before):
        np.testing.assert_array_equal(variable, value)


def test_a_seed_is_the_same_weights_everywhere():
    """Built eagerly, in a graph and under XLA, and in every release."""
    x = tf.constant(latents(5), tf.float32)
    expected = built(seed=7)
    for compiled in (False, True):
        layer = RandomProjectionQuantizer(K, D, P, seed=7)
        tf.function(layer, jit_compile=compiled)(x)
        for a, b in zip(layer.weights, expected.weights):
            np.testing.assert_array_equal(a, b)
    other = built(seed=8)
    assert np.all(other.projection.numpy() != expected.projection.numpy())
    assert np.all(other.codebook.numpy() != expected.codebook.numpy())
    first = [expected.projection[0, 0], expected.codebook[0, 0, 0]]
    np.testing.assert_allclose(first, [-0.03462745, 0.46047497], rtol=1e-6)


def test_weights_that_are_loaded_count_and_not_the_seed(tmp_path):
    inputs = keras.Input((D,))
    models = [
        keras.Model(
            inputs, RandomProjectionQuantizer(K, D, P, seed=s).encode(inputs)
        )
        for s in (1, 2)
    ]
    x = latents().astype(np.float32)
    expected = models[0](x)
    assert np.any(models[1](x) != expected)
    models[0].save_weights(tmp_path / "model.weights.h5")
    models[1].load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(models[1](x), expected)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(projected_channels=0), "projected_channels must be a positive"),
        (dict(channels=0), "channels must be a positive"),
        (dict(num_codebooks=1.5), "num_codebooks must be a positive"),
        (dict(seed="a"), "seed must be"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)


def test_channels_that_do_not_fit():
    with pytest.raises(ValueError, match="channels = 12 channels"):
        built()(tf.zeros([2, 5]))


def test_a_model_learns_to_predict_the_codes_of_what_is_masked():
    """BEST-RQ in small: the middle of three equal frames is hidden."""
    layer = built(projected_channels=2)
    x = np.repeat(latents(64)[:, None], 3, axis=1).astype(np.float32)
    targets = layer.encode(x).numpy()[:, 1]
    hidden = x * np.array([1, 0, 1], np.float32)[:, None]
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(K)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.3), loss)
    logs = model.fit(hidden, targets, 64, 25, verbose=0).history["loss"]
    assert logs[-1] < 0.2 * logs[0]
