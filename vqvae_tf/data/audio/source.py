"""Random access to the recordings of a speech data set."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.data.source import Source
from vqvae_tf.utils.checks import check_positive


class AudioSource(Source):
    """Recordings with speakers and optional labels, addressed by index.

    Opened by `open_audio`; `window_batches` and `audio_evaluation_batches`
    make batches of it.

    Attributes:
        name: what was opened, for messages.
        num_examples: exact number of recordings.
        sample_rate: in Hz, the same for all.
        lengths: int64 `[num_examples]`, the number of samples of each.
        speaker_names: sorted tuple of str, the same for all splits of a data
            set; empty if the speakers are unknown.
        class_names: tuple of str, or None without labels.
    """

    unit = "recording"

    def __init__(
        self,
        name: str,
        sample_rate: int,
        lengths: Sequence[int],
        speakers: Sequence[int] | None = None,
        speaker_names: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
    ):
        super().__init__(name, len(lengths), class_names)
        self.sample_rate = int(sample_rate)
        self.lengths = np.array(lengths, np.int64)
        self.speaker_names = tuple(speaker_names)
        with tf.device("CPU:0"):
            self._lengths = tf.constant(self.lengths)
            self._numbers = {
                key: tf.constant(numbers, tf.int64)
                for key, numbers in (("speaker", speakers), ("label", labels))
                if numbers is not None
            }

    @property
    def num_speakers(self) -> int:
        return len(self.speaker_names)

    def numbers(
        self, index: int | np.ndarray | tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the speaker and label numbers of one or several indices.

        Returns:
            {"speaker": int64, "label": int64}, each of the shape of `index`;
            without those that the source does not have.
        """
        return tf.nest.map_structure(
            lambda numbers: tf.gather(numbers, index), self._numbers
        )

    def length(self, index: int | np.ndarray | tf.Tensor) -> tf.Tensor:
        """Returns the number of samples, int64, of one or several indices."""
        return tf.gather(self._lengths, index)

    def waveform(self, index: int | tf.Tensor) -> tf.Tensor:
        """Returns recording `index`, float32 `[time]` in [-1, 1]."""
        raise NotImplementedError

    def get(self, index: int | tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns example `index`; works eagerly and in graphs.

        Returns:
            {"waveform": float32 [time], "speaker": int64 [], "label": int64
            []}, without those that the source does not have.
        """
        return {"waveform": self.waveform(index), **self.numbers(index)}


class PackedAudio(AudioSource):
    """Recordings in memory, concatenated to one vector.

    Args:
        name, sample_rate, speaker_names, class_names: as in `AudioSource`.
        waveforms: list of float arrays `[time]` in [-1, 1].
        speakers: integers `[n]`, indices into `speaker_names`; None (default)
            if unknown.
        labels: integers `[n]`, indices into `class_names`; None (default)
            without labels.

    Example:

    >>> waveforms = [np.zeros(300), np.ones(500)]
    >>> source = PackedAudio("mine", 8000, waveforms, [1, 0], ["ann", "bob"])
    >>> source.lengths.tolist(), source.get(1)["waveform"].shape.as_list()
    ([300, 500], [500])
    """

    def __init__(
        self,
        name: str,
        sample_rate: int,
        waveforms: Sequence[np.ndarray],
        speakers: Sequence[int] | None = None,
        speaker_names: Sequence[str] = (),
        labels: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
    ):
        lengths = [len(waveform) for waveform in waveforms]
        numbers = speakers, speaker_names, labels, class_names
        super().__init__(name, sample_rate, lengths, *numbers)
        with tf.device("CPU:0"):
            self._flat = tf.constant(
                np.concatenate(waveforms).astype(np.float32)
            )
            self._starts = tf.constant(np.cumsum(self.lengths) - self.lengths)

    def waveform(self, index: int | tf.Tensor) -> tf.Tensor:
        start, size = tf.gather(self._starts, index), self.length(index)
        return tf.slice(self._flat, start[None], size[None])

    def windows(
        self, index: tf.Tensor, first: tf.Tensor, size: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a window of each of several recordings.

        Args:
            index: int64 `[batch]`.
            first: int64 `[batch]`, the first sample of each window.
            size: length of the windows in samples.

        Returns:
            The windows, float32 `[batch, size]`, 0 after the end of a
            recording, and the mask, float32 `[batch, size]`, 1 up to the end.
        """
        places = first[:, None] + tf.range(size, dtype=tf.int64)
        real = places < self.length(index)[:, None]
        places += tf.gather(self._starts, index)[:, None]
        last = tf.size(self._flat, tf.int64) - 1
        found = tf.gather(self._flat, tf.minimum(places, last))
        return tf.where(real, found, 0.0), tf.cast(real, tf.float32)


def evenly_spaced(audio: AudioSource, count: int | None) -> AudioSource:
    """Returns evenly spaced recordings of a source, in memory.

    Args:
        audio: source from `open_audio`.
        count: number of recordings; None, or as many as the source has or
            more, returns the source itself.

    Example:

    >>> source = PackedAudio("mine", 8000, [np.zeros(n) for n in (3, 4, 5)])
    >>> evenly_spaced(source, 2).lengths.tolist()
    [3, 5]
    """
    if count is None or check_positive("count", count) >= audio.num_examples:
        return audio
    rows = np.linspace(0, audio.num_examples - 1, count).round().astype(int)
    numbers = audio.numbers(rows)
    return PackedAudio(
        audio.name,
        audio.sample_rate,
        [audio.waveform(row).numpy() for row in rows],
        numbers.get("speaker"),
        audio.speaker_names,
        numbers.get("label"),
        audio.class_names,
    )


class LazyAudio(AudioSource):
    """Recordings beyond the memory bound: read at each use.

    `read(index)` takes an int64 scalar tensor and returns the waveform,
    float32 `[lengths[index]]`. The arguments after it are as in `AudioSource`.
    """

    def __init__(
        self,
        name: str,
        sample_rate: int,
        lengths: Sequence[int],
        read: Callable[[tf.Tensor], tf.Tensor],
        *numbers: Sequence,
        **options: Sequence | None,
    ):
        super().__init__(name, sample_rate, lengths, *numbers, **options)
        self._read = read

    def waveform(self, index: int | tf.Tensor) -> tf.Tensor:
        index = tf.cast(index, tf.int64)
        found = tf.ensure_shape(self._read(index), [None])
        tf.debugging.assert_equal(
            tf.size(found, tf.int64),
            self.length(index),
            f"A recording of {self.name} changed since it was opened.",
        )
        return found
