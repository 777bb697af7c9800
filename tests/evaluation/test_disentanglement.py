"""The mutual information gap: exact cases, its bias, what it ignores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vqvae_tf.evaluation.disentanglement import mutual_information_gap

SIZES = (3, 4, 8)


def every_combination(repeats=1):
    """Returns int64 [n, 3]: independent factors, each value equally often."""
    rows = np.repeat(np.arange(math.prod(SIZES)), repeats)
    return np.stack(np.unravel_index(rows, SIZES), axis=-1)


# Exact values


def test_a_latent_for_each_factor_gives_1():
    factors = every_combination()
    gap = mutual_information_gap(factors.astype(np.float32), factors)
    assert gap.score == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(gap.gaps, 1, atol=1e-12)
    np.testing.assert_allclose(gap.entropies, np.log(SIZES), atol=1e-12)
    expected = np.diag(np.log(SIZES))
    np.testing.assert_allclose(gap.information, expected, atol=1e-12)


def test_latents_that_say_nothing_do_not_matter():
    factors = every_combination()
    constant = np.full([len(factors), 2], 0.3)
    latents = np.concatenate([constant, factors], axis=1)
    gap = mutual_information_gap(latents, factors)
    assert gap.score == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(gap.information[:2], 0, atol=1e-12)


def test_copies_give_0():
    factors = every_combination()
    code = np.ravel_multi_index(factors.T, SIZES)[:, None]
    gap = mutual_information_gap(np.repeat(code, 4, axis=1), factors, 96)
    np.testing.assert_array_equal(gap.gaps, 0)
    # Each tells all, and none of them alone.
    expected = np.broadcast_to(np.log(SIZES), [4, 3])
    np.testing.assert_allclose(gap.information, expected, atol=1e-12)


def test_parts_of_a_factor():
    """The halves of 8 values tell log 2 of log 8, the quarters log 4."""
    factors = every_combination()[:, 2:]
    latents = np.concatenate([factors // 4, factors // 2], axis=1)
    gap = mutual_information_gap(latents, factors)
    np.testing.assert_allclose(gap.information[:, 0], np.log([2, 4]))
    assert gap.score == pytest.approx(1 / 3)


def test_bins_are_of_equal_width():
    """0 and 1 share the first of two bins of 0..4; 2 begins the second."""
    latents = np.array([[0, 0], [1, 0], [2, 0], [4, 0]])
    factors = np.arange(4)[:, None]
    two = mutual_information_gap(latents, factors, 2)
    assert two.information[0, 0] == pytest.approx(np.log(2))
    four = mutual_information_gap(latents, factors, 4)
    assert four.information[0, 0] == pytest.approx(np.log(4))
    # A value far off leaves all others in one bin.
    latents[3, 0] = 1000
    gap = mutual_information_gap(latents, factors, 20)
    expected = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert gap.score == pytest.approx(expected / np.log(4))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_information_is_what_the_definition_says(seed, num_bins):
    rng = np.random.default_rng(seed)
    factors = rng.integers(-3, 3, [60, 2])
    factors[:2] = [[0, 0], [1, 1]]
    latents = rng.normal(size=[60, 3]) + factors[:, :1]
    gap = mutual_information_gap(latents, factors, num_bins)
    for d in range(3):
        for k in range(2):
            # np.histogram's own bins: of equal width, the last one closed.
            edges = np.histogram_bin_edges(latents[:, d], num_bins)
            values = np.append(np.unique(factors[:, k]), 99)
            joint = np.histogram2d(
                latents[:, d], factors[:, k], [edges, values]
            )
            p = joint[0] / 60
            expected = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p)
            assert gap.information[d, k] == pytest.approx(expected, abs=1e-12)


def entropy(p):
    p = p[p > 0]
    return -np.sum(p * np.log(p))


# Its bias


def test_independent_latents_give_the_stated_bias():
    """2 n I of independent variables is chi-squared, to first order in 1/n.

    Its degrees of freedom are (R - 1)(C - 1). The means of 40 x 3 of them are
    within 5 standard deviations: about one seed in a million would fail.
    """
    rng = np.random.default_rng(0)
    factors = every_combination(repeats=100)
    latents = rng.uniform(size=[len(factors), 40])
    gap = mutual_information_gap(latents, factors)
    freedom = 19 * (np.array(SIZES) - 1)
    stated = freedom / (2 * len(factors))
    means = gap.information.mean(axis=0)
    deviation = np.sqrt(2 / (freedom * 40))
    assert np.all(abs(means / stated - 1) < 5 * deviation)
    # The best two of 40 differ by less than the bias itself.
    assert 0 < gap.score < np.mean(stated / np.log(SIZES))
    assert gap.score < 0.002


# What it ignores


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(1e-6, 1e6),
    sign=st.sampled_from([-1, 1]),
    shift=st.floats(-10, 10),
)
def test_order_scale_and_place_do_not_matter(seed, scale, sign, shift):
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 4, [200, 3])
    latents = rng.normal(size=[200, 5])
    latents[:, :3] += 2 * factors
    gap = mutual_information_gap(latents, factors)
    assert 0 <= gap.score <= 1
    order, names = rng.permutation(5), rng.permutation(3)
    rows, labels = rng.permutation(200), rng.permutation(4) * 7 - 5
    changed = (sign * scale) * (latents + shift)
    other = mutual_information_gap(
        changed[rows][:, order], labels[factors[rows]][:, names]
    )
    expected = gap.information[order][:, names]
    np.testing.assert_allclose(other.information, expected, atol=1e-12)
    np.testing.assert_allclose(other.gaps, gap.gaps[names], atol=1e-12)
    assert other.score == pytest.approx(gap.score, abs=1e-12)


def test_the_widest_range_of_floats_is_binned():
    most = np.finfo(np.float64).max
    factors = np.arange(3)[:, None]
    latents = np.array([[-most, 0], [0, 0], [most, 0]])
    assert mutual_information_gap(latents, factors, 3).score == pytest.approx(1)


# Errors


@pytest.mark.parametrize(
    "latents, factors, num_bins, message",
    [
        (np.zeros([4]), [[0], [1]], 20, r"\[n, d\].*Received: shape \(4,\)"),
        (np.zeros([2, 1]), [[0], [1]], 20, "at least two latents"),
        (np.zeros([0, 2]), np.zeros([0, 1], int), 20, r"Received: .*\(0, 2\)"),
        ([[0, np.nan], [1, np.inf]], [[0], [1]], 20, "Received: 2 values"),
        (np.zeros([2, 2]), [[0], [1], [2]], 20, r"n=2 .*\(3, 1\)"),
        (np.zeros([2, 2]), [0, 1], 20, r"Received: int64 of shape \(2,\)"),
        (np.zeros([2, 2]), [[0.5], [1]], 20, "integers.*Received: float64"),
        (np.zeros([2, 2]), np.zeros([2, 0], int), 20, r"\(2, 0\)"),
        (
            np.zeros([2, 2]),
            [[0, 7], [1, 7]],
            20,
            r"Received: 7 .*factors\[:, 1",
        ),
        (np.zeros([2, 2]), [[0], [1]], 0, "num_bins must be .*Received: 0"),
    ],
)
def test_errors(latents, factors, num_bins, message):
    with pytest.raises(ValueError, match=message):
        mutual_information_gap(latents, factors, num_bins)
