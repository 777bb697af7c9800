"""The pictures of a preset's card: what its model makes of known data."""

import numpy as np

from vqvae_tf import data, recipes
from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.pictures.shapes import load_shapes
from vqvae_tf.media import sheets
from vqvae_tf.samples.clips import ACTIONS, sample_clips
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.samples.photos import sample_pictures
from vqvae_tf.tasks import card as cards
from vqvae_tf.tasks.pictures import (
    sheets as previews,
    training as pictures_system,
)
from vqvae_tf.tasks.speech import card as speech_cards
from vqvae_tf.tasks.video import training as video_system


def draw(model, config, data_dir=None) -> dict[str, np.ndarray]:
    """Returns a card's pictures.

    Args:
        model: what `training.train` returned.
        config: its recipe.
        data_dir: where its data lies, of which the held-out split is shown
            where the package carries nothing of the kind.

    Returns:
        File names to uint8 pictures `[height, width, channels]`, with an axis
        time first for those that end in .gif, or for those that end in .wav to
        (waveform, sample rate).
    """
    kind = recipes.kind(config)
    if kind == "speech":
        return speech_cards.draw(model, config)
    if kind == "video":
        if cards.shows_dmlab(config):
            return _video(model)
        held_out = video_system.open_split(
            config.data, config.data.eval_split, data_dir
        )
        held_out = video_system.suited(model, held_out)
        return _other_video(model, *video_system.far_apart(model, held_out))
    if kind == "codes":
        frames, two = known_frames(), known_frames(2, apart=True)
        if not cards.shows_dmlab(config):
            held_out = pictures_system.open_split(
                config.data, config.data.eval_split, data_dir
            )
            first = pictures_system.first_pictures(config, held_out)
            frames, two = first.numpy(), first.numpy()[[0, -1]]
        return {
            "reconstructions.png": global_sheet(model, frames),
            "swaps.png": swap_sheet(model, two),
            "samples.png": _samples(model),
        }
    images = known_images(
        config.card.samples, config.data.image_size, config.data.channels
    )
    pictures = {
        "reconstructions.png": cards.reconstruction_sheet(model, images)
    }
    if previews.can_sample(model):
        pictures["samples.png"] = _samples(model)
    return pictures


def _samples(model):
    return cards.sample_sheet(model)


def known_images(kind, size, channels=3) -> np.ndarray:
    """Returns twelve pictures that the package carries.

    Args:
        kind: "photos", "dmlab" for frames of DeepMind Lab, "digits" of
            MNIST (the ten, and two more), or generated "shapes".
        size: their side in pixels.
        channels: 3 (RGB) or 1 (grey).

    Returns:
        uint8 `[12, size, size, channels]`.

    Raises:
        ValueError: for another kind.
    """
    if kind == "photos":
        return np.stack(
            [data.load_picture(p, size, channels) for p in sample_pictures()]
        )
    if kind not in recipes.CARD_SAMPLES:
        raise ValueError(
            f"card.samples must be one of {', '.join(recipes.CARD_SAMPLES)}, "
            f"which pictures of the package a card shows. Received: {kind!r}."
        )
    found = convert_channels(_STORED[kind](), channels)
    return np.stack([data.resize_and_crop(image, size) for image in found])


_STORED = {
    "dmlab": lambda: known_frames(12),
    "digits": lambda: sample_digits()[0][:12],
    "shapes": lambda: load_shapes("test").images[:12],
}


def known_frames(count=8, apart=False) -> np.ndarray:
    """Returns frames of DeepMind Lab, uint8 `[count, 84, 84, 3]`.

    Args:
        count: how many, up to 64.
        apart: take the first frames of clips, else all clips in turn.
    """
    clips, _ = sample_clips()
    if apart:
        return clips[:count, 0]
    times = np.linspace(0, clips.shape[1] - 1, -(-count // len(clips)))
    frames = clips[:, times.astype(int)].reshape(-1, *clips.shape[2:])
    return frames[:count]


# Two levels -------------------------------------------------------------------


def from_global(model, global_codes, seed=0):
    """Returns frames drawn from global codes, int32 `[batch, 1, 1, G]`."""
    inner = model.prior.autoencoder
    local = inner.quantizer.decode(global_codes)
    codes = inner.decoder.sample(context={"local": local}, seed=seed)
    return model.decode(codes).numpy()


def global_sheet(model, frames) -> np.ndarray:
    """Draws frames; below each all its codes; below, twice its few codes."""
    codes = model.encode(frames)
    global_codes = model.prior.encode(codes)
    rows = [frames, model.decode(codes).numpy()]
    rows += [from_global(model, global_codes, seed) for seed in (0, 1)]
    return sheets.grid(np.concatenate(rows), columns=len(frames))


def swap_sheet(model, frames) -> np.ndarray:
    """Draws what each global code changes.

    For each frame a row: the frame; drawn from its own codes; with one code
    after the other taken from the next frame; and with one after the other set
    to 0. All from the same noise.
    """
    codes = model.prior.encode(model.encode(frames)).numpy()
    groups = codes.shape[-1]
    rows = []
    for i, frame in enumerate(frames):
        changed = [codes[i]]
        for source in (codes[(i + 1) % len(codes)], np.zeros_like(codes[i])):
            for g in range(groups):
                one = codes[i].copy()
                one[..., g] = source[..., g]
                changed.append(one)
        drawn = [from_global(model, one[None])[0] for one in changed]
        rows += [frame, *drawn]
    return sheets.grid(np.stack(rows), columns=2 + 2 * groups)


# Video ------------------------------------------------------------------------


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


def rollout_film(video, clips, actions, seed=0) -> np.ndarray:
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
    """Films clips; below, rollouts of given (actions, seed)."""
    past, rows = video.num_past, [clips]
    for chosen, seed in rollouts:
        drawn = video.rollout(
            clips[:, :past], chosen, clips.shape[1] - past, seed=seed
        ).numpy()
        rows.append(np.concatenate([clips[:, :past], drawn], axis=1))
    return _film(rows)


def _film(rows):
    """Lays rows of clips `[clips, time, ...]` out as one film."""
    return np.stack(
        [
            sheets.grid(np.concatenate([r[:, t] for r in rows]), len(rows[0]))
            for t in range(rows[0].shape[1])
        ]
    )


def rollout_sheet(video, clips, actions, seed=0) -> np.ndarray:
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


def long_film(video, clips, steps=50, seed=0) -> np.ndarray:
    """Films `steps` frames without actions, and turning, from each clip."""
    past = clips[:, : video.num_past]
    turn = np.full([len(clips), steps], ACTIONS.index("look left and forward"))
    return _film(
        [
            video.rollout(past, chosen, steps, seed=seed).numpy()
            for chosen in (None, turn)
        ]
    )
