"""The card of a classifier of pictures; see `Task`."""

import keras
from ml_collections import ConfigDict


def summary(config: ConfigDict, has_prior: bool) -> str:
    """Returns what the model is, in a sentence."""
    size = config.data.image_size
    return (
        f"A classifier of {size}x{size} pictures into "
        f"{config.data.num_classes} classes, in whose features sets of "
        "pictures can be compared."
    )


def shown(config: ConfigDict, has_prior: bool, built_in: bool) -> str:
    """Returns the part of the card about its use in recipes."""
    return f"""Recipes of generative models name it as their feature network,
`config.data.feature_network = "{config.name}"`, to measure samples.
"""


def use_text(name: str, config: ConfigDict, has_prior: bool) -> str:
    """Returns example code."""
    return f"""from vqvae_tf import PictureClassifier

model = PictureClassifier.from_preset("{name}")
probabilities = model.probabilities(images)  # uint8 in
features = model.features(images)"""


def draw(
    model: keras.Model, config: ConfigDict, data_dir: str | None = None
) -> dict:
    """Returns the card's files: none."""
    return {}
