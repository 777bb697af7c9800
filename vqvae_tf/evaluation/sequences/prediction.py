"""How likely later frames are, given the past."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.utils.progress import bar
from vqvae_tf.utils.units import bits

GAPS = (1, 2, 3, 4)
SAMPLES = 100


def key_of(gap: int) -> str:
    """Returns the key of the figure of frames some steps ahead."""
    return f"bits_ahead_{gap}"


FIGURES = tuple(
    Figure(
        key_of(gap),
        f"The frame {gap} step{'s' * (gap > 1)} ahead, at most",
        "bits",
        digits=2,
        tolerance=0.5,
    )
    for gap in GAPS
)


def known_gaps(model: keras.Model, length: int) -> tuple[int, ...]:
    """Returns those of GAPS that a model can jump in frames `[length, ...]`."""
    low, high = model.jumps or (1, length)
    return tuple(gap for gap in GAPS if low <= gap <= min(high, length - 1))


def bits_ahead(
    model: keras.Model,
    frames: np.ndarray,
    gaps: Sequence[int] = GAPS,
    num_samples: int = SAMPLES,
    batch_size: int = 50,
    progress: bool = True,
    **options: str,
) -> dict[int, np.ndarray]:
    """Returns bounds on what the last frame costs, given those before a gap.

    Args:
        model: a `SequenceModel`.
        frames: `[n, time, *event]`.
        gaps: how many steps ahead the last frame is.
        num_samples: of the importance-weighted bound.
        batch_size: sequences at a time.
        progress: show a progress bar.
        options: as for `log_weights`, for instance `proposal`.

    Returns:
        Bits of each sequence's last frame, float64 `[n]`, by gap; the fewer
        the better.
    """
    found = {}
    for gap in gaps:

        def bound(part, gap=gap):
            return model.log_prob(part, gap, num_samples, seed=0, **options)

        graph = tf.function(bound, reduce_retracing=True, autograph=False)
        parts = range(0, len(frames), batch_size)
        nats = [graph(frames[i : i + batch_size]) for i in bar(parts, progress)]
        found[gap] = bits(-np.concatenate(nats).astype(np.float64))
    return found


def copied_bits(
    training: np.ndarray, frames: np.ndarray, gaps: Sequence[int] = GAPS
) -> dict[int, np.ndarray]:
    """Returns what the last binary frame costs if the one before is copied.

    Each pixel is flipped with a probability that is the share of pixels that
    differ, at that gap, in training.

    Args:
        training, frames: uint8 `[n, time, *event]`; above 127 is white.

    Returns:
        As `bits_ahead`.
    """
    found = {}
    for gap in gaps:
        share = np.mean(_flips(training, gap))
        flips = _flips(frames[:, -1 - gap :], gap)
        flips = flips.reshape(len(frames), -1)
        count = flips.sum(axis=1)
        found[gap] = -(
            count * np.log2(share)
            + (flips.shape[1] - count) * np.log2(1 - share)
        )
    return found


def _flips(frames, gap):
    """Returns which pixels differ from those `gap` steps before."""
    white = frames > 127
    return white[:, gap:] != white[:, :-gap]
