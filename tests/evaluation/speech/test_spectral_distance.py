"""The log-spectral distance."""

import numpy as np
import pytest

from support import speech
from vqvae_tf.evaluation.speech.spectral_distance import log_spectral_distance


def by_hand(original, other, window, hop):
    """The definition, frame by frame and frequency by frequency."""

    def powers(waveform):
        found = []
        for first in range(0, len(waveform), hop):
            frame = np.zeros(window)
            piece = waveform[first : first + window]
            frame[: len(piece)] = piece
            n = np.arange(window)
            frame *= np.sin(np.pi * n / window) ** 2
            found.append(
                [
                    abs(np.sum(frame * np.exp(-2j * np.pi * k * n / window)))
                    ** 2
                    for k in range(window // 2 + 1)
                ]
            )
        return np.array(found)

    a, b = powers(original), powers(other)
    floor = a.max() / 1e6
    decibels = [10 * np.log10(np.maximum(p, floor)) for p in (a, b)]
    return np.mean([np.sqrt(np.mean((x - y) ** 2)) for x, y in zip(*decibels)])


@pytest.mark.parametrize("size", [150, 192])
def test_is_the_definition(size):
    rng = np.random.default_rng(size)
    a, b = rng.normal(size=[2, size])
    a[:40] = 0  # in part silent
    found = log_spectral_distance(a, b, window=32, hop=8)
    assert found == pytest.approx(by_hand(a, b, 32, 8), rel=1e-9)
    assert found > 3
    assert log_spectral_distance(a, a) == 0


def test_two_draws_of_noise_are_as_far_apart_as_the_docstring_says():
    """The difference of two log powers has a variance of pi^2 / 3 nepers.

    At the two frequencies that have no phase it is thrice that.
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=[2, 200000])
    square = (10 / np.log(10)) ** 2 * np.pi**2 / 3 * (127 + 2 * 3) / 129
    # The mean of roots is below the root of the mean.
    found = log_spectral_distance(a, b)
    assert 0.98 * np.sqrt(square) < found < np.sqrt(square)
    assert found == pytest.approx(8, abs=0.1)


def test_a_gain_and_silence():
    # Nearly all of white noise is above the floor.
    wave = np.random.default_rng(0).normal(size=4000)
    quiet = log_spectral_distance(wave, 0.5 * wave)
    assert quiet == pytest.approx(20 * np.log10(2), abs=1e-2)
    # What is 60 dB below the original is as good as silence.
    tone = speech.tone(0, 0, 2000)
    silence = log_spectral_distance(tone, 0 * tone)
    assert log_spectral_distance(tone, 1e-4 * tone) == silence
    assert silence < 60


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"shapes \(9,\) and \(8,\)"):
        log_spectral_distance(np.ones(9), np.ones(8))
    with pytest.raises(ValueError, match="a largest sample of 0.0"):
        log_spectral_distance(np.zeros(9), np.ones(9))
