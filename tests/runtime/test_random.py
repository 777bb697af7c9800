"""Noise that is the same in every mode, and has the distribution it should."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.runtime import random

COUNT = 100_000


def in_three_modes(function, *args):
    """The results of eager mode, of a graph, and of XLA."""
    graph = tf.function(function, autograph=False)
    xla = tf.function(function, autograph=False, jit_compile=True)
    return [np.asarray(f(*args)) for f in (function, graph, xla)]


def distribution_distance(draws, cumulative):
    """Kolmogorov and Smirnov's: the largest distance, times sqrt(n).

    It is above 2.5 with probability 2 exp(-2 * 2.5^2) = 7e-6, were the seed
    not fixed.
    """
    draws = np.sort(np.asarray(draws, np.float64))
    n = len(draws)
    expected = cumulative(draws)
    above = np.arange(1, n + 1) / n - expected
    below = expected - np.arange(n) / n
    return max(above.max(), below.max()) * n**0.5


# Seeds -----------------------------------------------------------------------


def test_make_seed():
    for seed in (5, np.int64(5), tf.constant(5), tf.constant(5, tf.int64)):
        made = random.make_seed(seed)
        assert made.dtype == tf.int32
        np.testing.assert_array_equal(made, [5, 0])
    np.testing.assert_array_equal(random.make_seed([3, 4]), [3, 4])
    with pytest.raises(ValueError, match=r"Received: a seed of shape \(3,\)"):
        random.make_seed([1, 2, 3])


def test_seeds_without_a_number_follow_the_global_one():
    keras.utils.set_random_seed(1)
    first, second = random.make_seed(), random.make_seed()
    assert first.shape == (2,) and first.dtype == tf.int32
    assert np.any(first != second)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(random.make_seed(), first)


def test_sub_streams_never_meet():
    """Thousands of folded seeds, and seeds folded twice, are all different."""
    fold = tf.function(
        lambda seed, numbers: tf.map_fn(
            lambda n: random.fold_in(seed, n), numbers
        )
    )
    numbers = tf.range(3000)
    seeds = [random.make_seed(s) for s in (0, 1, 2**31 - 1, -7)]
    seeds += [random.fold_in(seeds[0], 1), random.fold_in(seeds[0], 2)]
    folded = np.concatenate([fold(seed, numbers) for seed in seeds])
    assert folded.dtype == np.int32
    assert len(np.unique(folded, axis=0)) == len(folded) == 18_000


def test_sub_streams_are_independent():
    seed = random.make_seed(3)
    streams = [random.uniform([COUNT], seed)]
    streams += [
        random.uniform([COUNT], random.fold_in(seed, i)) for i in range(8)
    ]
    streams.append(random.uniform([COUNT], random.fold_in(seed, 2**30)))
    correlation = np.corrcoef(np.stack(streams))
    np.fill_diagonal(correlation, 0)
    # Of the 45 pairs one is 5 standard deviations off once in 40,000 seeds.
    assert abs(correlation).max() < 5 / COUNT**0.5


# Draws -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 123456789, -1])
def test_uniform_has_the_same_bits_in_all_modes(seed):
    draws = in_three_modes(
        lambda s: random.uniform([50, 70], random.make_seed(s)),
        tf.constant(seed),
    )
    np.testing.assert_array_equal(draws[1], draws[0])
    np.testing.assert_array_equal(draws[2], draws[0])
    unknown = tf.function(random.uniform)
    shape = tf.constant([50, 70])
    np.testing.assert_array_equal(
        unknown(shape, random.make_seed(seed)), draws[0]
    )


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 3.0])
def test_categorical_draws_the_same_in_all_modes(temperature):
    logits = np.random.default_rng(0).normal(size=[40, 30, 12])
    draws = in_three_modes(
        lambda x, t: random.categorical(x, random.make_seed(1), t),
        tf.constant(logits, tf.float32),
        tf.constant(temperature),
    )
    assert draws[0].dtype == np.int32
    np.testing.assert_array_equal(draws[1], draws[0])
    np.testing.assert_array_equal(draws[2], draws[0])
    if temperature == 0:
        np.testing.assert_array_equal(draws[0], logits.argmax(-1))


@pytest.mark.parametrize(
    "draw", [random.normal, random.logistic, random.gumbel]
)
def test_other_noise_is_the_same_to_rounding(draw):
    draws = in_three_modes(lambda: draw([50, 70], random.make_seed(2)))
    np.testing.assert_allclose(draws[1], draws[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(draws[2], draws[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "draw, cumulative",
    [
        (random.uniform, lambda x: x),
        (random.logistic, lambda x: 1 / (1 + np.exp(-x))),
        (random.gumbel, lambda x: np.exp(-np.exp(-x))),
        (
            random.normal,
            lambda x: tf.math.erfc(-x / np.sqrt(2.0)).numpy() / 2,
        ),
    ],
)
def test_distributions(draw, cumulative):
    noise = draw([COUNT], random.make_seed(11))
    assert noise.dtype == tf.float32
    assert distribution_distance(noise, cumulative) < 2.5


def test_the_interval_is_open(monkeypatch):
    """Whatever the bits, no noise is infinite."""
    bits = tf.constant([0, -1, 2**31 - 1, -(2**31)], tf.int32)
    monkeypatch.setattr(
        tf.random, "stateless_uniform", lambda *args, **kwargs: bits
    )
    seed = random.make_seed(0)
    u = random.uniform([4], seed).numpy()
    np.testing.assert_array_equal(u[:2], [2.0**-24, 1 - 2.0**-24])
    assert u[3] > u[2] and u[3] - u[2] == 2.0**-23
    for draw in (random.normal, random.logistic, random.gumbel):
        assert np.all(np.isfinite(draw([4], seed)))


def test_categorical_frequencies():
    """Each share is within 5 standard deviations: false once in 250,000."""
    p = np.array([0.6, 0.25, 0.1, 0.05])
    for temperature in (1.0, 0.5):
        logits = tf.tile(
            tf.constant(np.log(p)[None] + 3, tf.float32), [COUNT, 1]
        )
        seed = random.make_seed(5)
        draws = random.categorical(logits, seed, temperature)
        share = np.bincount(draws, minlength=4) / COUNT
        expected = p ** (1 / temperature)
        expected = expected / expected.sum()
        deviation = np.sqrt(expected * (1 - expected) / COUNT)
        assert np.all(abs(share - expected) < 5 * deviation)


def test_impossible_categories_are_never_drawn():
    logits = tf.tile([[0.0, -np.inf, 0.0]], [1000, 1])
    for temperature in (0.0, 1.0, 10.0):
        draws = random.categorical(logits, random.make_seed(0), temperature)
        assert 1 not in draws.numpy()


# Rows ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[6], [6, 1], [6, 5], [6, 2, 4]])
def test_rows_do_not_depend_on_the_others(shape):
    seed = random.make_seed(3)
    for whole in in_three_modes(lambda: random.uniform_rows(shape, seed)):
        assert whole.shape == tuple(shape)
        parts = [
            random.uniform_rows([2, *shape[1:]], seed, first)
            for first in (0, 2, 4)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("seed", [[3, 5], [-7, -3], [5, -3], [-(2**31), 1]])
def test_seeds_of_either_sign_are_the_same_in_every_mode(seed):
    """`fold_in` makes negative ones, which XLA would take for others."""
    seed = tf.constant(seed)
    for draw in (random.uniform, random.uniform_rows):
        eager, graph, xla = in_three_modes(draw, [5, 6], seed)
        np.testing.assert_array_equal(graph, eager)
        np.testing.assert_array_equal(xla, eager)
    # Those of TensorFlow's own operations outside of XLA.
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    own_key, own_counter = random._key_and_counter(seed)
    np.testing.assert_array_equal(own_key, key)
    np.testing.assert_array_equal([0, own_counter], counter)


def test_rows_are_uniform():
    draws = random.uniform_rows([1000, COUNT // 1000], random.make_seed(1))
    assert distribution_distance(np.ravel(draws), lambda x: x) < 2.5
    assert len(np.unique(draws)) > 0.98 * COUNT


def test_seeds_have_other_rows():
    a, b = (random.uniform_rows([4, 8], random.make_seed(s)) for s in (1, 2))
    assert np.all(np.asarray(a) != b)


def test_uniforms_of_values_depend_on_the_row_alone():
    rng = np.random.default_rng(0)
    values = tf.constant(rng.integers(0, 3, [500, 16]), tf.int32)
    found = random.uniform_of(values, 40).numpy()
    assert found.min() > 0 and found.max() < 1
    turned = random.uniform_of(values[::-1], 40).numpy()
    np.testing.assert_array_equal(turned[::-1], found)
    for jit in (False, True):
        graph = tf.function(random.uniform_of, jit_compile=jit)
        np.testing.assert_array_equal(graph(values, 40), found)
    another = random.uniform_of(values, 40, 1).numpy()
    # Uniform, and independent of each other: rows, columns and draws.
    for sample in (found, another):
        assert abs(sample.mean() - 0.5) < 0.01
        assert abs(sample.var() - 1 / 12) < 0.002
    for a, b in (
        (found[:-1], found[1:]),
        (found[:, :-1], found[:, 1:]),
        (found, another),
    ):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


def test_uniforms_of_rows_that_differ_in_one_value_or_in_order():
    row = np.arange(16) % 5
    swapped = row.copy()
    swapped[[2, 3]] = swapped[[3, 2]]
    rows = [row, swapped, row + (np.arange(16) == 7), np.roll(row, 1)]
    found = random.uniform_of(tf.constant(np.stack(rows), tf.int32), 200)
    correlations = np.corrcoef(found.numpy())[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.3
