"""The card of a two-level model; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.media import sheets
from vqvae_tf.recipes import building
from vqvae_tf.samples.clips import known_frames
from vqvae_tf.tasks.card_samples import shows_dmlab, source_of_frames
from vqvae_tf.tasks.pictures.card import samples_text
from vqvae_tf.tasks.pictures.recipe import first_pictures, open_split
from vqvae_tf.tasks.pictures.sheets import sample_sheet
from vqvae_tf.utils.code_sizes import in_words


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    sizes = building.code_sizes(config)
    prior = f", with a {config.prior.name} prior" if has_prior else ""
    return (
        f"A VQ-VAE of the code maps of {config.base}: "
        f"{len(sizes)} codes of K={in_words(sizes)} for a frame{prior}."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures."""
    return f"""![frames and their reconstructions](reconstructions.png)

{source_of_frames(config)}; below each its
reconstruction from all codes; below that, two code maps drawn from its global
codes, decoded.

![swapped codes](swaps.png)

Each row shows a frame; a draw from its own global codes; draws with one code at
a time taken from the other frame; and draws with one code at a time set to 0.
All draws use the same noise.
{samples_text()}"""


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    return f"""from vqvae_tf import LatentGenerator

model = LatentGenerator.from_preset("{name}")
codes = model.encode(frames)  # uint8 in, int32 code maps out
global_codes = model.prior.encode(codes)  # [batch, 1, 1, codebooks]
# a frame with these codes, always the same
frames = model.decode(model.prior.decode(global_codes))"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files."""
    frames, two = known_frames(), known_frames(2, apart=True)
    if not shows_dmlab(config):
        held_out = open_split(config.data, config.data.eval_split, data_dir)
        first = first_pictures(config, held_out).numpy()
        frames, two = first, first[[0, -1]]
    return {
        "reconstructions.png": global_sheet(model, frames),
        "swaps.png": swap_sheet(model, two),
        "samples.png": sample_sheet(model),
    }


def from_global(
    model: keras.Model, global_codes: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Samples frames given global codes, int32 `[batch, 1, 1, G]`."""
    inner = model.prior.autoencoder
    local = inner.quantizer.decode(global_codes)
    codes = inner.decoder.sample(context={"local": local}, seed=seed)
    return model.decode(codes).numpy()


def global_sheet(model: keras.Model, frames: np.ndarray) -> np.ndarray:
    """Draws frames above their reconstructions and two samples.

    The reconstructions are from all codes; the samples given the global codes.
    """
    codes = model.encode(frames)
    global_codes = model.prior.encode(codes)
    rows = [frames, model.decode(codes).numpy()]
    rows += [from_global(model, global_codes, seed) for seed in (0, 1)]
    return sheets.grid(np.concatenate(rows), columns=len(frames))


def swap_sheet(model: keras.Model, frames: np.ndarray) -> np.ndarray:
    """Draws what each global code changes.

    Each row shows a frame; a sample given its own global codes; samples with
    one code at a time taken from the next frame; and samples with one code at a
    time set to 0. All samples use the same noise.
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
