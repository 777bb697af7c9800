"""Finite scalar quantization, arXiv:2309.15505."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import FSQ
from vqvae_tf.runtime.adam import Adam

LEVELS = [(8, 5, 5, 5), (7, 5), (4, 3), (2, 3)]
forms = pytest.mark.parametrize(
    "symmetric, bound",
    [*itertools.product([False, True], ["tanh", "sigmoid"])],
)


def oracle(z, levels, symmetric, bound):
    """Quantized latents and codes, in float64, as the paper writes them."""
    z, size = np.asarray(z, np.float64), np.array(levels)

    def squash(y):
        return np.tanh(y) if bound == "tanh" else 2 / (1 + np.exp(-1.6 * y)) - 1

    if symmetric:
        digits = np.round((size - 1) * (squash(z) + 1) / 2)
        quantized = 2 * digits / (size - 1) - 1
    else:
        half = (size - 1) * (1 + 1e-3) / 2
        offset = np.where(size % 2 == 0, 0.5, 0.0)
        # The shift that makes 0 the bound's 0, before it is squashed.
        shift = np.arctanh(offset / half) / (1 if bound == "tanh" else 0.8)
        digits = np.round(half * squash(z + shift) - offset) + size // 2
        quantized = (digits - size // 2) / (size // 2)
    places = np.cumprod([1, *levels[:-1]])
    return quantized, (digits * places).sum(-1).astype(int)


@pytest.mark.parametrize(
    "options",
    [
        dict(levels=[8, 5, 5]),
        dict(levels=[4, 3], symmetric=True, bound="sigmoid"),
        dict(levels=[5, 4], channels=6),
    ],
    ids=["paper", "symmetric", "projected"],
)
def test_harness(options):
    run_quantizer_test(
        FSQ, options, scale=1.0, identity_gradient=False, searches=0
    )


@pytest.mark.parametrize(
    "levels, symmetric, bound",
    [
        (levels, symmetric, bound)
        for levels in LEVELS
        for symmetric in (False, True)
        for bound in ("tanh", "sigmoid")
        if symmetric or 2 not in levels  # test_what_is_refused
    ],
)
def test_it_is_the_papers(levels, symmetric, bound):
    z = np.random.default_rng(0).normal(0, 2, [500, len(levels)])
    layer = FSQ(levels, symmetric, bound)
    quantized, codes = layer(tf.constant(z, tf.float32), return_codes=True)
    expected, expected_codes = oracle(z, levels, symmetric, bound)
    np.testing.assert_array_equal(codes, expected_codes)
    np.testing.assert_allclose(quantized, expected, 1e-6, 1e-7)


def test_other_channels_are_projected_to_the_levels_and_back():
    layer = FSQ([8, 5], channels=6, seed=3)
    z = np.random.default_rng(0).normal(0, 2, [500, 6])
    quantized, codes = layer(tf.constant(z, tf.float32), return_codes=True)

    def mapped(project, x):
        return x @ np.float64(project.kernel[0]) + np.float64(project.bias[0])

    expected, expected_codes = oracle(
        mapped(layer.project_in, z), [8, 5], False, "tanh"
    )
    np.testing.assert_array_equal(codes, expected_codes)
    expected = mapped(layer.project_out, expected)
    np.testing.assert_allclose(quantized, expected, 1e-5, 1e-6)
    np.testing.assert_allclose(layer.codebook[codes[0]], quantized[0], 1e-5)
    assert len(layer.trainable_variables) == 4
    assert "channels" not in FSQ([8, 5]).get_config()


@forms
@given(level=st.integers(3, 300))
def test_every_level_is_reached_and_no_other(symmetric, bound, level):
    """From one end to the other, each once, however large a latent is."""
    layer = FSQ([level], symmetric, bound)
    # A walk through the bounded range in steps of a tenth of a level.
    y = np.linspace(-1, 1, 10 * level)[1:-1]
    z = np.arctanh(np.concatenate([[-1 + 1e-6], y, [1 - 1e-6]]))
    z = np.concatenate([[-1e30], z * 1.25, [1e30]])[:, None]
    codes = layer.encode(tf.constant(z, tf.float32)).numpy()
    assert set(codes) == set(range(level))
    assert np.all(np.diff(codes) >= 0)
    values = layer.codebook.numpy()[:, 0]
    assert np.all(np.diff(values) > 0)
    assert np.all(np.abs(values) <= 1) and values[0] == -1
    if symmetric:
        np.testing.assert_allclose(values, -values[::-1], atol=1e-6)
    else:
        assert values[level // 2] == 0
        assert layer.encode([[0.0]]) == level // 2


def test_codes_number_all_combinations():
    layer = FSQ([3, 4, 5])
    book = layer.codebook
    assert book.shape == (60, 3)
    assert len(np.unique(book, axis=0)) == 60
    # The first channel counts fastest.
    np.testing.assert_allclose(book[:4, 0], [-1, 0, 1, -1])
    np.testing.assert_array_equal(layer.decode(np.arange(60)), book)


@forms
def test_gradients_are_those_of_the_bound(symmetric, bound):
    layer, z = FSQ([8, 5], symmetric, bound), tf.constant([[0.3, -0.7]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        total = tf.reduce_sum(layer(z))
    received = tape.gradient(total, z)

    def bounded(z):
        levels = np.array([8, 5])
        scale = 1.0 if bound == "tanh" else 0.8
        if symmetric:
            return np.tanh(scale * z)
        half = (levels - 1) * 1.001 / 2
        shift = np.arctanh(np.array([0.5, 0]) / half)
        return half * np.tanh(scale * z + shift) / (levels // 2)

    z = z.numpy().astype(float)
    expected = (bounded(z + 1e-6) - bounded(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_latents_that_are_not_finite_have_codes():
    layer = FSQ([8, 5])
    latents = tf.constant([[np.nan, 1.0], [np.inf, -np.inf]], tf.float32)
    codes = layer.encode(latents).numpy()
    assert np.all((codes >= 0) & (codes < 40))
    assert codes[1] == 7


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([],), "at least 2 for each channel"),
        (([8, 1],), "at least 2 for each channel"),
        (([8, 2.5],), "levels must be a positive integer"),
        ((8,), "sequence of integers"),
        (("88",), "sequence of integers"),
        (([8, 2],), "symmetric=True, or use 3"),
        (([2**13, 2**12],), "at most 16777216"),
        (([8, 8], False, "relu"), "one of tanh, sigmoid"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FSQ(*arguments)


def test_channels_are_the_number_of_levels():
    with pytest.raises(ValueError, match=r"len\(levels\) = 3 channels"):
        FSQ([8, 6, 5])(tf.zeros([2, 4]))


def test_a_users_model_learns_with_it():
    """Through `fit`, with nothing but the model's own loss."""
    x = np.random.default_rng(0).normal(size=[64, 6]).astype(np.float32)
    inputs = keras.Input([6])
    codes = FSQ([8, 8, 8], name="fsq")(keras.layers.Dense(3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(6)(codes))
    model.compile(Adam(0.02), "mse")
    logs = model.fit(x, x, batch_size=64, epochs=60, verbose=0).history
    assert logs["loss"][-1] < 0.8 * logs["loss"][0]
    assert logs["fsq_usage"][-1] > 0.05
