"""The probe of what single codes stand for."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vqvae_tf.evaluation.code_labels import (
    UNLABELLED,
    Interval,
    code_labels,
    frame_labels,
    read_alignment,
)


def by_hand(codes, labels, test_codes, test_labels):
    """The same map by counting in dicts."""
    met = collections.defaultdict(collections.Counter)
    for code, label in zip(codes, labels):
        if label >= 0:
            met[code][label] += 1
    everything = sum(met.values(), collections.Counter())

    def first(counter):
        return min(counter, key=lambda label: (-counter[label], label))

    most = first(everything)
    frames = [(c, b) for c, b in zip(test_codes, test_labels) if b >= 0]
    right = [first(met[c]) if c in met else most for c, _ in frames]
    accuracy = np.mean([r == b for r, (_, b) in zip(right, frames)])
    return accuracy, np.mean([b == most for _, b in frames])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(2, 5))
def test_is_the_count_by_hand(seed, values, labels):
    rng = np.random.default_rng(seed)
    arrays = [
        np.append(rng.integers(low, high, 30), 0)
        for high, low in [(values, 0), (labels, -1)] * 2
    ]
    found = code_labels(*arrays, values, labels)
    accuracy, majority = by_hand(*(a.tolist() for a in arrays))
    assert found.accuracy == pytest.approx(accuracy)
    assert found.majority == pytest.approx(majority)
    assert found.frames == np.sum(arrays[3] >= 0)


def test_codes_that_are_labels_tell_all():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, [20, 7])
    found = code_labels(labels + 3, labels, labels + 3, labels, 9, 5)
    assert found.accuracy == 1.0
    assert found.majority < 0.4
    np.testing.assert_array_equal(found.label_of[3:8], range(5))


def test_alignment(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("# s e l\n0.5\t0.7\tb\n\n0.0, 0.5, a\n")
    intervals = read_alignment(path)
    assert intervals == [Interval(0.0, 0.5, "a"), Interval(0.5, 0.7, "b")]
    in_samples = read_alignment(path, unit=1 / 16000)
    assert in_samples[1] == Interval(0.5 / 16000, 0.7 / 16000, "b")
    labels = frame_labels(intervals, 10, 0.1, ["a", "b"])
    assert labels.tolist() == [0] * 5 + [1] * 2 + [UNLABELLED] * 3


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 1", r"line 1: expected `start end label`.*Received: '0 1'"),
        ("x 1 a", "line 1: expected"),
        ("0 1 a\n2 2 b", "line 2: expected"),
        ("0 1 a\n0.9 2 b", "'a' until 1.0 s and 'b' from 0.9 s"),
    ],
)
def test_bad_alignments(tmp_path, text, message):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_alignment(path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0], [0, 1], [0], [0], 2, 2), "one label for each code"),
        (([0], [0], [2], [0], 2, 2), "test codes in 2..2"),
        (([0], [0], [0], [5], 2, 2), "below num_labels=2. Received: label 5"),
        (([0], [-1], [0], [0], 2, 2), "training part has no labelled frame"),
    ],
)
def test_bad_codes(arguments, message):
    with pytest.raises(ValueError, match=message):
        code_labels(*arguments)


def test_unknown_label():
    with pytest.raises(ValueError, match="among a, b. Received: 'c'"):
        frame_labels([Interval(0, 1, "c")], 3, 0.5, ["a", "b"])
