"""Recordings with their codes, on which figures of speech are measured."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.encoding import recordings
from vqvae_tf.evaluation.speech.judges import waveforms_of
from vqvae_tf.models import VQVAE
from vqvae_tf.utils.progress import bar


@dataclasses.dataclass(frozen=True, eq=False)
class Coded:
    """Recordings and a model's codes of them.

    Attributes:
        autoencoder: a `VQVAE` of waveforms.
        audio: n recordings.
        codes: n arrays of integers, `[time / stride]`, or `[time / stride, G]`
            with G codebooks.
    """

    autoencoder: VQVAE
    audio: AudioSource
    codes: list[np.ndarray]

    @classmethod
    def of(
        cls, autoencoder: VQVAE, audio: AudioSource, progress: bool = True
    ) -> "Coded":
        """Encodes recordings; see `encoding.recordings.encode`."""
        codes = recordings.encode(autoencoder, audio, progress)
        return cls(autoencoder, audio, codes)

    @property
    def stride(self) -> int:
        """Samples per code."""
        return self.autoencoder.downsampling

    @functools.cached_property
    def speakers(self) -> np.ndarray:
        """The speaker of each recording, int64 `[n]`; 0 if unknown."""
        return recordings.speakers(self.audio)

    @functools.cached_property
    def waveforms(self) -> list[np.ndarray]:
        """All recordings, float32 `[time]` each."""
        return waveforms_of(self.audio)

    def groups(self, progress: bool = True) -> Iterator[np.ndarray]:
        """Yields groups of rows with equally many codes."""
        counts = [len(sequence) for sequence in self.codes]
        yield from bar(recordings.equal_groups(counts, self.stride), progress)

    def draw(
        self, rows: np.ndarray, speakers: np.ndarray, **drawing: object
    ) -> list[np.ndarray]:
        """Decodes recordings' codes to waveforms of the recordings' lengths.

        Args:
            rows: integers `[m]`, the recordings.
            speakers: integers `[m]`, the voices.
            drawing: temperature, seed, batch_size, progress and fast of
                `encoding.recordings.decode`.
        """
        codes, lengths = [self.codes[row] for row in rows], self.audio.lengths
        return recordings.decode(
            self.autoencoder, codes, speakers, lengths[rows], **drawing
        )
