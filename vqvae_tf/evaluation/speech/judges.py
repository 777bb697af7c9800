"""Judges of speech: classifiers trained only on real recordings.

They tell which class and which speaker a reconstruction or conversion sounds
like. Neither their training nor the choice of their settings involved a model's
output.
"""

import dataclasses
import functools
import sys
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.evaluation import classifiers
from vqvae_tf.evaluation.speech.judge_network import judge_network
from vqvae_tf.runtime.precision import float32_policy
from vqvae_tf.utils.checks import check_positive

TARGETS = ("class", "speaker")


@dataclasses.dataclass(frozen=True)
class Judge:
    """A trained classifier of recordings.

    Attributes:
        model: maps {"values": waveforms `[batch, time]`, "mask": `[batch,
            time]`} to probabilities `[batch, classes]`.
        target: "class" or "speaker".
        names: the names of the classes or speakers.
        sample_rate: of the recordings, in Hz.
    """

    model: keras.Model
    target: str
    names: tuple[str, ...]
    sample_rate: int

    def predict(
        self, waveforms: ArrayLike, mask: ArrayLike | None = None
    ) -> np.ndarray:
        """Returns the probability of each class.

        Args:
            waveforms: float `[batch, time]`; they are scaled to a peak of 1.
            mask: `[batch, time]`, 1 for samples and 0 for padding after the
                end; None without padding.

        Returns:
            float32 `[batch, classes]`.

        Raises:
            ValueError: for another rank, or masks that are all 0.
        """
        waveforms = np.asarray(waveforms, np.float32)
        if mask is None:
            mask = np.ones_like(waveforms)
        mask = np.asarray(mask, np.float32)
        if waveforms.ndim != 2 or waveforms.shape != mask.shape:
            raise ValueError(
                "Waveforms and their mask must both be [batch, time]. "
                f"Received: shapes {waveforms.shape} and {mask.shape}."
            )
        lengths = mask.sum(axis=1).astype(int)
        if not (lengths > 0).all():
            raise ValueError(
                "Each recording must have at least one sample. Received: "
                f"{np.sum(lengths == 0)} rows whose mask is 0 throughout."
            )
        return self.probabilities(
            [row[:length] for row, length in zip(waveforms, lengths)]
        )

    def probabilities(self, recordings: Sequence[ArrayLike]) -> np.ndarray:
        """Returns `predict` for waveforms `[time]` of varying length."""
        recordings = [np.asarray(r, np.float32) for r in recordings]
        return classifiers.predictions(self.model, recordings)

    def accuracy(
        self, recordings: Sequence[ArrayLike], labels: ArrayLike
    ) -> float:
        """Returns the share of recordings whose label is the most probable.

        Args:
            recordings: n waveforms, float `[time]`.
            labels: integers `[n]`, indices into `names`.

        Raises:
            ValueError: for labels that do not fit.
        """
        labels = classifiers.check_labels(recordings, labels, len(self.names))
        found = self.probabilities(recordings).argmax(axis=1)
        return float(np.mean(found == labels))

    def labels(self, audio: AudioSource) -> np.ndarray:
        """Returns the correct label of each recording, int32 `[n]`.

        Raises:
            ValueError: if the source has other names or another sample rate.
        """
        names, labels = target_labels(audio, self.target)
        if (names, audio.sample_rate) != (self.names, self.sample_rate):
            raise ValueError(
                f"The judge distinguishes {', '.join(self.names)} at "
                f"{self.sample_rate} Hz. Received: {audio.name} with "
                f"{', '.join(names)} at {audio.sample_rate} Hz. Train a judge "
                "on its training split."
            )
        return labels


# Judges, each with the correct labels of n recordings, integers `[n]`.
Judged = Iterable[tuple[Judge, np.ndarray]]


def target_labels(
    audio: AudioSource, target: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names of classes or speakers, and int32 labels `[n]`.

    Raises:
        ValueError: for an unknown target, or one that the source lacks.
    """
    if target not in TARGETS:
        raise ValueError(
            f'target must be "class" or "speaker". Received: {target!r}.'
        )
    names = audio.class_names if target == "class" else audio.speaker_names
    if not names:
        raise ValueError(
            f'{audio.name} has no {target} labels. Received: target="{target}".'
        )
    numbers = audio.numbers(tf.range(audio.num_examples, dtype=tf.int64))
    labels = numbers["label" if target == "class" else "speaker"].numpy()
    return tuple(names), labels.astype(np.int32)


def waveforms_of(audio: AudioSource) -> list[np.ndarray]:
    """Returns all recordings of a source, float32 `[time]` each."""
    found = audio.dataset().map(lambda example: example["waveform"])
    return [waveform.numpy() for waveform in found]


def train_judge(
    audio: AudioSource,
    target: str = "class",
    seed: int = 0,
    epochs: int = 15,
    progress: bool = True,
) -> Judge:
    """Trains a classifier of recordings.

    It consists of log-mel frames, normalized in each recording, residual
    convolutions over time, and the mean over frames. So that it learns the
    voice and not the room, recordings are augmented by silence around them,
    white noise 5 to 45 dB below them, and masks of bands and frames.

    Args:
        audio: training recordings, from `open_audio`.
        target: what to classify, "class" or "speaker".
        seed: of weights, order and noise.
        epochs: passes over the recordings.
        progress: show Keras' progress bar, on a terminal.

    Raises:
        ValueError: if the source has no such labels.

    Example:

    >>> from vqvae_tf.data.audio.source import PackedAudio
    >>> tones = [np.sin(np.arange(600) / (2 + i % 2)) for i in range(8)]
    >>> audio = PackedAudio("tones", 8000, tones, [0, 1] * 4, ["low", "high"])
    >>> judge = train_judge(audio, "speaker", epochs=1, progress=False)
    >>> judge.predict(np.zeros([3, 640])).shape, judge.names
    ((3, 2), ('low', 'high'))

    References:
        Park et al. 2019, arXiv:1904.08779: masks on bands and frames.
    """
    names, labels = target_labels(audio, target)
    epochs = check_positive("epochs", epochs)
    recordings = waveforms_of(audio)
    labels = classifiers.check_labels(recordings, labels, len(names))
    with float32_policy():
        model = judge_network(audio.sample_rate, len(names), seed)
    batches, steps = classifiers.training_batches(
        recordings,
        labels,
        batch_size=32,
        seed=seed,
        change=functools.partial(_changed, sample_rate=audio.sample_rate),
    )
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps * epochs)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        steps_per_epoch=steps,
        epochs=epochs,
        shuffle=False,  # already shuffled
        verbose=int(progress and sys.stdout.isatty()),
    )
    return Judge(model, target, names, audio.sample_rate)


def _changed(waveform, rng, sample_rate):
    """Adds silence before and after, and noise over everything."""
    before, after = rng.integers(0, sample_rate // 20, 2)
    level = np.sqrt(np.mean(waveform**2)) * 10 ** (-rng.uniform(5, 45) / 20)
    waveform = np.pad(waveform, (before, after))
    noise = rng.normal(size=len(waveform)) * level
    return (waveform + noise).astype(np.float32)
