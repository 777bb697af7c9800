"""The card of a model of video; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.media import sheets
from vqvae_tf.samples.clips import ACTIONS, sample_clips
from vqvae_tf.tasks.card_samples import shows_dmlab, source_of_frames
from vqvae_tf.tasks.video.recipe import far_apart, open_split, suited


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
    """Returns a card's files; see `Task.draw`."""
    if shows_dmlab(config):
        return _video(model)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    return _other_video(model, *far_apart(model, suited(model, held_out)))


def _video(video):
    clips, actions = sample_clips()
    return {
        "rollouts.gif": rollout_film(video, clips, actions),
        "rollouts.png": rollout_sheet(video, clips, actions),
        "long.gif": long_film(video, clips),
    }


def _other_video(video, clips, actions):
    """The same for clips of other data, whose actions mean who knows what."""
    given = clips[:, : video.num_past]
    known = _after(video, clips, actions)
    chosen = [(known, seed) for seed in (0, 1)]
    return {
        "rollouts.gif": _film_of(video, clips, chosen),
        "rollouts.png": rollout_sheet(video, clips, actions),
        "long.gif": _film([video.rollout(given, None, 50, seed=0).numpy()]),
    }


def _after(video, clips, actions):
    """Returns the actions after the given frames, or None without any."""
    return None if actions is None else actions[:, video.num_past - 1 : -1]


def rollout_film(
    video: keras.Model,
    clips: np.ndarray,
    actions: np.ndarray | None,
    seed: int = 0,
) -> np.ndarray:
    """Films what came and what the model makes of it.

    Columns are clips. Rows: what came; a rollout with the same actions; one
    of looking left, and one of looking right. The first `num_past` frames are
    given.

    Returns:
        uint8 `[time, height, width, 3]`.
    """
    known = _after(video, clips, actions)
    turns = [
        np.full_like(known, ACTIONS.index(name))
        for name in ("look left", "look right")
    ]
    return _film_of(
        video, clips, [(chosen, seed) for chosen in (known, *turns)]
    )


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
    """Draws every other frame of clips; below, what the model makes of them.

    Under each clip two rollouts with its actions: at temperature 0, and drawn.
    """
    past, steps = video.num_past, clips.shape[1] - video.num_past
    given = clips[:, :past], _after(video, clips, actions), steps
    drawn = [
        video.rollout(*given, temperature=temperature, seed=seed).numpy()
        for temperature in (0.0, 1.0)
    ]
    shown = slice(past % 2 + 1, None, 2)
    rows = np.stack([clips[:, past:], *drawn], axis=1)[:, :, shown]
    columns = rows.shape[2]
    return sheets.grid(rows.reshape(-1, *rows.shape[3:]), columns)


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
