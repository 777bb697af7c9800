"""The card of a model of video; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.media import sheets
from vqvae_tf.samples.clips import ACTIONS, sample_clips
from vqvae_tf.tasks.card_samples import shows_dmlab, source_of_frames
from vqvae_tf.tasks.video.recipe import (
    far_apart,
    future_actions,
    open_split,
    suited,
)


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    size = config.data.image_size
    return (
        f"A prior of the next {size}x{size} frame's codes given those of "
        f"{config.context.num_past}, over the codes of {config.base}."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures."""
    rows = "two rollouts with\nits actions"
    long = "Fifty frames without actions."
    if shows_dmlab(config):
        rows = "a rollout with the same\nactions; looking left; looking right"
        long += " Below, looking left while going forward."
    return f"""![rollouts](rollouts.gif)

{source_of_frames(config)}, one column each. Rows: the true frames; {rows}.
The first {config.context.num_past} frames are given.

![futures](rollouts.png)

Every second true frame; below, a rollout at temperature 0, which takes the most
probable value of each code; below that, a sampled rollout.

![long rollouts](long.gif)

{long}
"""


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    return f"""from vqvae_tf import VideoGenerator

model = VideoGenerator.from_preset("{name}")
# uint8 [batch, time, height, width, 3] and integers [batch, steps] in
frames = model.rollout(context_frames, actions, seed=0)"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files."""
    if shows_dmlab(config):
        clips, actions = sample_clips()
        rollouts = rollout_film(model, clips, actions)
        long = long_film(model, clips)
    else:
        held_out = open_split(config.data, config.data.eval_split, data_dir)
        clips, actions = far_apart(model, suited(model, held_out))
        # The meaning of other data's actions is unknown: only the clips' own.
        known = future_actions(model, actions)
        rollouts = _film_of(model, clips, [(known, 0), (known, 1)])
        past = clips[:, : model.num_past]
        long = _film([model.rollout(past, None, 50, seed=0).numpy()])
    return {
        "rollouts.gif": rollouts,
        "rollouts.png": rollout_sheet(model, clips, actions),
        "long.gif": long,
    }


def rollout_film(
    video: keras.Model,
    clips: np.ndarray,
    actions: np.ndarray | None,
    seed: int = 0,
) -> np.ndarray:
    """Makes a film of clips and their rollouts.

    Each column is a clip. Rows: the true frames; a rollout with the same
    actions; one looking left; one looking right. The first `num_past` frames
    are given.

    Returns:
        uint8 `[time, height, width, 3]`.
    """
    known = future_actions(video, actions)
    left, right = (
        np.full_like(known, ACTIONS.index(name))
        for name in ("look left", "look right")
    )
    return _film_of(video, clips, [(known, seed), (left, seed), (right, seed)])


def _film_of(video, clips, rollouts):
    """Makes a film of clips above rollouts, one for each (actions, seed)."""
    past, rows = video.num_past, [clips]
    for chosen, seed in rollouts:
        drawn = video.rollout(
            clips[:, :past], chosen, clips.shape[1] - past, seed=seed
        ).numpy()
        rows.append(np.concatenate([clips[:, :past], drawn], axis=1))
    return _film(rows)


def _film(rows):
    """Lays out rows of clips `[clips, time, ...]` as one film."""
    return np.stack(
        [
            sheets.grid(np.concatenate([r[:, t] for r in rows]), len(rows[0]))
            for t in range(rows[0].shape[1])
        ]
    )


def rollout_sheet(
    video: keras.Model,
    clips: np.ndarray,
    actions: np.ndarray | None,
    seed: int = 0,
) -> np.ndarray:
    """Draws every other frame of clips, above those of two rollouts.

    Both take the clip's actions: one at temperature 0, one sampled.
    """
    past, steps = video.num_past, clips.shape[1] - video.num_past
    given = clips[:, :past], future_actions(video, actions), steps
    drawn = [
        video.rollout(*given, temperature=temperature, seed=seed).numpy()
        for temperature in (0.0, 1.0)
    ]
    shown = slice(past % 2 + 1, None, 2)
    return interleaved([x[:, shown] for x in (clips[:, past:], *drawn)])


def interleaved(groups: list[np.ndarray]) -> np.ndarray:
    """Draws groups of clips `[clips, time, ...]`, each clip in a row.

    The first clip of each group comes first, then the second of each, and so
    on.
    """
    rows = np.stack(groups, axis=1)
    return sheets.grid(rows.reshape(-1, *rows.shape[3:]), rows.shape[2])


def long_film(
    video: keras.Model, clips: np.ndarray, steps: int = 50, seed: int = 0
) -> np.ndarray:
    """Makes a film of long rollouts: without actions, and turning left."""
    past = clips[:, : video.num_past]
    turn = np.full([len(clips), steps], ACTIONS.index("look left and forward"))
    return _film(
        [
            video.rollout(past, chosen, steps, seed=seed).numpy()
            for chosen in (None, turn)
        ]
    )
