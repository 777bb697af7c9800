"""The preset that a recipe stands on: whose codes are its data."""

import keras
from ml_collections import ConfigDict

from vqvae_tf import presets
from vqvae_tf.models import VQVAE
from vqvae_tf.recipes import classes


def check_named(config: ConfigDict, section: str) -> None:
    """Raises ValueError unless a recipe of codes names its base.

    Args:
        config: a recipe with the key `base`.
        section: the one that says what becomes of the codes.
    """
    if config.base is None or config[section].name is None:
        raise ValueError(
            "A recipe of codes names in `base` the preset that makes them, and "
            "in `preprocess` how they are embedded (or in `context`, for "
            f"video). Received: base={config.base!r}, {section}.name="
            f"{config[section].name!r}."
        )


def load_base(config: ConfigDict) -> VQVAE:
    """Returns the autoencoder of the preset that the recipe stands on.

    Raises:
        ValueError: if its pictures have other channels than the recipe's.
    """
    own = classes.own_classes(config)
    model = presets.load(config.base, custom_objects=own)
    base = model.autoencoder
    expected = base.event_shape[-1]
    if config.data.channels != expected:
        raise ValueError(
            f"The base {config.base} takes pictures of {expected} channels. "
            f"Received: a recipe with data.channels={config.data.channels}."
        )
    return base


def check_base(base: keras.Model, model: keras.Model) -> None:
    """Raises ValueError unless a model is of the codes of `base`.

    Args:
        base: a `VQVAE` of pictures.
        model: anything with `event_shape`, and a `decoder` or itself with
            `num_embeddings`.
    """
    density = getattr(model, "decoder", model)
    expected = base.quantizer.num_embeddings
    if density.num_embeddings != expected:
        raise ValueError(
            f"The base makes codes of {expected}. Received: a recipe for codes "
            f"of {density.num_embeddings}."
        )
    factor = base.downsampling
    grid = tuple(size // factor for size in base.event_shape[:2])
    if tuple(density.event_shape) != grid:
        raise ValueError(
            f"The base makes code maps of {grid}. Received: a recipe for "
            f"{tuple(density.event_shape)}."
        )
