"""The preset a recipe is based on, whose codes are its data."""

import keras
from ml_collections import ConfigDict

from vqvae_tf import presets
from vqvae_tf.models import VQVAE
from vqvae_tf.models.level_priors import sizes_of
from vqvae_tf.recipes import classes
from vqvae_tf.utils.code_sizes import as_argument


def check_named(config: ConfigDict, section: str) -> None:
    """Raises ValueError unless a recipe names its base.

    Args:
        config: a recipe with the key `base`.
        section: the section of the part that takes the codes.
    """
    if config.base is None or config[section].name is None:
        raise ValueError(
            "A recipe over a preset's codes needs `base`, the preset, and "
            f"`{section}.name`, the part that takes the codes. Received: "
            f"base={config.base!r}, {section}.name={config[section].name!r}."
        )


def load_base(config: ConfigDict) -> VQVAE:
    """Returns the autoencoder of a recipe's base.

    Raises:
        ValueError: if the recipe's pictures have other channels.
    """
    own = classes.own_classes(config)
    model = presets.load(config.base, custom_objects=own)
    base = model.autoencoder
    if not isinstance(base, VQVAE):
        raise ValueError(
            "The base must be a VQVAE of pictures, with one grid of codes. "
            f"Received: {config.base}, a {type(base).__name__}."
        )
    expected = base.event_shape[-1]
    if config.data.channels != expected:
        raise ValueError(
            f"The base {config.base} needs data.channels={expected}. Received: "
            f"a recipe with data.channels={config.data.channels}."
        )
    return base


def check_base(base: keras.Model, model: keras.Model) -> None:
    """Raises ValueError unless a model takes the codes of `base`.

    Args:
        base: a `VQVAE` of pictures.
        model: a density of codes, or an autoencoder whose decoder is one.
    """
    density, quantizer = getattr(model, "decoder", model), base.quantizer
    for name in ("num_embeddings", "num_codes"):
        expected = getattr(quantizer, name)
        received = getattr(density, name)
        if received != expected:
            raise ValueError(
                f"The base has codes of {name}={expected}. Received: a recipe "
                f"for {name}={received}. A network that takes these codes "
                f"needs num_embeddings={sizes_of(quantizer)}; a density of "
                f"them needs num_embeddings={as_argument(quantizer.num_codes)} "
                f"and num_codebooks={quantizer.num_codebooks}."
            )
    grid = tuple(size // base.downsampling for size in base.event_shape[:2])
    if tuple(density.event_shape) != grid:
        raise ValueError(
            f"The base has code maps of event_shape={grid}. Received: a recipe "
            f"for event_shape={tuple(density.event_shape)}."
        )
