"""Pairs of times: their distribution, their limits, their features."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from vqvae_tf.models import time_pairs


def drawn(gaps, lengths, count=20_000, seed=0):
    noise = np.random.default_rng(seed).uniform(size=[len(lengths), count, 3])
    lengths = tf.constant(lengths)[:, None]
    first, second = gaps.draw(tf.constant(noise, tf.float32), lengths)
    return first.numpy(), (second - first).numpy()


def test_gaps_and_first_times_are_uniform():
    first, gap = drawn(time_pairs.Gaps([(2, 4)]), [8])
    for value in (2, 3, 4):
        assert abs(np.mean(gap == value) - 1 / 3) < 0.02
        of_gap = first[gap == value]
        shares = np.bincount(of_gap) / len(of_gap)
        np.testing.assert_allclose(shares, 1 / (8 - value), atol=0.03)


def test_ranges_are_drawn_by_weight():
    gaps = time_pairs.Gaps([(1, 1), (5, 5), (7, 7)], [6, 0, 2])
    _, gap = drawn(gaps, [20])
    assert set(np.unique(gap)) == {1, 7}
    assert abs(np.mean(gap == 1) - 0.75) < 0.02


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(0, 9),
)
def test_pairs_are_within_their_sequence(lengths, low, more):
    gaps = time_pairs.Gaps([(low, low + more)])
    first, gap = drawn(gaps, lengths, count=50)
    last = np.array(lengths)[:, None] - 1
    assert np.all(first >= 0) and np.all(first + gap <= last)
    assert np.all(gap >= np.minimum(low, last))
    assert np.all(gap <= low + more)


def test_features_tell_every_gap_apart():
    found = time_pairs.gap_features(tf.range(1, 121), 120).numpy()
    assert found.shape == (120, time_pairs.gap_channels(120))
    assert np.abs(found).max() <= 1
    distances = np.abs(found[:, None] - found).max(axis=-1)
    assert distances[~np.eye(120, dtype=bool)].min() > 0.05


@pytest.mark.parametrize(
    "ranges, weights, expected",
    [
        ([], None, "pairs"),
        ([3], None, "pairs"),
        ([(1, 2, 3)], None, "pairs"),
        ([(0, 3)], None, "positive integer"),
        ([(4, 3)], None, "lowest, highest"),
        ([(1, 3)], [0.5, 0.5], "for each range"),
        ([(1, 3)], [-1], "gap_weights"),
        ([(1, 3)], [0], "must not all be 0"),
    ],
)
def test_refusals(ranges, weights, expected):
    with pytest.raises(ValueError, match=expected):
        time_pairs.Gaps(ranges, weights)
