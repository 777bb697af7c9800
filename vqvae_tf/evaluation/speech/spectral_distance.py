"""The distance between the spectra of two recordings."""

import numpy as np
from numpy.typing import ArrayLike

# What is this far below the loudest bin of the original counts as silence.
_RANGE_DB = 60.0


def log_spectral_distance(
    original: ArrayLike, other: ArrayLike, window: int = 256, hop: int = 64
) -> float:
    """Returns the log-spectral distance of two waveforms, in dB.

    This is the mean over frames of the root mean square, over frequencies, of
    the difference of the two power spectra in dB. In both spectra, powers more
    than 60 dB below the original's highest are raised to that floor, so that
    silence equals silence.

    Frame f is samples `f * hop` to `f * hop + window - 1` under a Hann window,
    for each f that begins within the recording, with zeros after its end.

    Two samples of white noise are some 8 dB apart, as is noise with the
    original's spectrum from the original.

    Args:
        original, other: float `[time]`, equally long.
        window: samples of a frame; 256 are 32 ms at 8 kHz.
        hop: samples between the beginnings of frames.

    Returns:
        The distance, 0 for equal waveforms.

    Raises:
        ValueError: if the lengths differ, or the original is silent.

    Example: a waveform attenuated by 10 dB.

    >>> noise = np.random.default_rng(0).normal(size=640)
    >>> round(log_spectral_distance(noise, noise * 10**-0.5), 1)
    10.0

    References:
        Gray and Markel 1976, doi:10.1109/TASSP.1976.1162849.
    """
    original, other = (
        np.asarray(waveform, np.float64) for waveform in (original, other)
    )
    if (
        original.ndim != 1
        or original.shape != other.shape
        or not original.any()
    ):
        raise ValueError(
            "Two waveforms [time] of equal length are needed, of which the "
            f"original is not silent. Received: shapes {original.shape} and "
            f"{other.shape}, a largest sample of "
            f"{np.abs(original).max(initial=0.0)}."
        )
    power, others = (_power(x, window, hop) for x in (original, other))
    floor = power.max() * 10 ** (-_RANGE_DB / 10)
    ratio = np.maximum(power, floor) / np.maximum(others, floor)
    squared = np.mean((10 * np.log10(ratio)) ** 2, axis=1)
    return float(np.mean(np.sqrt(squared)))


def _power(waveform, window, hop):
    """Returns power spectra, `[ceil(time / hop), window // 2 + 1]`."""
    count = -(-len(waveform) // hop)
    padded = np.pad(waveform, (0, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)
    frames = frames[: count * hop : hop]
    # Periodic, as is usual for spectra.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
