"""Recipes of pictures: an autoencoder, and a prior over its codes."""

import math
import sys

import tensorflow as tf
from ml_collections import ConfigDict

from vqvae_tf import bottlenecks, data, densities, layers
from vqvae_tf.data.pictures.files import MAX_PIXELS
from vqvae_tf.models import VQVAE, Autoencoder
from vqvae_tf.recipes import building, registry, rules, schema

# The side of a picture that can be read.
_SIDE = rules.whole(1, math.isqrt(MAX_PIXELS))
# What a preset's metadata say of the pictures its figures are of.
DATA_KEYS = ("source", "train_split", "eval_split", "image_size", "num_classes")
# What an autoencoder with a bottleneck may have beside it.
_HELPERS = ("corruption", "regularizer", "observation")


def defaults() -> ConfigDict:
    """Returns a recipe of pictures with every key at its default."""
    return schema.common(
        data=schema.data(**picture_keys()),
        # Keyword arguments of the classes; `name` picks the class.
        encoder=schema.section(name="Encoder"),
        quantizer=schema.section(name="VectorQuantizerEMA"),
        # Of an autoencoder that is no VQ-VAE, in the quantizer's place; with
        # it, what damages its input, what its encoder is charged for, and what
        # draws the data that the likelihood models.
        bottleneck=schema.section(name=None),
        corruption=schema.section(name=None),
        regularizer=schema.section(name=None),
        observation=schema.section(name=None),
        likelihood=schema.section(name="Gaussian"),
        decoder=schema.section(name="Decoder"),
        training=schema.training(),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def picture_keys() -> dict:
    """Returns the keys of data that are pictures, at their defaults."""
    return dict(
        image_size=None,
        # 3 for RGB, 1 for grey; pictures of the other kind are converted.
        channels=3,
        crop="random",
        resize_range=None,
        flip=True,
        num_classes=None,
        # Posterior samples for the importance-weighted bound that evaluation
        # reports of a model with a prior.
        bound_samples=1,
        # Held-out pictures for which evaluation sums over neighbouring codes
        # too: three times as many decodings each as there are codes.
        neighbour_pictures=0,
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError for pictures or parts that do not fit."""
    check_pictures(config)
    if config.bottleneck.name is not None:
        if config.prior.name is not None:
            raise ValueError(
                "A prior, and a base, are of codes: of a recipe with a "
                "quantizer. Received: bottleneck.name="
                f"{config.bottleneck.name!r} with prior.name="
                f"{config.prior.name!r}."
            )
        return
    for section in _HELPERS:
        if config[section].name is not None:
            raise ValueError(
                f"{section} is of autoencoders with a bottleneck. Received: "
                f"{section}.name={config[section].name!r} without "
                'bottleneck.name; a plain one is "Identity".'
            )


def check_pictures(config: ConfigDict) -> None:
    """Raises ValueError unless the size and channels of pictures are given."""
    size, channels = config.data.image_size, config.data.channels
    # A model takes any size; figures, card and samples are of one.
    if not _SIDE.holds(size):
        raise ValueError(
            "The recipe's data.image_size must be a positive integer, the side "
            f"of the pictures in pixels: {_SIDE.text}. Received: {size!r}. Set "
            "it in the recipe, for instance config.data.image_size = 32."
        )
    if isinstance(channels, bool) or channels not in (1, 3):
        raise ValueError(
            "The recipe's data.channels must be 3 (RGB) or 1 (grey); pictures "
            f"of the other kind are converted. Received: {channels!r}."
        )


def _resize_range_holds(value):
    if value is None:
        return True
    sides = _SIDE.each().holds(value)
    return sides and len(value) == 2 and value[0] <= value[1]


PICTURE_RULES = {
    "data.crop": rules.one_of("random", "center"),
    "data.resize_range": rules.Rule(
        "two positive integers, the smaller first, or None", _resize_range_holds
    ),
    "data.flip": rules.FLAG,
    "data.num_classes": rules.SIZE.or_none(),
    "data.bound_samples": rules.SIZE,
    "data.neighbour_pictures": rules.COUNT,
}


def make_autoencoder(config: ConfigDict) -> VQVAE | Autoencoder:
    """Makes the recipe's VQ-VAE, or an autoencoder with another bottleneck."""
    size = config.data.image_size
    options = {
        "encoder": building.make(config, "encoder"),
        "decoder": _make_decoder(config),
        "event_shape": (size, size, config.data.channels),
    }
    if config.bottleneck.name is None:
        return VQVAE(quantizer=building.make(config, "quantizer"), **options)
    for section in ("bottleneck", *_HELPERS):
        options[section] = building.make(config, section)
    return Autoencoder(**options)


def _make_decoder(config):
    likelihood = building.make(config, "likelihood")
    parameters = likelihood.num_parameters(config.data.channels)
    network = building.make(config, "decoder", output_channels=parameters)
    return densities.FactorizedDensity(network, likelihood)


def open_split(
    description: dict | ConfigDict, split: str, data_dir: str | None = None
) -> data.ImageSource:
    """Opens the data that a preset's metadata, or a recipe, describes."""
    return data.open_images(
        description["source"],
        split,
        data_dir=data_dir,
        on_corrupt=description.get("on_corrupt", "error"),
        progress=sys.stderr.isatty(),
        # Older presets have no `channels`; they are RGB.
        channels=description.get("channels", 3),
    )


def eval_batches(
    description: dict | ConfigDict,
    split: str,
    data_dir: str | None = None,
    batch_size: int = 20,
) -> tf.data.Dataset:
    """Returns the evaluation batches that a preset's metadata describes."""
    return data.evaluation_batches(
        open_split(description, split, data_dir),
        batch_size,
        image_size=description["image_size"],
        num_classes=description["num_classes"],
    )


def first_pictures(
    config: ConfigDict, images: data.ImageSource, count: int = 8
) -> tf.Tensor:
    """Returns the first pictures of a split, as evaluation sees them."""
    batches = data.evaluation_batches(images, count, config.data.image_size)
    return next(iter(batches))[0]


KIND = registry.Kind(
    name="pictures",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=building.prior_of_codes,
    is_of=lambda config: True,
    parts={
        "bottleneck": (bottlenecks,),
        **{section: (layers,) for section in _HELPERS},
    },
    rules={
        **PICTURE_RULES,
        **rules.of_training("training"),
        **rules.of_training("prior_training"),
    },
)
