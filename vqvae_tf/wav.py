"""Waveforms as wav files."""

import wave

import numpy as np

from vqvae_tf.files import write_atomically


def save_wav(path, waveform, sample_rate):
    """Writes a mono waveform as 16-bit PCM, in one piece.

    Args:
        path: the file.
        waveform: float `[time]` in [-1, 1]; what is beyond is clipped.
        sample_rate: in Hz.
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
