"""Oscillators against their formula in float64, and their noise."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf import data
from vqvae_tf.data import Oscillators, SwitchingOscillators


def arrays(known):
    """Returns float64 arrays, as rows that broadcast over times."""
    return {k: np.asarray(v, np.float64)[:, None] for k, v in known.items()}


def exact(known, cycles):
    known = arrays(known)
    angles = 2 * np.pi * cycles + known["phase"]
    return known["amplitude"] * np.sin(angles)


def switched(known, bounds):
    """Returns positions whose phase grows by the frequency at each step."""
    segment = np.repeat(np.arange(4), np.diff(bounds))
    frequencies = np.asarray(known["frequencies"], np.float64)[:, segment]
    cycles = np.cumsum(frequencies, axis=1) - frequencies
    return exact(known, cycles)


def test_positions_are_those_of_the_formula():
    source = Oscillators(length=90, num_examples=40, noise=0)
    frames, mask, known = data.evaluation_sequences(source)
    assert mask is None and frames.shape == (40, 90, 1)
    assert frames.dtype == np.float32
    cycles = arrays(known)["frequency"] * np.arange(90)
    np.testing.assert_allclose(frames[..., 0], exact(known, cycles), atol=1e-4)


def test_noise_is_white_and_as_large_as_given():
    source = Oscillators(num_examples=400, noise=0.3)
    frames, _, known = data.evaluation_sequences(source)
    cycles = arrays(known)["frequency"] * np.arange(200)
    residual = (frames[..., 0] - exact(known, cycles)) / 0.3
    assert abs(residual.mean()) < 0.015  # 4 standard deviations each
    assert abs(residual.std() - 1) < 0.01
    assert abs((residual**4).mean() - 3) < 0.14  # as of a normal distribution
    assert abs((residual[:, 1:] * residual[:, :-1]).mean()) < 0.015
    assert abs((residual[1:] * residual[:-1]).mean()) < 0.015


def test_ranges():
    ranges = dict(frequencies=(0.1, 0.3), amplitudes=(2, 5))
    source = Oscillators(length=2, num_examples=2000, **ranges)
    _, _, known = data.evaluation_sequences(source)
    expected = dict(
        frequency=(0.1, 0.3), amplitude=(2, 5), phase=(0, 2 * np.pi)
    )
    assert set(known) == set(expected)
    drawn = []
    for name, (low, high) in expected.items():
        assert known[name].dtype == np.float32 and known[name].shape == (2000,)
        share = (known[name] - low) / (high - low)
        assert -1e-6 < share.min() < 0.01 and 0.99 < share.max() < 1 + 1e-6
        assert abs(share.mean() - 0.5) < 0.026  # 4 standard deviations
        drawn.append(share)
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.09


@pytest.mark.parametrize("bounds", [(0, 10, 20, 120, 140), (0, 3, 4, 9, 11)])
def test_switching_integrates_frequencies(bounds):
    source = SwitchingOscillators(40, bounds, noise=0)
    assert source.length == bounds[-1]
    frames, mask, known = data.evaluation_sequences(source)
    assert mask is None and frames.shape == (40, bounds[-1], 1)
    np.testing.assert_allclose(
        frames[..., 0], switched(known, bounds), atol=2e-4
    )


def test_phase_does_not_jump():
    source = SwitchingOscillators(num_examples=300, noise=0)
    frames, _, known = data.evaluation_sequences(source)
    steps = np.abs(np.diff(frames[..., 0], axis=1))
    fastest = known["frequencies"].max(axis=1)
    # A step of a sine is at most 2 sin(pi f).
    bound = 2 * known["amplitude"] * np.sin(np.pi * fastest)
    assert (steps <= bound[:, None] + 1e-4).all()


def test_noise_of_switching_oscillators():
    source = SwitchingOscillators(num_examples=400, noise=0.2)
    frames, _, known = data.evaluation_sequences(source)
    residual = frames[..., 0] - switched(known, source.bounds)
    assert abs(residual.std() / 0.2 - 1) < 0.012


def test_the_last_frequency_tells_which_was_greater():
    source = SwitchingOscillators(
        num_examples=2000, frequencies=(0.1, 0.2), last_frequencies=(0.3, 0.05)
    )
    _, _, known = data.evaluation_sequences(source)
    frequencies, greater = known["frequencies"], known["is_greater"]
    assert frequencies.shape == (2000, 4) and greater.dtype == bool
    assert (greater == (frequencies[:, 0] > frequencies[:, 1])).all()
    expected = np.where(greater, np.float32(0.3), np.float32(0.05))
    assert (frequencies[:, 3] == expected).all()
    assert abs(greater.mean() - 0.5) < 0.045  # 4 standard deviations
    drawn = frequencies[:, :3]
    assert drawn.min() >= 0.1 and drawn.max() <= 0.2 + 1e-6
    # The third one does not tell.
    assert abs(np.corrcoef(drawn[:, 2], greater)[0, 1]) < 0.09


@pytest.mark.parametrize(
    "source", [Oscillators(length=37), SwitchingOscillators()]
)
def test_a_sequence_does_not_depend_on_its_batch(source):
    noise = source.evaluation_noise(np.arange(33))
    index = np.arange(33)
    whole, _ = source.get(index, noise)
    for size in (1, 2, 5, 33):
        get = tf.function(source.get)
        for first in range(0, 33, size):
            rows = slice(first, first + size)
            found, _ = get(index[rows], noise[rows])
            np.testing.assert_array_equal(found, whole[rows])


def test_the_rarest_noise_is_finite():
    for source in (Oscillators(), SwitchingOscillators()):
        for edge in (2.0**-24, 1 - 2.0**-24):
            noise = tf.fill([1, source.noise_size], edge)
            frames, _ = source.get([0], noise)
            assert np.abs(frames).max() < 1.5 + 0.1 * 5.5


@pytest.mark.parametrize("make", [Oscillators, SwitchingOscillators])
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"frequencies": 0.1}, r"frequencies must be a pair.*Received: 0.1"),
        ({"frequencies": (0.1,)}, r"must be a pair.*Received: \(0.1,\)"),
        ({"frequencies": (0.1, 0.6)}, "at most 0.5, in cycles.*ies=0.6"),
        ({"frequencies": (0, 0.1)}, "above 0.*Received: frequencies=0"),
        ({"frequencies": (0.2, 0.1)}, r"in this order.*\(0.2, 0.1\)"),
        ({"frequencies": "ab"}, "frequencies must be.*Received: .*'a'"),
        ({"frequencies": (0.1, float("nan"))}, "Received: frequencies=nan"),
        ({"amplitudes": None}, "amplitudes must be a pair.*Received: None"),
        ({"amplitudes": (-1, 1)}, "of at least 0.*Received: amplitudes=-1"),
        ({"amplitudes": (2, 1)}, "amplitudes must be .* in this order"),
        ({"noise": -0.1}, "noise must be .* at least 0.*Received: noise=-0.1"),
        ({"noise": float("inf")}, "noise must be a finite number"),
        ({"num_examples": 0}, "num_examples must be a positive integer"),
        ({"stream": -1}, "stream must be an integer.*Received: -1"),
    ],
)
def test_bad_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize("length", [1, 0, 20.0, "20", None])
def test_bad_lengths(length):
    with pytest.raises(ValueError, match=f"frames: .*Received: {length!r}"):
        Oscillators(length)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"bounds": (0, 10, 20)}, r"five increasing.*Received: \(0, 10, 20\)"),
        ({"bounds": 140}, "five increasing.*Received: 140"),
        ({"bounds": (1, 10, 20, 120, 140)}, "from 0 on.*Received"),
        ({"bounds": (0, 10, 10, 120, 140)}, "five increasing.*Received"),
        ({"bounds": (0, 10, 20, 120, 140.5)}, "of bounds.*Received: 140.5"),
        ({"last_frequencies": 0.1}, "last_frequencies must be a pair"),
        ({"last_frequencies": (0.1, 0.1)}, "must differ.*Received"),
        ({"last_frequencies": (0.1, 0.7)}, "last_frequencies=0.7"),
    ],
)
def test_bad_segments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SwitchingOscillators(**arguments)


@pytest.mark.parametrize("kind", [Oscillators, SwitchingOscillators])
def test_positions_are_what_is_observed_without_noise(kind):
    source = kind(noise=0)
    noise = source.evaluation_noise([0, 5, 7])
    known = source.known([0, 5, 7], noise)
    frames, _ = source.get([0, 5, 7], noise)
    np.testing.assert_array_equal(source.positions(known), frames[..., 0])
