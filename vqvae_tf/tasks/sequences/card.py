"""The card of a model of sequences; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.data.sequences.source import SequenceSource
from vqvae_tf.evaluation.sequences import oscillators
from vqvae_tf.media import curves, sheets
from vqvae_tf.tasks.sequences.examples import spread
from vqvae_tf.tasks.sequences.recipe import open_split

SHOWN = 8  # sequences
FUTURES = 3


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    shape = "x".join(map(str, config.model.event_shape))
    what = f"codes {shape} of {config.base}"
    if config.base is None:
        what = f"{shape} values"
    return (
        f"A {config.model.name} of sequences whose frames are {what}: beliefs "
        "about the present, and rollouts."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures."""
    if config.data.form.endswith("oscillator"):
        return f"""![futures of oscillators](rollouts.png)

Grey: what was observed, of which the model sees the first {oscillators.PAST}
steps; black: the oscillator without noise. In colour: futures that begin with a
jump of {oscillators.JUMPS[0]} (blue) or {oscillators.JUMPS[1]} steps (orange).
"""
    return f"""![rollouts](rollouts.gif)

Sequences of the split `{config.data.eval_split}`, one column each, the true one
above {FUTURES} futures of the model, which is given the first half.

![rollouts](rollouts.png)

The first of them, from the last given frame on; below, its futures.
"""


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    cls = "CodedSequenceModel" if config.base else config.model.name
    return f"""from vqvae_tf.models import {cls}

model = {cls}.from_preset("{name}")
b = model.belief(frames)  # [batch, time, ...] in
futures = model.rollout(frames, times=[1, 4], num_futures=3, seed=0)"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files."""
    source = open_split(config.data, config.data.eval_split, data_dir)
    if config.data.form.endswith("oscillator"):
        return {"rollouts.png": rollout_picture(model, source)}
    frames, drawn = _futures(model, source)
    return {
        "rollouts.png": rollout_picture(model, source),
        "rollouts.gif": _film(frames, drawn),
    }


def rollout_picture(model: keras.Model, source: SequenceSource) -> np.ndarray:
    """Draws true sequences and their futures, uint8 `[height, width, C]`."""
    if source.shape == (1,):
        return _curves(model, source)
    frames, drawn = _futures(model, source)
    steps = min(10, drawn.shape[2])
    first = frames.shape[1] - drawn.shape[2]
    true = frames[0, first - 1 : first + steps]
    rows = [true] + [
        np.concatenate([true[:1], future[:steps]]) for future in drawn[0]
    ]
    sheet = sheets.grid(np.concatenate(rows), columns=len(true))
    return sheets.enlarge(sheet, _scale(frames))


def _futures(model, source):
    """Returns frames `[n, T, ...]`, and futures `[n, FUTURES, rest, ...]`."""
    frames, _ = spread(source, SHOWN)
    past = frames[:, : -(frames.shape[1] // 2)]
    drawn = model.rollout(
        past, frames.shape[1] - past.shape[1], num_futures=FUTURES, seed=0
    ).numpy()
    return frames, drawn.reshape(len(frames), FUTURES, *drawn.shape[1:])


def _film(frames, drawn):
    """Lays out each sequence above its futures, uint8 `[T, h, w, C]`."""
    given = frames.shape[1] - drawn.shape[2]
    shown = []
    for t in range(frames.shape[1]):
        rows = [frames[:, t]]
        for number in range(FUTURES):
            at = drawn[:, number, t - given] if t >= given else frames[:, t]
            rows.append(at)
        sheet = sheets.grid(np.concatenate(rows), columns=len(frames))
        shown.append(sheets.enlarge(sheet, _scale(frames)))
    return np.stack(shown)


def _scale(frames):
    """Returns how often small frames are enlarged."""
    return max(1, 84 // frames.shape[2])


def _curves(model, source, count=6):
    frames, known = spread(source, count)
    past = frames[:, : oscillators.PAST]
    pictures, drawn = [], []
    colors = curves.BLUE, curves.ORANGE
    jumps = oscillators.known_jumps(model, frames.shape[1])
    for jump in jumps:
        times = list(range(jump, jump + oscillators.STEPS + 1))
        drawn.append(model.rollout(past, times=times, seed=0).numpy())
    limit = 1.1 * np.abs(frames).max()
    true = None
    if hasattr(source, "positions"):
        true = source.positions(known).numpy()
    for i, sequence in enumerate(frames):
        found = [curves.Curve(sequence, curves.GREY, is_dotted=True)]
        if true is not None:
            found.append(curves.Curve(true[i]))
        for jump, color, futures in zip(jumps, colors, drawn):
            start = oscillators.PAST - 1 + jump
            found.append(curves.Curve(futures[i], color, start))
        pictures.append(curves.draw(found, limit, frames.shape[1]))
    return curves.stacked(pictures)
