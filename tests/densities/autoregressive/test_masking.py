"""Which codes are hidden: counts, their weights, ranks, the sampler's plan."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from vqvae_tf.densities.autoregressive import masking


def test_counts_follow_the_cosine():
    u = (np.arange(200_000) + 0.5) / 200_000
    counts = masking.hidden_counts(tf.constant(u, tf.float32), 5).numpy()
    counts = counts.astype(int)
    np.testing.assert_array_equal(
        counts[::5000], np.ceil(5 * np.cos(np.pi / 2 * u[::5000]))
    )
    shares = np.bincount(counts, minlength=6)[1:] / len(u)
    n = np.arange(1, 6)
    expected = (np.arccos((n - 1) / 5) - np.arccos(n / 5)) * 2 / np.pi
    np.testing.assert_allclose(shares, expected, atol=1e-4)
    # Weighted, all counts are as frequent.
    weights = masking.importance(tf.constant(n, tf.int32), 5)
    np.testing.assert_allclose(weights * expected, 1 / 5, rtol=1e-5)


def test_extreme_noise_stays_in_range():
    u = tf.constant([1e-7, 1 - 1e-7])
    np.testing.assert_array_equal(masking.hidden_counts(u, 7), [7, 1])
    assert np.all(np.isfinite(masking.importance(tf.constant([1, 7]), 7)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_lowest_entries(row, data):
    count = data.draw(st.integers(0, len(row)))
    scores = tf.constant([row], tf.float32)
    found = masking.lowest(scores, tf.constant([count])).numpy()[0]
    expected = np.zeros(len(row), bool)
    expected[np.argsort(row, kind="stable")[:count]] = True
    np.testing.assert_array_equal(found, expected)


def plan(at_first, num_passes):
    """How many are hidden before each pass, and after the last."""
    hidden, result = at_first, [at_first]
    for step in range(num_passes):
        hidden = masking.left_hidden(
            tf.constant(step),
            num_passes,
            tf.constant([at_first]),
            tf.constant([hidden]),
        ).numpy()[0]
        result.append(int(hidden))
    return result


def test_plan_of_64_codes_in_8_passes():
    expected = [int(64 * np.cos(np.pi / 2 * t / 8)) for t in range(9)]
    assert plan(64, 8) == expected
    assert expected[1] == 62 and expected[7] == 12 and expected[8] == 0


@settings(deadline=None, max_examples=40)
@given(at_first=st.integers(0, 30), num_passes=st.integers(1, 12))
def test_every_plan_ends_with_all_codes(at_first, num_passes):
    hidden = plan(at_first, num_passes)
    assert hidden[-1] == 0 and min(hidden) >= 0
    for before, after in zip(hidden[:-1], hidden[1:]):
        assert after < before or after in (0, 1)
