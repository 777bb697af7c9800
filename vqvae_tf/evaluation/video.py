"""Figures of video: bits of the next frame, and rollouts against the truth."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf import data
from vqvae_tf.data import Episodes
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import psnr
from vqvae_tf.models import VideoGenerator
from vqvae_tf.utils import units
from vqvae_tf.utils.checks import check_labels, check_positive
from vqvae_tf.utils.progress import bar

STEPS = 10
SAMPLES = 8
# A frame is a jump (the player was moved elsewhere) if, at the best horizontal
# shift, its blurred colours differ from those of the frame before by more than
# this many pixel levels and its correlation with it is lower than this.
JUMP_DISTANCE, JUMP_CORRELATION = 45.0, 0.35


FIGURES = (
    Figure("next_frame_bits", "the next code map", "bits", 1, 2.0),
    Figure(
        "next_frame_bits_wrong",
        "the next code map given a wrong action, mean of all",
        "bits",
        1,
        3.0,
    ),
    Figure(
        "next_frame_bits_unknown",
        "the next code map without its action",
        "bits",
        1,
        2.0,
    ),
    Figure(
        "repeat_psnr",
        "PSNR of repeating the last frame, steps 1 to 10, mean",
        "dB",
        2,
        0.05,
    ),
    Figure("greedy_psnr", "PSNR of greedy rollouts, the same", "dB", 2, 0.1),
    Figure(
        "mean_psnr", "PSNR of the mean of 8 rollouts, the same", "dB", 2, 0.1
    ),
    Figure("clips", "clips of rollouts", "", 0, 0.5),
)


def log_prob_graph(video: VideoGenerator) -> Callable:
    """Returns a video model's log p(codes | past, action) as a graph."""
    return tf.function(
        video.prior.log_prob, reduce_retracing=True, autograph=False
    )


def next_frame_bits(
    video: VideoGenerator,
    coded: Episodes,
    action: int | str | None = None,
    batch_size: int = 64,
    progress: bool = True,
    log_prob: Callable | None = None,
) -> np.ndarray:
    """Measures how well each frame is predicted.

    Args:
        video: a `VideoGenerator`.
        coded: `data.Episodes` of code maps.
        action: the action to condition on: None for the true one, "unknown", or
            an integer for all frames.
        batch_size: frames at once.
        progress: show a progress bar, where stderr is a terminal.
        log_prob: a `log_prob_graph` to share among calls; by default a new one.

    Returns:
        -log2 p(codes | past, action) of each frame with `num_past` frames
        before it, float64 `[clips]`, in the order of
        `coded.clip_starts(num_past + 1)`.
    """
    batch_size = check_positive("batch_size", batch_size)
    if action not in (None, "unknown") and video.num_actions:
        action = int(check_labels("action", action, video.num_actions))
    log_prob = log_prob or log_prob_graph(video)
    batches = data.clip_evaluation_batches(coded, video.num_past, batch_size)
    found = []
    for codes, context, weight in bar(batches, progress):
        context = dict(context)
        if action == "unknown":
            context.pop("action")
        elif action is not None:
            context["action"] = tf.fill(
                [batch_size], tf.cast(action, context["action"].dtype)
            )
        log_p = log_prob(codes, context).numpy()
        found.append(units.bits(-log_p)[weight.numpy() > 0])
    return np.concatenate(found).astype(np.float64)


def true_actions(coded: Episodes, num_past: int) -> np.ndarray:
    """Returns the action that leads to each frame of `next_frame_bits`."""
    return coded.actions[coded.clip_starts(num_past + 1) + num_past - 1]


def moving_clips(
    frames: Episodes, num_past: int, steps: int = STEPS, spacing: int = 4
) -> np.ndarray:
    """Finds clips with much change but without jumps.

    Args:
        frames: `data.Episodes` of frames.
        num_past: P, the frames that a rollout is given.
        steps: N, the frames that it predicts.
        spacing: steps between candidates.

    Returns:
        The first steps of the clips, int64: those without a jump (`is_jump`)
        whose mean squared change from frame P to frame P + N is above the
        median. If there are none, all without a jump, or else all.
    """
    steps = check_positive("steps", steps)
    spacing = check_positive("spacing", spacing)
    starts = frames.clip_starts(num_past + steps)[::spacing]
    last = frames.values[starts + num_past - 1].astype(np.float32)
    end = frames.values[starts + num_past + steps - 1].astype(np.float32)
    change = ((last - end) ** 2).mean(axis=(1, 2, 3))
    jumps = np.flatnonzero(is_jump(frames.values))
    clean = np.array(
        [
            not np.any((jumps > s) & (jumps < s + num_past + steps))
            for s in starts
        ]
    )
    for chosen in ((change > np.median(change)) & clean, clean):
        if chosen.any():
            return starts[chosen]
    return starts


def is_jump(values: np.ndarray) -> np.ndarray:
    """Tells which frames do not follow from the frame before.

    Colours and correlation must both differ: a wall at close range has little
    structure to correlate, and a quick turn changes most colours.

    Args:
        values: uint8 `[n, height, width, channels]`.

    Returns:
        bool `[n]`; the first is False.
    """
    values = values.astype(np.float32)
    blurred = _blurred(values)
    jumps = np.zeros(len(values), bool)
    for i in range(1, len(values)):
        if _distance(blurred[i - 1], blurred[i]) > JUMP_DISTANCE:
            grey = values[i - 1 : i + 1].mean(axis=-1)
            jumps[i] = best_shift(*grey)[1] < JUMP_CORRELATION
    return jumps


def _blurred(values, size=14):
    """Returns the means of blocks of size x size pixels."""
    n, height, width, channels = values.shape
    h, w = height // size, width // size
    values = values[:, : h * size, : w * size]
    return values.reshape(n, size, h, size, w, channels).mean(axis=(2, 4))


def _distance(before, after):
    """Returns the least root mean squared distance over horizontal shifts."""
    largest = before.shape[1] // 2 - 1
    return min(
        np.sqrt(np.mean((a - b) ** 2))
        for _, a, b in _overlaps(before, after, largest)
    )


def _overlaps(before, after, largest):
    """Yields shifts, with the parts of both pictures that then overlap."""
    width = before.shape[1]
    for shift in range(-largest, largest + 1):
        size = width - abs(shift)
        a = before[:, max(0, -shift) :][:, :size]
        b = after[:, max(0, shift) :][:, :size]
        yield shift, a, b


def best_shift(
    before: np.ndarray, after: np.ndarray, largest: int | None = None
) -> tuple[int, float]:
    """Finds how far a picture moved horizontally, by correlation.

    Args:
        before, after: `[height, width]`, grey.
        largest: the greatest shift to try, in pixels; by default half the
            width.

    Returns:
        The shift in pixels, positive to the right, and the correlation of the
        overlapping parts.
    """
    largest = before.shape[1] // 2 if largest is None else largest
    scores = {}
    for shift, a, b in _overlaps(before, after, largest):
        a, b = a - a.mean(), b - b.mean()
        scale = np.sqrt((a**2).sum() * (b**2).sum())
        scores[shift] = float((a * b).sum() / scale) if scale > 0 else 0.0
    shift = max(scores, key=lambda s: (scores[s], -abs(s)))
    return shift, scores[shift]


def rollouts(
    video: VideoGenerator,
    frames: Episodes,
    coded: Episodes,
    starts: np.ndarray,
    steps: int = STEPS,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Compares rollouts, and repeating the last frame, with the true frames.

    Args:
        video: a `VideoGenerator`.
        frames, coded: `data.Episodes` of frames and of their codes.
        starts: the first steps of clips of `num_past + steps`.
        steps: frames of a rollout.
        progress: show a progress bar, where stderr is a terminal.

    Returns:
        A dict of float64 `[steps]` over all clips: `psnr_greedy`, `psnr_mean`
        (of the mean of 8 sampled frames) and `psnr_repeat` in dB, and
        `accuracy_greedy`, `accuracy_samples` and `accuracy_repeat`, the share
        of correct codes.
    """
    steps = check_positive("steps", steps)
    sums = {}
    for i in bar(range(0, len(starts), 16), progress):
        found = _compare(video, frames, coded, starts[i : i + 16], steps, i)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value
    means = {name: value / len(starts) for name, value in sums.items()}
    return {
        name.replace("error", "psnr"): np.array([psnr(mse) for mse in value])
        if name.startswith("error")
        else value
        for name, value in means.items()
    }


def _compare(video, frames, coded, starts, steps, seed):
    """Returns sums over clips of errors and accuracies, `[steps]` each."""
    past = coded.values[starts[:, None] + np.arange(video.num_past)]
    future = starts[:, None] + video.num_past + np.arange(steps)
    truth, pixels = coded.values[future], frames.values[future]
    actions = None
    if coded.actions is not None:
        actions = coded.actions[future - 1]
    greedy = video.rollout_codes(past, actions, steps, temperature=0, seed=0)
    drawn = video.rollout_codes(
        past, actions, steps, num_futures=SAMPLES, seed=seed
    )
    pictures = video.decode(drawn).numpy().astype(np.float32)
    pictures = pictures.reshape(len(starts), SAMPLES, *pictures.shape[1:])
    drawn = drawn.numpy().reshape(len(starts), SAMPLES, *drawn.shape[1:])
    last = np.repeat(past[:, -1:], steps, axis=1)
    still = frames.values[starts + video.num_past - 1][:, None]
    return {
        "error_greedy": _error(video.decode(greedy).numpy(), pixels),
        "error_mean": _error(pictures.mean(axis=1), pixels),
        "error_repeat": _error(still, pixels),
        "accuracy_greedy": _accuracy(greedy.numpy(), truth),
        "accuracy_samples": np.mean(
            [_accuracy(drawn[:, i], truth) for i in range(SAMPLES)], axis=0
        ),
        "accuracy_repeat": _accuracy(last, truth),
    }


def _error(pictures, truth):
    squares = (pictures.astype(np.float32) - truth) ** 2
    return squares.mean(axis=(2, 3, 4), dtype=np.float64).sum(axis=0)


def _accuracy(codes, truth):
    """Returns sums over clips `[clips, steps, *grid]` of correct shares."""
    grid = tuple(range(2, truth.ndim))
    return (codes == truth).mean(axis=grid).sum(axis=0)


def turning_starts(
    frames: Episodes, num_past: int, turns: Sequence[int], least: int = 2
) -> np.ndarray:
    """Finds clips in whose first frames turning moves the view.

    In the others, the player may be out of the game, where nothing moves.

    Args:
        frames: `data.Episodes` of frames.
        num_past: P, the frames that a rollout is given.
        turns: the actions that turn.
        least: how many pixels a turn must move the picture.

    Returns:
        The first steps of the clips of P frames, int64.
    """
    starts = frames.clip_starts(num_past)
    grey = frames.values.astype(np.float32).mean(axis=-1)
    largest = grey.shape[2] // 3
    turned = np.zeros(len(grey), bool)
    for t in np.flatnonzero(np.isin(frames.actions[:-1], turns)):
        shift, _ = best_shift(grey[t], grey[t + 1], largest)
        turned[t] = abs(shift) >= least
    seen = [turned[s : s + num_past - 1].any() for s in starts]
    return starts[seen]


def opposite_turns(
    video: VideoGenerator,
    past: np.ndarray,
    left: int,
    right: int,
    steps: int = 4,
    seed: int = 0,
) -> float:
    """Returns the share of clips in which rollouts turn the right way.

    From the same frames, `steps` turns to the left must move the picture to the
    right, and as many to the right must move it to the left, by the sum of
    shifts between frames.

    Args:
        video: a `VideoGenerator`.
        past: codes `[starts, num_past, *grid]`, with a last axis G for G > 1
            codebooks.
        left, right: the two actions.
        steps: frames to roll out.
        seed: of the rollouts.
    """
    steps = check_positive("steps", steps)
    last = video.decode(past[:, -1:]).numpy()
    moved = []
    for action in (left, right):
        drawn = []
        for i in range(0, len(past), 32):
            part = past[i : i + 32]
            codes = video.rollout_codes(
                part, np.full([len(part), steps], action), seed=seed + i
            )
            drawn.append(video.decode(codes).numpy())
        clips = np.concatenate([last, np.concatenate(drawn)], axis=1)
        moved.append([_total_shift(clip) for clip in clips])
    right_way = (np.array(moved[0]) > 0) & (np.array(moved[1]) < 0)
    return float(right_way.mean())


def _total_shift(clip):
    grey = clip.astype(np.float32).mean(axis=-1)
    largest = grey.shape[2] // 3
    return sum(best_shift(a, b, largest)[0] for a, b in zip(grey, grey[1:]))
