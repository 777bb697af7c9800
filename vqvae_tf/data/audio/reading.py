"""Preprocessing of every recording: checks, mono, sample rate, loudness.

Samples are scaled to [-1, 1]; channels are averaged; soxr resamples at high
quality, which keeps what is below half of the lower rate; and by default each
recording's mean is subtracted and its largest absolute sample scaled to 1.

That default removes loudness as a cue to the speaker. The median peaks of the
five speakers of `tfds:spoken_digit` (500 recordings each) are 0.43, 0.33, 0.24,
0.07 and 0.03, and their median RMS ranges from 0.085 down to 0.0065: loudness
would identify a speaker, and the quietest would use two fifths of the 256
mu-law levels. With peaks of 1, the median RMS is 0.16 to 0.22. The mean would
still identify one of them, whose median is -0.03 where the others have none:
the median of that speaker's mu-law levels is 50 off the middle.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
from absl import logging

from vqvae_tf.data.memory import Kept
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.utils.checks import check_positive

# Samples from this level on are at full scale; more than this share of them
# means clipping.
FULL_SCALE, CLIPPED_SHARE = 0.999, 1e-3
NOTES = {
    "channels": "have several channels, which were averaged",
    "clipped": f"are clipped: over {CLIPPED_SHARE:.1%} of the samples are at "
    "full scale",
    "upsampled": "have a lower sample rate than requested, and so lack the "
    "highest frequencies",
}


def check_normalize(normalize: str | None) -> None:
    """Raises ValueError unless `normalize` is "peak" or None."""
    if normalize not in ("peak", None):
        raise ValueError(
            f'normalize must be "peak" or None. Received: {normalize!r}.'
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioOptions(OpenOptions):
    """The arguments of `open_audio`, checked."""

    sample_rate: int
    normalize: str | None = "peak"

    def __post_init__(self):
        super().__post_init__()
        check_positive("sample_rate", self.sample_rate)
        check_normalize(self.normalize)


@dataclasses.dataclass
class Recording:
    """A recording, or the error that reading it raised."""

    key: str | int  # path or record number, to read it again
    waveform: np.ndarray | None
    notes: tuple[str, ...] = ()
    fault: Exception | None = None
    speaker: str | None = None
    label: int | None = None


def conform(
    samples: np.ndarray,
    rate: int,
    sample_rate: int,
    normalize: str | None,
    place: str,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Preprocesses a waveform for the models, and lists what to warn of.

    Args:
        samples: `[time]` or `[time, channels]`, 16-bit integers or floats in
            [-1, 1].
        rate: sample rate of `samples`, in Hz.
        sample_rate: sample rate of the result, in Hz.
        normalize: "peak" or None.
        place: name of the recording, for messages.

    Returns:
        float32 `[time]` in [-1, 1], and a tuple of keys of `NOTES`.

    Raises:
        ValueError: no samples, non-finite or out of range ones, silence, or a
            rate of at most half of `sample_rate`.
    """
    samples = _scaled(np.asarray(samples), place)
    if 2 * rate <= sample_rate:
        raise ValueError(
            f"A recording at more than {sample_rate / 2:g} Hz was expected: a "
            "lower rate lacks at least half of the frequencies of the "
            f"requested {sample_rate} Hz. Received: {place} at {rate}."
        )
    notes = ["upsampled"] if rate < sample_rate else []
    if np.mean(np.abs(samples) >= FULL_SCALE) > CLIPPED_SHARE:
        notes.append("clipped")
    if samples.ndim > 1:
        notes += ["channels"] if samples.shape[1] > 1 else []
        samples = samples.mean(axis=1)
    if samples.min() == samples.max():
        raise ValueError(
            f"A recording with sound was expected. Received: {place}, which "
            f"is silent: every sample is {samples[0]:.6g}."
        )
    waveform = resample(samples, rate, sample_rate)
    return loudness(waveform, normalize), tuple(notes)


def _scaled(samples, place):
    """Returns finite float32 samples in [-1, 1]."""
    if samples.size == 0:
        raise ValueError(
            "A recording with at least one sample was expected. "
            f"Received: {place}, which is empty."
        )
    if samples.dtype.kind in "iu":
        low, high = int(samples.min()), int(samples.max())
        if low < -(2**15) or high >= 2**15:
            raise ValueError(
                "Integer samples of 16 bits were expected, in -32768..32767. "
                f"Received: {place} with values in {low}..{high}."
            )
        return (samples / 2**15).astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise ValueError(
            f"Finite samples were expected. Received: {place} with {bad} NaN "
            f"or infinite ones of {samples.size}."
        )
    largest = float(np.abs(samples).max())
    if largest > 1:
        raise ValueError(
            "Float samples in [-1, 1] were expected; divide them by the "
            f"largest. Received: {place} with samples up to {largest:.6g}."
        )
    return samples.astype(np.float32)


def resample(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Returns float32 `[time]` at another sample rate.

    Raises:
        ImportError: the rates differ and soxr is not installed.
    """
    if rate == sample_rate:
        return waveform
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            "soxr is needed to change a sample rate; install it with "
            f"`pip install vqvae_tf[audio]`. Received: audio at {rate} Hz, to "
            f"be resampled to {sample_rate} Hz."
        ) from error
    found = soxr.resample(waveform, rate, sample_rate, quality="HQ")
    # Only a few samples may be resampled to none.
    return found if len(found) else waveform[:1]


def loudness(waveform: np.ndarray, normalize: str | None) -> np.ndarray:
    """Returns float32 `[time]` in [-1, 1], with "peak" of mean 0 and peak 1.

    Without it, samples that resampling raised slightly beyond full scale are
    clipped.
    """
    if normalize is None:
        return np.clip(waveform, -1, 1)
    waveform = waveform - waveform.mean()
    peak = np.abs(waveform).max()
    return waveform / peak if peak else waveform


class Collection:
    """Collects recordings, but only their lengths beyond `cache_bytes`.

    Args:
        title: name of the data set, for messages.
        options: how the data set is opened.
    """

    def __init__(self, title: str, options: AudioOptions):
        self.title, self.options = title, options
        self.found, self.lengths = [], []
        self._kept = Kept(options.cache_bytes)
        self._notes = collections.defaultdict(list)

    def add(self, recordings: Iterable[Recording]) -> None:
        """Reads the recordings; refuses or skips those with a fault."""
        for found in recordings:
            if found.fault is not None:
                self.options.refuse(str(found.fault), found.fault)
                continue
            for note in found.notes:
                self._notes[note].append(found.key)
            self.found.append(found)
            self.lengths.append(len(found.waveform))
            self._kept.add(found.waveform)
            found.waveform = None

    def warn(self, name: Callable[[str | int], str] = str) -> None:
        """Logs a line for each kind of note, naming its first recording."""
        for note, keys in self._notes.items():
            logging.warning(
                "%s: %d of %d recordings %s. The first is %s.",
                self.title,
                len(keys),
                len(self.found),
                NOTES[note],
                name(keys[0]),
            )

    @property
    def waveforms(self) -> list[np.ndarray] | None:
        """The waveforms, or None if they exceed `cache_bytes`."""
        return self._kept.arrays
