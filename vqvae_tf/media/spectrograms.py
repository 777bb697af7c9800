"""Spectrograms as pictures."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.media import sheets

# Dynamic range in decibels; quieter values are black.
RANGE = 70.0


def draw(
    waveform: np.ndarray,
    sample_rate: int,
    hop: int | None = None,
    height: int = 96,
) -> np.ndarray:
    """Draws a log-power spectrogram, low frequencies at the bottom.

    Args:
        waveform: float `[time]` in [-1, 1].
        sample_rate: in Hz.
        hop: samples per column; None (default) is 5 ms.
        height: rows of the picture (default 96), for frequencies from 0 to
            half the rate.

    Returns:
        uint8 `[height, ceil(time / hop), 3]`, coloured from black (quiet) over
        red to pale yellow (loud).

    Example:

    >>> tone = np.sin(2 * np.pi * 1000 / 8000 * np.arange(4000))
    >>> picture = draw(tone, 8000)
    >>> picture.shape
    (96, 100, 3)
    >>> int(picture.sum(axis=(1, 2)).argmax())  # a quarter of the height
    71
    """
    hop = hop or sample_rate // 200
    waveform = tf.cast(waveform, tf.float32)
    columns = -(-len(waveform) // hop)
    # Windows of twice the height give one bin per row.
    size = 2 * height
    waveform = tf.pad(waveform, [[size // 2, size // 2 + hop]])
    bins = tf.signal.stft(waveform, size, hop, size)[:columns, :height]
    power = tf.abs(bins).numpy() ** 2
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    top = 10 * np.log10((size / 4) ** 2)  # of a full-scale sine
    return _drawn(decibels, top)


def draw_frames(frames: np.ndarray, top: float = 8.0) -> np.ndarray:
    """Draws log-mel frames, low bands at the bottom.

    Args:
        frames: float `[time, M]`, natural logarithms of energies (`LogMel`).
        top: the brightest value; the default 8 is about that of a full-scale
            tone in a window of 256 samples.

    Returns:
        uint8 `[M, time, 3]`, coloured like `draw`.
    """
    decibels = 10 / np.log(10)
    return _drawn(np.asarray(frames) * decibels, top * decibels)


def _drawn(decibels, top):
    """Colours decibels `[time, M]`, with low bands at the bottom."""
    level = np.clip((decibels - top) / RANGE + 1.0, 0.0, 1.0).T[::-1]
    stops = np.linspace(0.0, 1.0, 5)
    # Black, dark violet, red, orange and pale yellow.
    colours = np.array(
        [
            (0, 0, 4),
            (87, 16, 110),
            (188, 55, 84),
            (249, 142, 9),
            (252, 255, 164),
        ]
    )
    channels = [np.interp(level, stops, colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def sheet(rows: Sequence[Sequence[np.ndarray]], sample_rate: int) -> np.ndarray:
    """Draws rows of spectrograms, all as wide as the longest.

    Args:
        rows: lists of equally many float waveforms `[time]`.
        sample_rate: in Hz.

    Returns:
        uint8 `[height, width, 3]`.
    """
    flat = [wave for row in rows for wave in row]
    longest = max(map(len, flat))
    pictures = [
        draw(np.pad(w, [0, longest - len(w)]), sample_rate) for w in flat
    ]
    return sheets.grid(np.stack(pictures), columns=len(rows[0]))
