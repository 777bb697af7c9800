"""Video in the space of codes: a prior of the next frame (section 4.4)."""

import functools
import sys

import numpy as np

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.evaluation import video as video_evaluation
from vqvae_tf.media import sheets
from vqvae_tf.models import VideoGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.two_levels import training as codes
from vqvae_tf.training import fitting


def train(config, workdir, data_dir, stage, start):
    """Trains the prior; the autoencoder is the base's. See `pictures.train`."""
    del stage  # there is but one
    base = codes.load_base(config)
    prior = building.make_prior(config)
    codes.check_base(base, prior)
    video = VideoGenerator(base, prior)
    episodes, held_out = (
        suited(video, open_split(config.data, split, data_dir))
        for split in (config.data.train_split, config.data.eval_split)
    )
    start()
    arrays = encoding.once(
        workdir / "codes.npz",
        base,
        lambda model: {"codes": encoding.encode_array(model, episodes.values)},
    )
    coded = episodes.with_values(arrays["codes"].astype(np.int32))
    fitting.fit(
        prior,
        config.prior_training,
        lambda **place: data.clip_batches(
            coded,
            video.num_past,
            config.prior_training.batch_size,
            seed=config.seed,
            **place,
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
        # Presets of before there were grey ones do not say.
        channels=description.get("channels", 3),
    )


def suited(video, episodes):
    """Returns episodes as a model of video takes them.

    Args:
        video: a `VideoGenerator`.
        episodes: `data.Episodes` of frames.

    Returns:
        The episodes, without actions where the model takes none.

    Raises:
        ValueError: for frames of another size, actions of another kind or
            unknown ones, and where no episode has a frame to foresee.
    """
    size, expected = episodes.values.shape[1:], video.autoencoder.event_shape
    if any(b not in (None, a) for a, b in zip(size, expected, strict=True)):
        raise ValueError(
            f"The autoencoder was trained on frames of {tuple(expected)}. "
            f"Received: {episodes.name} with frames of {size}. Resize them, or "
            "train an autoencoder of that size."
        )
    episodes.clip_starts(video.num_past + 1)
    network = video.prior.network
    if network.num_actions is None and network.action_size is None:
        return episodes.without_actions()
    if not _fit(network, episodes):
        raise ValueError(
            f"The network of past frames takes {_kind(network)}. Received: "
            f"{episodes.name} with {_kind(episodes)}. Set num_actions or "
            "action_size of the recipe's context."
        )
    return episodes


def _fit(network, episodes):
    """Returns whether a network takes the actions of episodes."""
    if network.action_size is not None or episodes.num_actions is None:
        return (
            episodes.actions is not None
            and episodes.action_size == network.action_size
        )
    taken = episodes.taken
    return taken.min(initial=0) >= 0 and taken.max(initial=0) < (
        network.num_actions
    )


def _kind(of):
    """Says which actions a network takes, or episodes have."""
    if of.action_size is not None:
        return f"vectors of {of.action_size} as actions"
    if of.num_actions is None:
        return "no actions"
    taken = getattr(of, "taken", None)
    low = 0 if taken is None else taken.min(initial=0)
    return f"the actions {low}..{of.num_actions - 1}"


def future(video, episodes) -> int:
    """Returns how many frames rollouts go on for: 10, or all there are."""
    available = int(episodes.lengths.max()) - video.num_past
    return min(video_evaluation.STEPS, available)


def far_apart(video, episodes, count=4):
    """Returns `count` clips that lie far apart.

    Returns:
        Frames `[count, num_past + steps, ...]` with the steps of `future`, and
        the actions at them `[count, num_past + steps, ...]` or None.
    """
    length = video.num_past + future(video, episodes)
    starts = episodes.clip_starts(length)
    chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
    steps = chosen[:, None] + np.arange(length)
    actions = episodes.actions
    return episodes.values[steps], None if actions is None else actions[steps]


def rollout_sheet(video, episodes) -> np.ndarray:
    """Draws what came and, below, a rollout, of clips far apart."""
    frames, actions = far_apart(video, episodes)
    past = video.num_past
    drawn = video.rollout(
        frames[:, :past],
        None if actions is None else actions[:, past - 1 : -1],
        frames.shape[1] - past,
        seed=0,
    ).numpy()
    rows = np.stack([frames[:, past:], drawn], axis=1)
    return sheets.grid(rows.reshape(-1, *rows.shape[3:]), rows.shape[2])


def measure(model, description, data_dir=None, progress=True) -> dict:
    """Measures a model of video; see `pictures.measure`.

    Returns:
        `next_frame_bits`, and with actions `next_frame_bits_unknown` and
        `next_frame_bits_wrong` (the mean over all other actions);
        `repeat_psnr`, `greedy_psnr` and `mean_psnr`, the means of steps 1 to
        10 over `clips` that move; `examples`, the frames foreseen.
    """
    frames = suited(
        model, open_split(description, description["eval_split"], data_dir)
    )
    codes = encoding.encode_array(model.autoencoder, frames.values)
    coded = frames.with_values(codes.astype(np.int32))
    bits_if = functools.partial(
        video_evaluation.next_frame_bits,
        model,
        coded,
        progress=progress,
        log_prob=video_evaluation.log_prob_graph(model),
    )
    true = bits_if()
    figures = {"examples": len(true), "next_frame_bits": float(true.mean())}
    if model.num_actions:
        figures |= _wrong_actions(model, coded, bits_if)
    steps = future(model, frames)
    starts = video_evaluation.moving_clips(frames, model.num_past, steps)
    found = video_evaluation.rollouts(
        model, frames, coded, starts, steps, progress
    )
    figures["clips"] = len(starts)
    for name in ("repeat", "greedy", "mean"):
        figures[f"{name}_psnr"] = float(found[f"psnr_{name}"].mean())
    return figures


def _wrong_actions(model, coded, bits_if):
    taken = video_evaluation.true_actions(coded, model.num_past)
    wrong, count = 0.0, 0
    for action in range(model.num_actions):
        bits = bits_if(action)
        wrong += bits[taken != action].sum()
        count += (taken != action).sum()
    unknown = bits_if("unknown")
    return {
        "next_frame_bits_wrong": float(wrong / count),
        "next_frame_bits_unknown": float(unknown.mean()),
    }
