"""Waveforms as wav files."""

import os
import wave
from collections.abc import Sequence

import numpy as np

from vqvae_tf.utils.files import write_atomically


def save_wav(
    path: str | os.PathLike,
    waveform: np.ndarray,
    sample_rate: int,
    mark: str | None = None,
) -> None:
    """Writes a mono waveform atomically, as 16-bit PCM.

    Args:
        path: path of the file.
        waveform: float `[time]` in [-1, 1]; values beyond are clipped.
        sample_rate: in Hz.
        mark: text to store in the file, such as what made it; None (default)
            for none.
    """
    samples = np.clip(
        np.rint(np.asarray(waveform) * 2**15), -(2**15), 2**15 - 1
    )
    with write_atomically(path, sync=False) as temporary:
        with wave.open(str(temporary), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(samples.astype("<i2").tobytes())
        if mark is not None:
            _add_text(temporary, mark)


def _add_text(path, text):
    """Adds the chunk of a wav file that names the software it is from."""
    text = text.encode() + b"\0"
    text += b"\0" * (len(text) % 2)  # chunks begin at even offsets
    entry = b"INFOISFT" + len(text).to_bytes(4, "little") + text
    with open(path, "r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"LIST" + len(entry).to_bytes(4, "little") + entry)
        size = file.tell() - 8
        file.seek(4)
        file.write(size.to_bytes(4, "little"))


def joined(
    waves: Sequence[np.ndarray], sample_rate: int
) -> tuple[np.ndarray, int]:
    """Returns the waveforms with half a second of silence after each, and rate.

    The pair is what `save.save_shown` takes.
    """
    silence = np.zeros([sample_rate // 2], np.float32)
    parts = [part for wave in waves for part in (wave, silence)]
    return np.concatenate(parts), sample_rate
