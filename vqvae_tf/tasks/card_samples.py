"""The package's own pictures that cards show, with their sources."""

import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data, recipes
from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.pictures.shapes import load_shapes
from vqvae_tf.samples.clips import ACTIONS, known_frames
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.samples.photos import sample_pictures
from vqvae_tf.utils.checks import check_choice

SOURCES = {
    "photos": "Photos under free licences "
    "(`vqvae_tf/samples/photos/LICENCES.md`)",
    "dmlab": "Held-out frames of DeepMind Lab (CC BY 4.0, "
    "`vqvae_tf/samples/clips/LICENCES.md`)",
    "digits": "Digits of MNIST's test split (CC BY-SA 3.0, "
    "`vqvae_tf/samples/digits/LICENCES.md`)",
    "shapes": "Generated shapes",
}


def known_images(kind: str, size: int, channels: int = 3) -> np.ndarray:
    """Returns twelve pictures that come with the package.

    Args:
        kind: "photos", "dmlab" (frames of DeepMind Lab), "digits" (MNIST: the
            ten, and two more) or "shapes" (generated).
        size: side in pixels.
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
    check_choice("card.samples", kind, recipes.CARD_SAMPLES)
    found = convert_channels(_STORED[kind](), channels)
    return np.stack([data.resize_and_crop(image, size) for image in found])


_STORED = {
    "dmlab": lambda: known_frames(12),
    "digits": lambda: sample_digits()[0][:12],
    "shapes": lambda: load_shapes("test").images[:12],
}


def shows_dmlab(config: ConfigDict) -> bool:
    """Returns whether a card shows the package's own clips.

    They are 84x84, in colour, with nine actions; the recipe's must be, too.
    """
    actions = len(ACTIONS)
    if "context" in config:
        actions = config.context.get("num_actions", actions)
    return (
        config.card.samples == "dmlab"
        and config.data.image_size == 84
        and config.data.channels == 3
        and actions == len(ACTIONS)
    )


def source_of_frames(config: ConfigDict) -> str:
    """Returns what frames a card shows, in words."""
    if shows_dmlab(config):
        return SOURCES["dmlab"]
    return f"Frames of the split `{config.data.eval_split}`"
