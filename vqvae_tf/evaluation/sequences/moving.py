"""Whether futures keep what moves, and where it moves to."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.models import PictureClassifier
from vqvae_tf.networks import ResidualFeatures
from vqvae_tf.utils.progress import bar, verbosity

JUMPS = 5
# Of a judge's training.
STEPS = 300
FIGURES = (
    Figure(
        "direction_kept",
        f"Direction kept in all of {JUMPS} jumps",
        tolerance=0.01,
    ),
    Figure(
        "direction_kept_far",
        f"The same, in {JUMPS} jumps of the longest gap",
        tolerance=0.01,
    ),
    Figure("digit_kept", f"Class kept after {JUMPS} jumps", tolerance=0.02),
    Figure("digit_kept_far", "The same, of the longest gap", tolerance=0.02),
    Figure(
        "judge_accuracy", "The judge's accuracy on true frames", tolerance=0.02
    ),
)


def shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns how far pictures moved to the right, wrapping round.

    Args:
        before, after: `[n, height, width, channels]`.

    Returns:
        int `[n]`, the shift of -width/2..width/2 with the highest correlation.

    Example:

    >>> picture = np.random.default_rng(0).random([1, 4, 7, 1])
    >>> shifts(picture, np.roll(picture, -2, axis=2)).tolist()
    [-2]
    """
    spectra = (
        np.fft.fft(x.astype(np.float64), axis=2) for x in (before, after)
    )
    first, second = spectra
    product = (np.conj(first) * second).sum(axis=(1, 3))
    found = np.fft.ifft(product, axis=1).real.argmax(axis=1)
    width = before.shape[2]
    return (found + width // 2) % width - width // 2


def kept_directions(
    frames: np.ndarray, futures: np.ndarray, direction: np.ndarray
) -> np.ndarray:
    """Returns whether futures move in the true direction at every jump.

    Args:
        frames: the past, `[n, time, height, width, channels]`.
        futures: `[n, jumps, height, width, channels]`.
        direction: 1 (to the right) or -1, `[n]`.

    Returns:
        bool `[n]`.
    """
    path = np.concatenate([frames[:, -1:], futures], axis=1)
    kept = [
        np.sign(shifts(a, b)) == direction
        for a, b in zip(
            np.moveaxis(path, 1, 0)[:-1], np.moveaxis(path, 1, 0)[1:]
        )
    ]
    return np.all(kept, axis=0)


def train_judge(
    batches: tf.data.Dataset,
    num_classes: int,
    event_shape: tuple[int, ...],
    steps: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> PictureClassifier:
    """Trains a classifier of frames.

    Args:
        batches: endless (frames `[batch, height, width, channels]`, context
            with one-hot classes).
        num_classes, event_shape: as for `PictureClassifier`.
        steps: how many; STEPS by default.
        seed: of the initial weights.
        progress: show a progress bar.
    """
    steps = steps or STEPS
    keras.utils.set_random_seed(seed)
    judge = PictureClassifier(
        ResidualFeatures((16, 32, 64), blocks_per_stage=1, first_stride=2),
        num_classes,
        event_shape=event_shape,
    )
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    judge.compile(keras.optimizers.Adam(rate))
    judge.fit(batches, steps_per_epoch=steps, verbose=verbosity(progress))
    return judge


def classes_of(
    judge: PictureClassifier, frames: np.ndarray, batch_size: int = 200
) -> np.ndarray:
    """Returns the class that a judge sees in frames, int `[n]`."""
    found = []
    for first in bar(range(0, len(frames), batch_size), False):
        part = judge.probabilities(frames[first : first + batch_size])
        found.append(np.argmax(part, axis=-1))
    return np.concatenate(found)
