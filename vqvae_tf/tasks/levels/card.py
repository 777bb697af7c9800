"""The card of a hierarchical model; see `Task`."""

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf.media import sheets
from vqvae_tf.recipes import building
from vqvae_tf.tasks import card_samples
from vqvae_tf.tasks.pictures import card as pictures
from vqvae_tf.tasks.pictures.sheets import can_sample, readable, sample_sheet
from vqvae_tf.utils.code_sizes import in_words

SHEET = "levels.png"


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    size = config.data.image_size
    model = building.make_autoencoder(config)
    factors = model.downsamplings()
    grids = ", ".join(
        f"{name} {size // factors[name]}x{size // factors[name]} of "
        f"K={in_words(quantizer.num_codes)}"
        for name, quantizer in model.quantizers().items()
    )
    prior = (
        " Each level has a prior, given those above it." if has_prior else ""
    )
    return (
        f"A hierarchical VQ-VAE (VQ-VAE-2) of {size}x{size} pictures with "
        f"codes on {len(model.levels)} grids: {grids}.{prior}"
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures."""
    photos = config.card.samples == "photos"
    other = (
        " They are not part of the data below." if built_in and photos else ""
    )
    text = f"""![pictures, from all codes, and from each level](levels.png)

{card_samples.SOURCES[config.card.samples]}; below each what is decoded from
all its codes, and from those of one level alone, the top first.{other}
"""
    if has_prior:
        text += pictures.samples_text(
            config.data.num_classes, config.data.drawn_temperature
        )
    return text + pictures.distances_text(config, has_prior)


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    cls = "LatentGenerator" if has_prior else "HierarchicalVQVAE"
    return f"""from vqvae_tf import {cls}

model = {cls}.from_preset("{name}")
codes = model.encode(images)  # uint8 in, a dict of int32 codes by level out
pictures = model.decode(codes)
coarse = model.decode({{"top": codes["top"]}})"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files, which show the package's own pictures."""
    images = card_samples.known_images(
        config.card.samples, config.data.image_size, config.data.channels
    )
    files = {SHEET: level_sheet(model, images[:6])}
    if can_sample(model):
        files["samples.png"] = sample_sheet(
            model, temperature=config.data.drawn_temperature
        )
    return files


def level_sheet(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Draws pictures above what their codes show.

    The rows are originals, what is decoded from all codes, and from those of
    each level alone that the decoder sees, the top first.
    """
    codes = model.encode(images)
    rows = [images, model.decode(codes).numpy()]
    rows += [
        model.decode({name: codes[name]}).numpy()
        for name in model.autoencoder.shown_levels()
    ]
    return readable(
        sheets.grid(np.concatenate(rows), columns=len(images)), images.shape[1]
    )
