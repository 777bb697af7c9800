"""Recordings with their codes: what figures of speech are measured on."""

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
    """A source of recordings and their codes by a model.

    Attributes:
        autoencoder: a `VQVAE` of waveforms.
        audio: the recordings, n of them.
        codes: n arrays of integers, `[time / stride]`, or `[time / stride, G]`
            of G codebooks.
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
        """Samples of a code."""
        return self.autoencoder.downsampling

    @functools.cached_property
    def speakers(self) -> np.ndarray:
        """Who speaks, int64 `[n]`; 0 where it is not known."""
        return recordings.speakers(self.audio)

    @functools.cached_property
    def waveforms(self) -> list[np.ndarray]:
        """All recordings, float32 `[time]` each."""
        return waveforms_of(self.audio)

    def groups(self, progress: bool = True) -> Iterator[np.ndarray]:
        """Yields rows, integers, whose codes are equally many."""
        counts = [len(sequence) for sequence in self.codes]
        yield from bar(recordings.equal_groups(counts, self.stride), progress)

    def draw(
        self, rows: np.ndarray, speakers: np.ndarray, **drawing: object
    ) -> list[np.ndarray]:
        """Draws waveforms as long as the recordings.

        Args:
            rows: integers `[m]`, the recordings whose codes are decoded.
            speakers: integers `[m]`, the voices.
            drawing: temperature, seed, batch_size, progress and fast of
                `encoding.recordings.decode`.
        """
        codes, lengths = [self.codes[row] for row in rows], self.audio.lengths
        return recordings.decode(
            self.autoencoder, codes, speakers, lengths[rows], **drawing
        )
