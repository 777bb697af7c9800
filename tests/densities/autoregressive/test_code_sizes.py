"""Priors of codebooks with different numbers of codes."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import wavenets
from support.harness import (
    assert_config_round_trip,
    assert_finite,
    saved_and_loaded,
)
from vqvae_tf import ConditionalDensity, PastFrames, PixelCNN
from vqvae_tf.densities.autoregressive.mixture_head import LogisticMixtureHead

SIZES = (3, 2, 4)
GRIDS = {"PixelCNN": (3, 4), "WaveNet": (12,)}


def moved(density, scale=0.3):
    """With weights and biases larger than at the start."""
    density.build()
    rng = np.random.default_rng(7)
    for v in density.trainable_variables:
        v.assign(v + scale * rng.normal(size=v.shape))
    return density


def make(kind, sizes=SIZES, **options):
    keras.utils.set_random_seed(7)
    count = len(sizes)
    if kind == "WaveNet":
        return wavenets.small(
            num_embeddings=sizes,
            num_codebooks=count,
            event_shape=GRIDS[kind],
            **options,
        )
    density = PixelCNN(
        sizes,
        GRIDS[kind],
        num_codebooks=count,
        hidden_channels=8,
        num_layers=2,
        head_channels=16,
        **options,
    )
    return moved(density)


@pytest.fixture(scope="module", params=list(GRIDS))
def density(request):
    return make(request.param)


def codes_of(density, batch, seed=0):
    shape = (batch, *density.event_shape)
    rng = np.random.default_rng(seed)
    each = [rng.integers(0, size, shape) for size in density.num_codes]
    return np.stack(each, axis=-1).astype(np.int32)


def assert_exist(codes):
    codes = np.asarray(codes)
    assert np.all((codes >= 0) & (codes < SIZES))


# Probabilities ----------------------------------------------------------------


def test_the_probabilities_of_all_codes_add_up_to_one(density):
    """Of a grid of one position, and of each code given those before it."""
    every = np.array(list(itertools.product(*map(range, SIZES))), np.int32)
    grid = [1] * len(density.event_shape)
    log_prob = density.log_prob(every.reshape(-1, *grid, 3)).numpy()
    np.testing.assert_allclose(np.exp(np.float64(log_prob)).sum(), 1, 1e-5)
    assert np.std(log_prob) > 0.1
    codes = codes_of(density, 2)
    logits = density.logits(codes)
    assert logits.shape == (2, *density.event_shape, 3, 4)
    assert_finite([logits])
    p = tf.nn.softmax(logits).numpy()
    for book, size in enumerate(SIZES):
        np.testing.assert_array_equal(p[..., book, size:], 0)
        assert np.all(p[..., book, :size] > 0)
    terms = np.log(np.take_along_axis(p, codes[..., None], axis=-1))
    np.testing.assert_allclose(
        density.log_prob(codes), terms.reshape(2, -1).sum(1), 1e-4
    )


def test_the_samplers_logits_are_those_of_the_density(density):
    codes = codes_of(density, 2)
    cached = tf.function(density._cached_logits, autograph=False)(codes)
    np.testing.assert_allclose(cached, density.logits(codes), atol=1e-5)


def test_gradients_are_finite_and_reach_all(density):
    codes = codes_of(density, 4)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(density.log_prob(codes))
    gradients = tape.gradient(loss, density.trainable_variables)
    assert all(np.any(gradient) for gradient in gradients)
    assert_finite(gradients)


def test_it_is_trained(density):
    copy = type(density).from_config(density.get_config())
    copy.compile("adam")
    codes = np.repeat(codes_of(density, 1), 4, axis=0)
    losses = copy.fit(codes, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


# Samples ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1e30},
        {"temperature": 0.0},
        {"top_k": 4},
        {"top_k": 100, "top_p": 1.0, "temperature": 1e30},
        {"top_p": 0.9},
    ],
    ids=str,
)
def test_samples_exist(density, options):
    draws = density.sample(64, seed=1, **options).numpy()
    assert_exist(draws)
    assert_finite([density.log_prob(draws)])
    if options.get("temperature") != 0:
        for book, size in enumerate(SIZES):
            assert set(draws[..., book].ravel()) == set(range(size))


def test_samples_of_a_graph_exist(density):
    options = dict(temperature=tf.constant(1e29), top_p=tf.constant(1.0))
    in_graph = tf.function(
        lambda **given: density.sample(64, seed=1, **given), autograph=False
    )
    draws = in_graph(**options)
    assert_exist(draws)
    np.testing.assert_array_equal(draws, density.sample(64, seed=1, **options))


def test_samples_of_compiled_steps_exist():
    density = make("WaveNet")
    expected = density.sample(32, seed=1)
    density.jit_sampling = True
    draws = density.sample(32, seed=1)
    assert_exist(draws)
    np.testing.assert_array_equal(draws, expected)
    assert_exist(density.sample(32, seed=1, temperature=1e30))


def test_samples_follow_the_probabilities(density):
    """Shares of the first position's codes, to four standard errors."""
    grid = [1] * len(density.event_shape)
    every = np.array(list(itertools.product(*map(range, SIZES))), np.int32)
    p = np.exp(density.log_prob(every.reshape(-1, *grid, 3)).numpy())
    count = 4000
    draws = density.sample(count, event_shape=grid, seed=3).numpy()
    places = draws.reshape(count, 3) @ [8, 4, 1]
    shares = np.bincount(places, minlength=len(p)) / count
    errors = 4 * np.sqrt(p * (1 - p) / count) + 1 / count
    assert np.all(np.abs(shares - p) < errors)


def test_completion_keeps_given_codes(density):
    codes = codes_of(density, 8)
    mask = np.random.default_rng(2).integers(0, 2, codes.shape[:-1]) > 0
    given = np.where(mask[..., None], codes, 99)
    draws = density.sample(seed=1, given=given, given_mask=mask)
    assert_exist(draws)
    np.testing.assert_array_equal(draws.numpy()[mask], codes[mask])


# Codes that do not exist ------------------------------------------------------


@pytest.mark.parametrize("book", range(3))
def test_codes_that_their_codebook_does_not_have(density, book):
    codes = codes_of(density, 2)
    codes[0, ..., book].flat[0] = SIZES[book]
    message = rf"Codes of codebook {book} must be in 0\.\.{SIZES[book] - 1}"
    mask = np.ones(codes.shape[:-1], bool)
    for call in (
        density.log_prob,
        density.logits,
        density.check_input,
        lambda x: density.sample(given=x, given_mask=mask),
    ):
        with pytest.raises(ValueError, match=message):
            call(codes)
    spec = [tf.TensorSpec([None] * (codes.ndim - 1) + [3], tf.int32)]
    graph = tf.function(density.log_prob, spec, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Codes must be"):
        graph(codes)


@pytest.mark.parametrize("sizes", [(3, 2), [3, 2, 4, 5], (3, 0, 4), "324"])
def test_numbers_that_do_not_fit(sizes):
    with pytest.raises(ValueError, match="num_embeddings"):
        PixelCNN(sizes, (2, 2), num_codebooks=3)


# Configuration ----------------------------------------------------------------


def test_it_is_saved_with_its_sizes(density):
    config = density.get_config()
    assert config["num_embeddings"] == [3, 2, 4]
    assert_config_round_trip(density)
    copy = saved_and_loaded(density)
    assert copy.num_codes == SIZES and copy.num_embeddings == 4
    codes = codes_of(density, 2)
    np.testing.assert_array_equal(copy.log_prob(codes), density.log_prob(codes))
    assert copy.head.get_config()["num_embeddings"] == [3, 2, 4]


@pytest.mark.parametrize("kind", list(GRIDS))
def test_equal_sizes_are_one_number(kind):
    each = make(kind, [4, 4])
    config = each.get_config()
    assert config["num_embeddings"] == 4
    one = type(each).from_config(config)
    one.build()
    one.set_weights(each.get_weights())
    codes = codes_of(each, 2)
    np.testing.assert_array_equal(one.logits(codes), each.logits(codes))
    with pytest.raises(ValueError, match=r"^Codes must be in 0\.\.3"):
        each.log_prob(codes + 4)


def test_it_has_only_the_parameters_that_it_needs(density):
    assert density.embedding.embeddings.shape[0] == sum(SIZES)
    kernels = [layer.kernel.shape[-1] for layer in density.head.outputs]
    assert kernels == list(SIZES)


def test_a_mixture_has_one_codebook_of_one_number():
    density = wavenets.small(
        num_embeddings=[16], output="logistic_mixture", num_components=3
    )
    assert isinstance(density.head, LogisticMixtureHead)
    assert density.get_config()["num_embeddings"] == 16
    draws = density.sample(2, seed=0).numpy()
    assert np.all((draws >= 0) & (draws < 16))


# Given a network's context ----------------------------------------------------


def test_marginals_of_codebooks_of_different_sizes():
    network = PastFrames(
        8, 2, embedding_dim=3, hidden_channels=8, num_residual_layers=1
    )
    inner = PixelCNN(
        SIZES,
        (4, 4),
        num_codebooks=3,
        hidden_channels=8,
        num_layers=1,
        head_channels=8,
        local_channels=8,
    )
    density = moved(ConditionalDensity(network, inner, marginal_channels=8))
    assert density.num_codes == SIZES
    past = np.random.default_rng(0).integers(0, 8, [16, 2, 4, 4], np.int32)
    context = {"past": past}
    logits = density.marginal_logits(context)
    assert logits.shape == (16, 4, 4, 3, 4)
    p = tf.nn.softmax(logits).numpy()
    for book, size in enumerate(SIZES):
        np.testing.assert_allclose(p[..., book, :size].sum(-1), 1, 1e-5)
        np.testing.assert_array_equal(p[..., book, size:], 0)
    for codes in (
        density.mode(context),
        density.sample(context=context, temperature=0.0),
        density.sample(context=context, seed=1, temperature=1e30),
    ):
        assert_exist(codes)
    np.testing.assert_array_equal(density.mode(context), p.argmax(-1))
    density.compile("adam")
    codes = codes_of(inner, 16)
    losses = density.fit(codes, context, epochs=4, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses)) and losses[-1] < losses[0]
