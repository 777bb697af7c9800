"""Recipes of pictures: an autoencoder, and a prior over its codes."""

import math
import sys

import tensorflow as tf
from ml_collections import ConfigDict

from vqvae_tf import bottlenecks, data, densities, layers, models, networks
from vqvae_tf.data.decoding import RESIZE_FILTERS
from vqvae_tf.data.pictures.files import MAX_PIXELS
from vqvae_tf.models import VQVAE, Autoencoder
from vqvae_tf.recipes import building, registry, rules, schema
from vqvae_tf.tasks.pictures import vqgan

# The side of the largest square that can be read.
_SIDE = rules.whole(1, math.isqrt(MAX_PIXELS))
# What a preset's metadata must say about the pictures it was measured on.
DATA_KEYS = ("source", "train_split", "eval_split", "image_size", "num_classes")
# Further parts of an autoencoder with a bottleneck.
_HELPERS = ("corruption", "regularizer", "observation")


def defaults() -> ConfigDict:
    """Returns a recipe of pictures with every key at its default."""
    return schema.common(
        data=schema.data(**picture_keys()),
        # `name` is the class; the other keys are its keyword arguments.
        encoder=schema.section(name="Encoder"),
        quantizer=schema.section(name="VectorQuantizerEMA"),
        # Replaces the quantizer in autoencoders other than VQ-VAEs. These may
        # also have a corruption of the input, a regularizer of the encoder, and
        # an observation that draws the data the likelihood models.
        bottleneck=schema.section(name=None),
        corruption=schema.section(name=None),
        regularizer=schema.section(name=None),
        observation=schema.section(name=None),
        likelihood=schema.section(name="Gaussian"),
        decoder=schema.section(name="Decoder"),
        # With one of these the VQ-VAE is a VQGAN.
        discriminator=schema.section(name=None),
        perceptual=schema.section(name=None),
        adversarial=schema.plain(**vqgan.keys()),
        training=schema.training(),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def picture_keys() -> dict:
    """Returns the keys of data that are pictures, at their defaults."""
    return dict(
        image_size=None,
        # 3 for RGB, 1 for grey; other pictures are converted.
        channels=3,
        crop="random",
        resize_range=None,
        # Of training: "bilinear", "bicubic", "lanczos" or "box"; "random" draws
        # one of these for each picture. Figures are of bilinear pictures, and
        # beside them the PSNR of all.
        resize_filter="bilinear",
        flip=True,
        num_classes=None,
        # Posterior samples for the importance-weighted bound that evaluation
        # reports of a model with a prior.
        bound_samples=1,
        # Held-out pictures for which evaluation also sums over neighbouring
        # codes: three decodings for each code of a picture.
        neighbour_pictures=0,
        # A network (`models.feature_networks`) in whose features evaluation
        # compares this many samples with held-out pictures.
        feature_network=None,
        drawn_samples=400,
        drawn_temperature=1.0,
        # A number for each class: classes of one number count as one where
        # samples are named.
        class_groups=None,
    )


def check(config: ConfigDict) -> None:
    """Raises ValueError if the data or the parts do not fit together."""
    check_pictures(config)
    check_samples(config)
    vqgan.check(config)
    if config.bottleneck.name is not None:
        if config.prior.name is not None:
            raise ValueError(
                "A prior models a quantizer's codes and cannot be combined "
                "with a bottleneck: leave one of them out. Received: "
                f"bottleneck.name={config.bottleneck.name!r}, prior.name="
                f"{config.prior.name!r}."
            )
        return
    for section in _HELPERS:
        if config[section].name is not None:
            raise ValueError(
                f"{section} needs a bottleneck, such as bottleneck.name="
                f'"Identity". Received: {section}.name='
                f"{config[section].name!r} without one."
            )


def check_pictures(config: ConfigDict) -> None:
    """Raises ValueError unless the size and channels of pictures are given."""
    size, channels = config.data.image_size, config.data.channels
    # Models take any size, but figures, card and samples need a fixed one.
    if not _SIDE.holds(size):
        raise ValueError(
            "The recipe's data.image_size must be the side of the pictures in "
            f"pixels, {_SIDE.text}. Received: {size!r}. Set it in the recipe, "
            "for instance config.data.image_size = 32."
        )
    if isinstance(channels, bool) or channels not in (1, 3):
        raise ValueError(
            "The recipe's data.channels must be 3 (RGB) or 1 (grey); other "
            f"pictures are converted. Received: {channels!r}."
        )


def check_samples(config: ConfigDict) -> None:
    """Raises ValueError if samples cannot be compared as the recipe says."""
    options = config.data
    if options.feature_network is not None and not _has_codes(config):
        raise ValueError(
            "data.feature_network compares pictures made from codes. Received: "
            f"data.feature_network={options.feature_network!r} with "
            f"bottleneck.name={config.bottleneck.name!r}."
        )
    check_groups(config)


def _has_codes(config):
    return "bottleneck" not in config or config.bottleneck.name is None


def check_groups(config: ConfigDict) -> None:
    """Raises ValueError unless every class has a group, if any has."""
    options = config.data
    groups = options.class_groups
    if groups is not None and len(groups) != options.num_classes:
        raise ValueError(
            "data.class_groups must have a number for each of "
            f"data.num_classes={options.num_classes}. Received: "
            f"{len(groups)} numbers."
        )


def refuse_keys(config: ConfigDict, *keys: str) -> None:
    """Raises ValueError for keys of pictures that a kind does not use.

    Args:
        config: a recipe.
        keys: of its `data`.
    """
    unused = picture_keys()
    for key in keys:
        if config.data[key] != unused[key]:
            raise ValueError(
                f"Recipes of kind {config.kind} have no use for data.{key}. "
                f"Received: data.{key}={config.data[key]!r}."
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
    "data.resize_filter": rules.one_of(*RESIZE_FILTERS, "random"),
    "data.flip": rules.FLAG,
    "data.num_classes": rules.SIZE.or_none(),
    "data.bound_samples": rules.SIZE,
    "data.neighbour_pictures": rules.COUNT,
    "data.feature_network": rules.TEXT.or_none(),
    "data.drawn_samples": rules.whole(4),
    "data.drawn_temperature": rules.real(0),
    "data.class_groups": rules.COUNT.each().or_none(),
}


def make_autoencoder(config: ConfigDict) -> VQVAE | Autoencoder:
    """Makes the recipe's VQ-VAE or VQGAN, or another kind of autoencoder."""
    size = config.data.image_size
    options = {
        "encoder": building.make(config, "encoder"),
        "decoder": make_decoder(config),
        "event_shape": (size, size, config.data.channels),
    }
    if vqgan.is_vqgan(config):
        return vqgan.make(config, **options)
    if config.bottleneck.name is None:
        return VQVAE(quantizer=building.make(config, "quantizer"), **options)
    for section in ("bottleneck", *_HELPERS):
        options[section] = building.make(config, section)
    return Autoencoder(**options)


def make_decoder(config: ConfigDict) -> densities.FactorizedDensity:
    """Makes p(x | z) of a recipe's `decoder` and `likelihood`."""
    likelihood = building.make(config, "likelihood")
    parameters = likelihood.num_parameters(config.data.channels)
    network = building.make(config, "decoder", output_channels=parameters)
    return densities.FactorizedDensity(network, likelihood)


def open_split(
    description: dict | ConfigDict, split: str, data_dir: str | None = None
) -> data.ImageSource:
    """Opens a split of the data that a recipe or preset describes."""
    return data.open_images(
        description["source"], split, data_dir, **open_options(description)
    )


def open_options(description: dict | ConfigDict) -> dict:
    """Returns how a description's source is opened, apart from its place."""
    return dict(
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
    **options: str,
) -> tf.data.Dataset:
    """Returns evaluation batches of the data that a preset describes.

    Args:
        description: the preset's data.
        split: which split.
        data_dir: directory of the data.
        batch_size: pictures of a batch.
        options: `resize_filter`.
    """
    return data.evaluation_batches(
        open_split(description, split, data_dir),
        batch_size,
        image_size=description["image_size"],
        num_classes=description["num_classes"],
        **options,
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
        "discriminator": (networks,),
        "perceptual": (models,),
        **{section: (layers,) for section in _HELPERS},
    },
    rules={
        **PICTURE_RULES,
        **vqgan.RULES,
        **rules.of_training("training"),
        **rules.of_training("prior_training"),
    },
)
