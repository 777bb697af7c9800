"""Spoken digits under a free licence, for cards, demo and tests.

LICENCES.md in this folder gives origin and licence.
"""

import pathlib
import typing
import wave

import numpy as np

_FOLDER = pathlib.Path(__file__).resolve().parent


class Voice(typing.NamedTuple):
    """A recording: float32 `[time]` in [-1, 1], rate in Hz, speaker, digit."""

    waveform: np.ndarray
    sample_rate: int
    speaker: str
    digit: int


def voice_files() -> list[pathlib.Path]:
    """Returns the paths of the recordings, `{digit}_{speaker}_{number}.wav`.

    Example:

    >>> [path.name for path in voice_files()][:2]
    ['0_george_0.wav', '1_jackson_3.wav']
    """
    return sorted(_FOLDER.glob("*.wav"))


def sample_voices() -> list[Voice]:
    """Returns the digits 0 to 9, spoken by five speakers in turn, at 8 kHz.

    They are test recordings of spoken_digit at their original levels, with
    peaks of 0.03 to 0.79 (`data.open_audio` scales them to 1).

    Example:

    >>> voices = sample_voices()
    >>> len(voices), voices[7].speaker, voices[7].digit, voices[7].sample_rate
    (10, 'nicolas', 7, 8000)
    """
    voices = []
    for path in voice_files():
        digit, speaker, _ = path.stem.split("_")
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        waveform = samples.astype(np.float32) / 2**15
        voices.append(Voice(waveform, rate, speaker, int(digit)))
    return voices
