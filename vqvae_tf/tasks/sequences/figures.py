"""The figures of models of sequences, by the form of these."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.data import order
from vqvae_tf.data.sequences.source import open_interval
from vqvae_tf.evaluation.sequences import (
    futures,
    moving,
    oscillators,
    prediction,
)
from vqvae_tf.models import CodedSequenceModel
from vqvae_tf.tasks.sequences.examples import spread
from vqvae_tf.tasks.sequences.recipe import open_split


def measure(
    model: keras.Model,
    description: dict,
    data_dir: str | None = None,
    progress: bool = True,
    rows: dict | None = None,
) -> dict:
    """Measures a model of sequences; see `tasks.measure`.

    Returns:
        `examples`, and by the form of the data the figures of
        `evaluation.sequences`: `bits_ahead_1` to 4 of frames and codes; what
        futures keep of moving pictures, and of oscillators; how alike futures
        of episodes are.
    """
    source = open_split(description, description["eval_split"], data_dir)
    frames, known = spread(source, description["max_sequences"])
    figures = {"examples": len(frames)}
    if description["form"] == "moving":
        training = open_split(description, description["train_split"], data_dir)
        figures |= _bits(model, frames, progress)
        return figures | _moving(model, frames, known, training, progress)
    if description["form"] == "episodes":
        if isinstance(model, CodedSequenceModel):
            frames = _encoded(model, frames)
            model = model.model
        figures |= _bits(model, frames, progress)
        return figures | _episodes(model, frames, progress)
    if description["form"] == "oscillator":
        return figures | _oscillators(model, frames, known)
    return figures


def _bits(model, frames, progress):
    gaps = prediction.known_gaps(model, frames.shape[1])
    found = prediction.bits_ahead(model, frames, gaps, progress=progress)
    return {
        prediction.key_of(gap): float(bits.mean())
        for gap, bits in found.items()
    }


def _encoded(model, frames, batch_size=8):
    parts = range(0, len(frames), batch_size)
    codes = [model.encode(frames[i : i + batch_size]) for i in parts]
    return np.concatenate(codes)


# Moving pictures --------------------------------------------------------------


def _moving(model, frames, known, training, progress):
    past = frames[:, : frames.shape[1] // 2]
    longest = prediction.known_gaps(model, frames.shape[1])[-1]
    judge = None
    if training.num_classes:
        judge = _judge(training, progress)
    figures = {}
    for ending, gap in (("", 1), ("_far", longest)):
        times = gap * np.arange(1, moving.JUMPS + 1)
        drawn = model.rollout(past, times=times.tolist(), seed=0).numpy()
        kept = moving.kept_directions(past, drawn, known["direction"])
        figures[f"direction_kept{ending}"] = float(kept.mean())
        if judge is not None:
            seen = moving.classes_of(judge, drawn[:, -1])
            figures[f"digit_kept{ending}"] = float(
                np.mean(seen == known["label"])
            )
    if judge is not None:
        seen = moving.classes_of(judge, frames[:, -1])
        figures["judge_accuracy"] = float(np.mean(seen == known["label"]))
    return figures


def _judge(training, progress):
    """Trains a judge on frames of true sequences."""

    def frame(index, noise):
        noise = open_interval(noise)
        frames, _ = training.get(index, noise)
        label = training.known(index, noise)["label"]
        classes = tf.one_hot(label, training.num_classes)
        return frames[:, 0], {"global": classes}

    # The first frame is at a random place, as all are.
    batches = order.training_rows(
        training.num_examples, 128, noise=(training.noise_size,)
    ).map(frame)
    return moving.train_judge(
        batches, training.num_classes, training.shape, progress=progress
    )


# Oscillators ------------------------------------------------------------------


def _oscillators(model, frames, known):
    past, figures = frames[:, : oscillators.PAST], {}
    for jump in oscillators.known_jumps(model, frames.shape[1]):
        times = list(range(jump, jump + oscillators.STEPS + 1))
        drawn = model.rollout(past, times=times, seed=0).numpy()
        figures |= oscillators.measure(drawn[..., 0], past[..., 0], known, jump)
    return figures


# Episodes ---------------------------------------------------------------------


def _episodes(model, frames, progress):
    """Compares futures, if sequences are long enough for the farther time."""
    cut = frames.shape[1] - futures.FAR
    if cut < 1:
        return {}
    later = {
        time: frames[:, cut - 1 + time] for time in (futures.NEAR, futures.FAR)
    }
    return futures.shares_equal(
        model, frames[:, :cut], later, progress=progress
    )
