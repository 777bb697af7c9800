"""Video in the space of codes: a prior of the next frame (section 4.4)."""

import sys

import numpy as np

from vqvae_tf import (
    data,
    encoding,
    fitting,
    recipes,
    sheets,
    video_evaluation,
)
from vqvae_tf.models import VideoGenerator
from vqvae_tf.systems import codes

_FUTURE = 10  # frames of a logged rollout


def train(config, workdir, data_dir, stage, start):
    """Trains the prior; the autoencoder is the base's. See `pictures.train`."""
    del stage  # there is but one
    base = codes.load_base(config)
    episodes = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    prior = recipes.make_prior(config)
    codes.check_base(base, prior)
    video = VideoGenerator(base, prior)
    start()
    arrays = encoding.once(
        workdir / "codes.npz",
        lambda: {"codes": encoding.encode_array(base, episodes.values)},
    )
    coded = episodes.with_values(arrays["codes"].astype(np.int32))
    fitting.fit(
        prior,
        config.prior_training,
        lambda skip: data.clip_batches(
            coded,
            video.num_past,
            config.prior_training.batch_size,
            seed=config.seed,
            skip_steps=skip,
        ),
        workdir / "prior",
        lambda: {"rollouts": rollout_sheet(video, held_out)},
    )
    return video


def open_split(description, split, data_dir=None):
    """Opens the episodes that a preset's metadata, or a recipe, describes."""
    return data.open_episodes(
        description["source"],
        split,
        data_dir=data_dir,
        on_corrupt=description.get("on_corrupt", "error"),
        progress=sys.stderr.isatty(),
    )


def rollout_sheet(video, episodes, count=4) -> np.ndarray:
    """Draws what came and, below, a rollout, of clips far apart."""
    starts = episodes.clip_starts(video.num_past + _FUTURE)
    chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
    rows = []
    for start in chosen:
        first = start + video.num_past
        frames = episodes.values[start : first + _FUTURE]
        actions = episodes.actions
        if actions is not None:
            actions = actions[None, first - 1 : first + _FUTURE - 1]
        drawn = video.rollout(
            frames[None, : video.num_past], actions, _FUTURE, seed=0
        )
        rows += [frames[video.num_past :], drawn[0].numpy()]
    return sheets.grid(np.concatenate(rows), columns=_FUTURE)


def measure(model, description, data_dir=None, progress=True) -> dict:
    """Measures a model of video; see `pictures.measure`.

    Returns:
        `next_frame_bits`, and with actions `next_frame_bits_unknown` and
        `next_frame_bits_wrong` (the mean over all other actions);
        `repeat_psnr`, `greedy_psnr` and `mean_psnr`, the means of steps 1 to
        10 over `clips` that move; `examples`, the frames foreseen.
    """
    frames = open_split(description, description["eval_split"], data_dir)
    codes = encoding.encode_array(model.autoencoder, frames.values)
    coded = frames.with_values(codes.astype(np.int32))
    true = video_evaluation.next_frame_bits(model, coded, progress=progress)
    figures = {"examples": len(true), "next_frame_bits": float(true.mean())}
    if model.num_actions:
        figures |= _wrong_actions(model, coded, progress)
    starts = video_evaluation.moving_clips(frames, model.num_past)
    found = video_evaluation.rollouts(
        model, frames, coded, starts, progress=progress
    )
    figures["clips"] = len(starts)
    for name in ("repeat", "greedy", "mean"):
        figures[f"{name}_psnr"] = float(found[f"psnr_{name}"].mean())
    return figures


def _wrong_actions(model, coded, progress):
    taken = video_evaluation.true_actions(coded, model.num_past)
    wrong, count = 0.0, 0
    for action in range(model.num_actions):
        bits = video_evaluation.next_frame_bits(
            model, coded, action, progress=progress
        )
        wrong += bits[taken != action].sum()
        count += (taken != action).sum()
    unknown = video_evaluation.next_frame_bits(
        model, coded, "unknown", progress=progress
    )
    return {
        "next_frame_bits_wrong": float(wrong / count),
        "next_frame_bits_unknown": float(unknown.mean()),
    }
