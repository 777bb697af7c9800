"""Sampling from the gated PixelCNN: cached equals naive, and its options."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.densities_harness import (
    CONDITIONAL,
    check_cached_equals_naive,
    check_exported_sampler,
    perturbed,
    random_codes,
    random_context,
)
from support.naive_sampling import NaiveSampler
from vqvae_tf.densities.autoregressive.pixel_cnn import PixelCNN
from vqvae_tf.densities.filtering import filter_logits

SIZE = 8


def small(num_codebooks=1, num_embeddings=6, scale=0.3, **kwargs):
    keras.utils.set_random_seed(3)
    config = {
        "event_shape": (SIZE, SIZE),
        "hidden_channels": 8,
        "num_layers": 2,
        "head_channels": 16,
        **kwargs,
    }
    density = PixelCNN(num_embeddings, num_codebooks=num_codebooks, **config)
    return perturbed(density, scale, seed=3)


def shape_of(density, batch, grid=(SIZE, SIZE)):
    groups = density.num_codebooks
    return (batch, *grid, groups) if groups > 1 else (batch, *grid)


# Cached equals naive ----------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_cached_logits_equal_naive_ones(num_codebooks, jit_compile):
    density = small(num_codebooks, num_layers=4, **CONDITIONAL)
    check_cached_equals_naive(density, (6, 10), jit_compile)


def test_cached_logits_equal_naive_ones_in_a_deep_net():
    density = small(
        num_layers=10, hidden_channels=32, kernel_size=5, scale=0.05
    )
    codes = random_codes(density, 1, (5, 7))
    expected = density.logits(codes)
    result = tf.function(density._cached_logits, autograph=False)(codes)
    np.testing.assert_allclose(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "num_codebooks, jit_compile",
    [
        (1, True),
        (3, False),
        pytest.param(1, False, marks=pytest.mark.slow),
        pytest.param(3, True, marks=pytest.mark.slow),
    ],
)
def test_cached_samples_equal_naive_ones_for_20_seeds(
    num_codebooks, jit_compile
):
    density = small(num_codebooks, **CONDITIONAL)
    context = random_context(density, 2)
    repeated = {k: tf.concat([v] * 20, axis=0) for k, v in context.items()}
    naive = NaiveSampler(density, repeated, jit_compile=jit_compile)
    cached = tf.function(
        lambda seed: density.sample(context=context, seed=seed),
        jit_compile=jit_compile,
        autograph=False,
    )
    samples = [cached(tf.constant(seed)).numpy() for seed in range(20)]
    np.testing.assert_array_equal(samples, naive(2, range(20)))
    # The seeds and the two samples of each differ, all codes occur.
    assert len(np.unique(np.reshape(samples, [40, -1]), axis=0)) == 40
    assert set(np.unique(samples)) == set(range(6))


def test_filtered_samples_equal_naive_ones():
    density = small(2)
    options = {"temperature": 0.8, "top_k": 4, "top_p": 0.9}
    expected = NaiveSampler(density, **options)(3, [5])[0]
    result = density.sample(3, seed=5, **options)
    np.testing.assert_array_equal(result, expected)


def test_eager_graph_xla_and_batches_agree():
    density = small(2, **CONDITIONAL)
    context = random_context(density, 3)
    eager = density.sample(context=context, seed=4)
    assert eager.dtype == tf.int32
    assert eager.shape == (3, SIZE, SIZE, 2)
    for jit in (False, True):
        graph = tf.function(
            lambda: density.sample(context=context, seed=4),
            jit_compile=jit,
            autograph=False,
        )
        np.testing.assert_array_equal(graph(), eager)
    again = density.sample(3, context, seed=tf.constant([4, 0]))
    np.testing.assert_array_equal(again, eager)
    assert np.any(density.sample(3, context, seed=5) != eager)


def test_statelessness_and_fresh_seeds():
    density = small()
    a, b = density.sample(2, seed=None), density.sample(2, seed=None)
    assert np.any(a != b)
    keras.utils.set_random_seed(1)
    a = density.sample(2)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(density.sample(2), a)
    np.testing.assert_array_equal(density.mode(), density.sample(seed=0))


def test_repeated_eager_calls_reuse_the_graph():
    density = small(**CONDITIONAL)
    context = random_context(density, 1)
    for i in range(5):
        density.sample(1 + i, context, seed=i, temperature=0.1 * i)
    (graph,) = density._graphs._made.values()
    assert graph.experimental_get_tracing_count() == 1


def test_other_options_do_not_trace_another_graph():
    """Only filters as such, of whatever strength, make another graph."""
    density = small(**CONDITIONAL)
    for i, (top_k, top_p) in enumerate(
        itertools.product([None, 1, 3, 9], [None, 0.2, 0.7, 1.0])
    ):
        context = random_context(density, 1 + i % 3)
        options = {"top_k": top_k, "top_p": top_p, "temperature": 0.1 * i}
        codes = density.sample(context=context, seed=i, **options)
        if i in (5, 14):  # what one graph draws is what each would have
            alone = tf.function(
                functools.partial(density.sample, seed=i, **options),
                autograph=False,
            )
            np.testing.assert_array_equal(alone(context=context), codes)
    made = density._graphs._made.values()
    assert len(made) == 2
    assert all(g.experimental_get_tracing_count() == 1 for g in made)


def test_graphs_of_other_grids_make_room():
    density = small(num_layers=1)
    density._graphs.most = 2
    for height in (2, 3, 4):
        density.sample(event_shape=(height, 2))
    assert len(density._graphs) == 2


def test_cached_logits_in_bfloat16():
    density = small(2, scale=0.1, dtype="mixed_bfloat16", **CONDITIONAL)
    context = random_context(density, 2)
    codes = density.sample(context=context, seed=1)
    assert codes.dtype == tf.int32
    logits = density.logits(codes, context)
    result = density._cached_logits(codes, context)
    np.testing.assert_allclose(result, logits, atol=0.3)
    assert np.mean(abs(result - logits)) < 0.05


# The distribution -------------------------------------------------------------


@pytest.mark.parametrize(
    "num_embeddings, num_codebooks, temperature",
    [(3, 1, 1.0), (2, 2, 1.0), (3, 1, 0.7)],
)
def test_samples_follow_log_prob(num_embeddings, num_codebooks, temperature):
    """A chi-squared test of all outcomes of a 2x2 or 1x2 grid.

    With a fresh seed it would fail once in a million runs; with this one the
    result is always the same.
    """
    grid = (2, 2) if num_codebooks == 1 else (1, 2)
    density = small(num_codebooks, num_embeddings)
    shape = shape_of(density, 1, grid)[1:]
    every = itertools.product(range(num_embeddings), repeat=np.prod(shape))
    values = np.array(list(every), np.int32)
    logits = density.logits(values.reshape(-1, *shape)).numpy() / temperature
    logits = logits.reshape(*values.shape, num_embeddings).astype(np.float64)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    terms = np.take_along_axis(logits, values[..., None], -1)
    expected = np.exp(terms.sum((1, 2)))
    count = 40000
    samples = density.sample(
        count, event_shape=grid, seed=11, temperature=temperature
    )
    samples = samples.numpy().reshape(count, -1)
    powers = num_embeddings ** np.arange(values.shape[1])[::-1]
    observed = np.bincount(samples @ powers, minlength=len(values)) / count
    large = expected * count > 5
    statistic = np.sum((observed - expected)[large] ** 2 / expected[large])
    # Wilson-Hilferty: the 1 - 1e-6 quantile of chi-squared (z = 4.75).
    freedom = np.sum(large) - 1
    bound = (
        freedom * (1 - 2 / 9 / freedom + 4.75 * np.sqrt(2 / 9 / freedom)) ** 3
    )
    assert freedom >= 10
    assert count * statistic < bound


def test_greedy():
    density = small(2)
    greedy = density.sample(2, temperature=0.0, seed=1).numpy()
    np.testing.assert_array_equal(greedy[0], greedy[1])
    other = density.sample(2, temperature=0.0, seed=2)
    np.testing.assert_array_equal(other, greedy)
    best = np.argmax(density.logits(greedy), axis=-1)
    np.testing.assert_array_equal(greedy, best)
    top_1 = density.sample(2, top_k=1, seed=3)
    np.testing.assert_array_equal(top_1, greedy)
    tiny_p = density.sample(2, top_p=1e-6, seed=3)
    np.testing.assert_array_equal(tiny_p, greedy)


def test_low_temperature_raises_the_probability():
    density = small()
    means = [
        np.mean(density.log_prob(density.sample(32, temperature=t, seed=0)))
        for t in (0.5, 1.0, 2.0)
    ]
    assert means[0] > means[1] > means[2]


@pytest.mark.parametrize("top_k, top_p", [(2, None), (None, 0.6), (3, 0.5)])
def test_samples_stay_in_the_filtered_support(top_k, top_p):
    density = small(2)
    codes = density.sample(16, top_k=top_k, top_p=top_p, seed=0)
    logits = density.logits(codes)
    allowed = filter_logits(logits, top_k=top_k, top_p=top_p) > -np.inf
    chosen = np.take_along_axis(allowed.numpy(), codes.numpy()[..., None], -1)
    assert np.all(chosen)
    assert not np.all(allowed)
    free = density.sample(16, top_k=6, top_p=1.0, seed=0)
    np.testing.assert_array_equal(free, density.sample(16, seed=0))


def test_filter_logits_equals_numpy():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=[50, 9]).astype(np.float32) * 2
    logits[0] = 0.0  # ties: the first ones stay
    for top_k, top_p, temperature in itertools.product(
        [None, 1, 3, 20], [None, 0.3, 0.9, 1.0], [0.5, 1.0]
    ):
        result = filter_logits(logits, temperature, top_k, top_p).numpy()
        expected = np.full_like(logits, -np.inf)
        for row, out in zip(logits, expected):
            p = np.exp(row / temperature) / np.exp(row / temperature).sum()
            total = 0.0
            for rank, i in enumerate(np.argsort(-row, kind="stable")):
                if rank == (top_k or 9) or 1 > (top_p or 1) <= total:
                    break
                out[i], total = row[i], total + p[i]
        np.testing.assert_array_equal(result, expected)
    # At temperature 0 the best code stays, whatever else does.
    greedy = np.argmax(filter_logits(logits, 0.0, None, 0.9), axis=-1)
    np.testing.assert_array_equal(greedy, np.argmax(logits, axis=-1))


# Completion -------------------------------------------------------------------


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_completion_keeps_the_given_codes(num_codebooks):
    density = small(num_codebooks)
    given = random_codes(density, 2)
    keep = np.random.default_rng(0).integers(0, 2, [2, SIZE, SIZE]) > 0
    wild = np.where(
        keep.reshape(keep.shape + (1,) * (given.ndim - 3)), given, -1
    )
    result = density.sample(given=wild, given_mask=keep, seed=0).numpy()
    np.testing.assert_array_equal(result[keep], given[keep])
    assert result.min() >= 0
    free = density.sample(2, seed=0).numpy()
    assert np.any(result[~keep] != free[~keep])  # the given codes matter
    everything = np.ones_like(keep)
    result = density.sample(given=given, given_mask=everything, seed=0)
    np.testing.assert_array_equal(result, given)
    result = density.sample(given=given, given_mask=~everything, seed=0)
    np.testing.assert_array_equal(result, free)


def test_completion_conditions_on_all_that_was_before():
    """The drawn codes have the noise and logits of their position."""
    density = small()
    given, keep = random_codes(density, 1), np.zeros([1, SIZE, SIZE], bool)
    keep[:, : SIZE // 2] = True
    result = density.sample(
        5, given=given, given_mask=keep, temperature=0.0
    ).numpy()
    assert result.shape == (5, SIZE, SIZE)
    best = np.argmax(density.logits(result), axis=-1)
    below = result[:, SIZE // 2 :]
    np.testing.assert_array_equal(below, best[:, SIZE // 2 :])


# Shapes and export ------------------------------------------------------------


def test_num_samples_and_grids():
    density = small(**CONDITIONAL)
    assert density.sample(context=random_context(density, 3)).shape[0] == 3
    one = random_context(density, 1)
    samples = density.sample(4, one, seed=0)
    assert samples.shape == (4, SIZE, SIZE)
    repeated = {k: tf.repeat(v, 4, axis=0) for k, v in one.items()}
    np.testing.assert_array_equal(density.sample(4, repeated, seed=0), samples)
    grid = (4, 6)
    context = random_context(density, 2, grid)
    assert density.sample(context=context).shape == (2, *grid)
    density = small()
    assert density.sample().shape == (1, SIZE, SIZE)
    assert density.sample(2, event_shape=grid).shape == (2, *grid)


def test_saved_model_with_dynamic_arguments(tmp_path):
    density = small(2, **CONDITIONAL)
    check_exported_sampler(density, tmp_path)


# Errors -----------------------------------------------------------------------


CODES = np.zeros([2, SIZE, SIZE], np.int32)
KEEP = np.ones([2, SIZE, SIZE], bool)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"temperature": -1.0}, "temperature must be a finite number"),
        ({"temperature": float("nan")}, "temperature must be a finite number"),
        ({"top_k": 0}, "top_k must be None or an integer"),
        ({"top_k": 2.5}, "top_k must be None or an integer"),
        ({"top_p": 0.0}, r"top_p must be None or a number in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p must be None or a number in \(0, 1\]"),
        ({"num_samples": 0}, "num_samples must be a positive integer"),
        ({"given": CODES}, "given and given_mask go together"),
        ({"given_mask": KEEP}, "given and given_mask go together"),
        (
            {"given": CODES, "given_mask": KEEP[..., None]},
            "given_mask must have shape",
        ),
        (
            {"given": CODES, "given_mask": KEEP[:, :4]},
            "given_mask must be on the grid",
        ),
        ({"given": CODES[0], "given_mask": KEEP}, "Codes must have shape"),
        ({"given": CODES - 1, "given_mask": KEEP}, "Codes must be in"),
        (
            {"given": CODES, "given_mask": KEEP, "event_shape": (4, 4)},
            "given must be on the grid",
        ),
        (
            {"given": CODES, "given_mask": KEEP, "num_samples": 3},
            "given must have a batch of 1 or of num_samples=3",
        ),
        ({"event_shape": (8,)}, "event_shape is the grid"),
        (
            {"context": {"global": np.zeros([1, 4])}},
            "expects a context with the entries",
        ),
    ],
)
def test_errors(arguments, message):
    density = small()
    with pytest.raises(ValueError, match=message) as error:
        density.sample(**arguments)
    assert "Received: " in str(error.value)


def test_batches_of_the_context_must_fit():
    density = small(**CONDITIONAL)
    with pytest.raises(ValueError, match="must have a batch of 1 or of") as e:
        density.sample(3, random_context(density, 2))
    assert "Received: " in str(e.value)
