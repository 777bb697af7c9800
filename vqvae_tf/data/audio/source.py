"""Random access to the recordings of a speech data set."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.data.source import Source
from vqvae_tf.utils.checks import check_positive


class AudioSource(Source):
    """Recordings with their speakers and optional labels, by index.

    `open_audio` makes one. Batches come from `window_batches` and
    `audio_evaluation_batches`.

    Attributes:
        name: what was opened, for messages.
        num_examples: number of recordings, exact.
        sample_rate: samples a second, the same for all.
        lengths: int64 `[num_examples]`, samples of each recording.
        speaker_names: tuple of str, sorted, the same for all splits of a data
            set; empty where speakers are not known.
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

    def numbers(self, index) -> dict[str, tf.Tensor]:
        """Returns speaker and label of an index or of several.

        Returns:
            {"speaker": int64, "label": int64}, each of the shape of `index`;
            without those that the source does not have.
        """
        return tf.nest.map_structure(
            lambda numbers: tf.gather(numbers, index), self._numbers
        )

    def length(self, index) -> tf.Tensor:
        """Returns the number of samples, int64, of an index or of several."""
        return tf.gather(self._lengths, index)

    def waveform(self, index) -> tf.Tensor:
        """Returns recording `index`, float32 `[time]` in [-1, 1]."""
        raise NotImplementedError

    def get(self, index) -> dict[str, tf.Tensor]:
        """Returns example `index` (an int64 scalar tensor), in a graph or not.

        Returns:
            {"waveform": float32 [time], "speaker": int64 [], "label": int64
            []}, without those that the source does not have.
        """
        return {"waveform": self.waveform(index), **self.numbers(index)}


class PackedAudio(AudioSource):
    """Recordings in memory, end to end in one vector.

    Args:
        name, sample_rate, speaker_names, class_names: as in `AudioSource`.
        waveforms: list of float arrays `[time]` in [-1, 1].
        speakers: None, or integers `[n]`, positions in `speaker_names`.
        labels: None, or integers `[n]`, positions in `class_names`.

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
        super().__init__(
            name,
            sample_rate,
            [len(waveform) for waveform in waveforms],
            speakers,
            speaker_names,
            labels,
            class_names,
        )
        with tf.device("CPU:0"):
            self._flat = tf.constant(
                np.concatenate(waveforms).astype(np.float32)
            )
            self._starts = tf.constant(np.cumsum(self.lengths) - self.lengths)

    def waveform(self, index) -> tf.Tensor:
        start, size = tf.gather(self._starts, index), self.length(index)
        return tf.slice(self._flat, start[None], size[None])

    def windows(
        self, index: tf.Tensor, first: tf.Tensor, size: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a window of each of several recordings.

        Args:
            index: int64 `[batch]`.
            first: int64 `[batch]`, where each window begins.
            size: samples of a window.

        Returns:
            float32 `[batch, size]`, 0 after a recording's end, and the mask,
            float32 `[batch, size]`, 1 up to there.
        """
        places = first[:, None] + tf.range(size, dtype=tf.int64)
        real = places < self.length(index)[:, None]
        places += tf.gather(self._starts, index)[:, None]
        last = tf.size(self._flat, tf.int64) - 1
        found = tf.gather(self._flat, tf.minimum(places, last))
        return tf.where(real, found, 0.0), tf.cast(real, tf.float32)


def evenly_spaced(audio: AudioSource, count: int | None) -> AudioSource:
    """Returns some of a source's recordings, in memory.

    Args:
        audio: of `open_audio`.
        count: how many; the source itself is returned where it has no more,
            and for None.

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
    """Recordings beyond the memory bound: read when they are used.

    `read(index)` takes an int64 scalar tensor and returns the waveform,
    float32 `[lengths[index]]`. What follows it is as in `AudioSource`.
    """

    def __init__(
        self,
        name: str,
        sample_rate: int,
        lengths: Sequence[int],
        read: Callable[[tf.Tensor], tf.Tensor],
        *numbers,
        **options,
    ):
        super().__init__(name, sample_rate, lengths, *numbers, **options)
        self._read = read

    def waveform(self, index) -> tf.Tensor:
        index = tf.cast(index, tf.int64)
        found = tf.ensure_shape(self._read(index), [None])
        tf.debugging.assert_equal(
            tf.size(found, tf.int64),
            self.length(index),
            f"A recording of {self.name} changed since it was opened.",
        )
        return found
