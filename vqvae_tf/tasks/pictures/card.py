"""The card of a model of pictures; see `Task`."""

import keras
from ml_collections import ConfigDict

from vqvae_tf.recipes import building
from vqvae_tf.tasks import card_samples
from vqvae_tf.tasks.pictures import autoencoders, sheets, vqgan
from vqvae_tf.utils.code_sizes import in_words


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    if config.bottleneck.name is not None:
        return autoencoders.summary(config)
    size = config.data.image_size
    grey = "grey " if config.data.channels == 1 else ""
    prior = f", with a {config.prior.name} prior" if has_prior else ""
    name = "VQGAN" if vqgan.is_vqgan(config) else "VQ-VAE"
    return (
        f"A {name} of {size}x{size} {grey}pictures with "
        f"K={in_words(building.code_sizes(config))} codes{prior}."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card with its pictures."""
    photos = config.card.samples == "photos"
    other = (
        " They are not part of the data below." if built_in and photos else ""
    )
    source = card_samples.SOURCES[config.card.samples]
    if config.bottleneck.name is not None:
        return autoencoders.shown(config, source, other)
    text = f"""![originals above reconstructions](reconstructions.png)

{source}, each above its
reconstruction.{other}
"""
    if has_prior:
        text += samples_text(
            config.data.num_classes, config.data.drawn_temperature
        )
    return text + distances_text(config, has_prior)


def distances_text(config: ConfigDict, has_prior: bool = True) -> str:
    """Returns in which network's features pictures are compared, if any."""
    data = config.data
    if data.feature_network is None:
        return ""
    if not has_prior:
        return f"""
Distances of pictures are in the features of {data.feature_network}; those of
other networks, and of other numbers of pictures, are no comparison.
"""
    return f"""
Distances of pictures are in the features of {data.feature_network}, of
{data.drawn_samples} samples at temperature {data.drawn_temperature}; those of
other networks, and of other numbers of samples, are no comparison.
"""


def samples_text(
    num_classes: int | None = None, temperature: float = 1.0
) -> str:
    """Returns the part of the card with samples, of each class if any."""
    order = ""
    if num_classes:
        of_each = num_classes <= sheets.COLUMNS
        order = ", one column per class" if of_each else ", by class"
    cooled = f" at temperature {temperature}" if temperature != 1 else ""
    return f"""
![samples](samples.png)

Samples: codes drawn from the prior{cooled} and decoded{order}.
"""


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    if config.bottleneck.name is not None:
        return autoencoders.use_text(name, config)
    own = "VQGAN" if vqgan.is_vqgan(config) else "VQVAE"
    cls = "LatentGenerator" if has_prior else own
    return f"""from vqvae_tf import {cls}

model = {cls}.from_preset("{name}")
codes = model.encode(images)  # uint8 in, int32 codes out
pictures = model.decode(codes)"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files, which show the package's own pictures."""
    images = card_samples.known_images(
        config.card.samples, config.data.image_size, config.data.channels
    )
    files = {"reconstructions.png": sheets.reconstruction_sheet(model, images)}
    if sheets.can_sample(model):
        files["samples.png"] = sheets.sample_sheet(
            model, temperature=config.data.drawn_temperature
        )
    return files
