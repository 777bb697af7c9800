"""Distances of sets of features: closed forms, brute force, intervals."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vqvae_tf.evaluation import sample_distances
from vqvae_tf.evaluation.sample_distances import (
    frechet_distance,
    kernel_distance,
    nearest,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_moments(count, mean, covariance, seed=0):
    """Points whose sample mean and covariance are exactly these."""
    x = normal(count, len(mean), seed=seed)
    x -= x.mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x, rowvar=False)), x.T).T
    return x @ np.linalg.cholesky(covariance).T + mean


# The Frechet distance ---------------------------------------------------------


def test_identical_sets_have_no_distance():
    x = normal(200, 7)
    assert abs(frechet_distance(x, x)) < 1e-9
    assert abs(frechet_distance(x, x[::-1])) < 1e-9


def test_diagonal_gaussians():
    """`|m|^2 + sum (s_a - s_b)^2`, whose square roots are known."""
    a_scales, b_scales = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 1.0])
    mean = np.array([1.0, -2.0, 0.0])
    a = with_moments(50, np.zeros(3), np.diag(a_scales**2))
    b = with_moments(80, mean, np.diag(b_scales**2), seed=1)
    expected = 5 + np.sum((a_scales - b_scales) ** 2)
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-9)


def test_covariances_that_do_not_commute():
    """In two dimensions tr (AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2)."""
    c_a = np.array([[2.0, 0.7], [0.7, 1.0]])
    c_b = np.array([[1.0, -0.3], [-0.3, 3.0]])
    a = with_moments(60, np.zeros(2), c_a)
    b = with_moments(60, np.zeros(2), c_b, seed=1)
    product = c_a @ c_b
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(c_a + c_b) - 2 * root
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-9)


def test_one_channel():
    a, b = normal(30, 1), 2 * normal(40, 1, seed=1) + 1
    expected = (a.mean() - b.mean()) ** 2
    expected += (a.std(ddof=1) - b.std(ddof=1)) ** 2
    np.testing.assert_allclose(frechet_distance(a, b), expected)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), channels=st.integers(1, 6))
def test_it_is_symmetric_not_negative_and_does_not_turn(seed, channels):
    a = normal(20, channels, seed=seed)
    b = 3 * normal(30, channels, seed=seed + 1) + 0.5
    distance = frechet_distance(a, b)
    assert distance > -1e-9
    turn = np.linalg.qr(normal(channels, channels, seed=seed))[0]
    for other in (frechet_distance(b, a), frechet_distance(a @ turn, b @ turn)):
        np.testing.assert_allclose(other, distance, rtol=1e-6, atol=1e-9)


# The kernel distance ----------------------------------------------------------


def by_loops(a, b):
    """The estimate by its definition, a pair at a time."""

    def kernel(x, y):
        return (np.dot(x, y) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    in_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j)
    in_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(x, y) for x in a for y in b)
    return in_a / (n * (n - 1)) + in_b / (m * (m - 1)) - 2 * across / (n * m)


def test_kernel_distance_equals_its_definition(monkeypatch):
    a, b = normal(9, 3), normal(7, 3, seed=1) + 0.5
    monkeypatch.setattr(sample_distances, "_CHUNK", 4)
    found = kernel_distance(a, b)
    np.testing.assert_allclose(found.value, by_loops(a, b))
    # The jackknife: without each example in turn.
    of_a = [by_loops(np.delete(a, i, 0), b) for i in range(9)]
    of_b = [by_loops(a, np.delete(b, i, 0)) for i in range(7)]
    variance = sum((len(x) - 1) * np.var(x) for x in (of_a, of_b))
    np.testing.assert_allclose(found.half_interval, 1.96 * variance**0.5)


def test_it_is_unbiased_for_small_sets():
    """Its mean over many small sets is that of large ones."""
    values = [
        kernel_distance(normal(10, 4, seed=s), normal(12, 4, seed=s + 5000))
        for s in range(1000)
    ]
    means = [value.value for value in values]
    assert min(means) < 0
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means)) < 4 * error < 0.1


def test_intervals_hold_the_truth_in_most_cases():
    """The truth is that of 8,000 examples each."""
    shift = 0.4
    truth = kernel_distance(
        normal(8000, 3, seed=1), normal(8000, 3, seed=2) + shift
    )
    held = []
    for seed in range(100):
        a = normal(100, 3, seed=10 + seed)
        b = normal(150, 3, seed=1000 + seed) + shift
        found = kernel_distance(a, b)
        held.append(abs(found.value - truth.value) < found.half_interval)
    assert 0.87 <= np.mean(held) <= 1


def test_reconstructions_of_the_same_set_are_not_independent():
    """Hence the halves: paired sets come out below the floor."""
    x = normal(300, 8)
    rough = x + 0.1 * normal(300, 8, seed=1)
    assert kernel_distance(x, rough).value < 0
    independent = kernel_distance(x[:150], rough[150:])
    assert abs(independent.value) < independent.half_interval


# Neighbours -------------------------------------------------------------------


def test_nearest_equals_all_distances(monkeypatch):
    monkeypatch.setattr(sample_distances, "_CHUNK", 4)
    a, b = normal(11, 3), normal(9, 3, seed=1)
    every = np.linalg.norm(a[:, None] - b, axis=-1)
    rows, distances = nearest(a, b)
    np.testing.assert_array_equal(rows, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1))


def test_a_copy_is_at_no_distance():
    b = 1e6 + normal(20, 5)
    rows, distances = nearest(b[[7, 3]], b)
    np.testing.assert_array_equal(rows, [7, 3])
    np.testing.assert_array_equal(distances, 0)


# Errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [frechet_distance, kernel_distance, nearest]
)
@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.ones([9]), np.ones([9, 2]), r"\[examples, channels\].*\(9,\)"),
        (np.ones([9, 3]), np.ones([9, 2]), "with equal channels"),
        (np.ones([0, 2]), np.ones([9, 2]), r"shapes \(0, 2\)"),
        (np.full([9, 2], np.nan), np.ones([9, 2]), "finite. Received: a"),
        (np.ones([9, 2]), np.full([9, 2], np.inf), "finite. Received: b"),
    ],
)
def test_odd_features(function, a, b, message):
    with pytest.raises(ValueError, match=message):
        function(a, b)


def test_too_few_examples():
    with pytest.raises(ValueError, match=r"use kernel_distance.*b of shape"):
        frechet_distance(normal(9, 4), normal(4, 4))
    with pytest.raises(ValueError, match=r"three examples.*a of shape"):
        kernel_distance(normal(2, 4), normal(9, 4))
