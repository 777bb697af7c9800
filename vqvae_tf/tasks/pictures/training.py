"""The stages of pictures: an autoencoder, and a prior over its codes."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator, feature_networks
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures import sheets as previews, vqgan
from vqvae_tf.tasks.pictures.recipe import first_pictures, open_split
from vqvae_tf.training.stages import PRIOR, Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES
from vqvae_tf.utils.code_levels import to_arrays

PLANS = (Plan("autoencoder", "training"), PRIOR)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stages of a recipe; see `Task.stages`."""
    images = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    check_network(config)
    autoencoder = building.make_autoencoder(config)
    if config.perceptual.name is not None:
        autoencoder.perceptual.load()
    examples = first_pictures(config, held_out)
    yield Stage(
        "autoencoder",
        autoencoder,
        config.training,
        functools.partial(picture_batches, config, images, config.training),
        lambda: logged(autoencoder, examples),
        functools.partial(vqgan.make_optimizers, config),
    )
    prior = building.make_prior(config) if with_prior else None
    if prior is None:
        return autoencoder
    arrays = yield Encoding(
        CODES, autoencoder, lambda model: encode(config, model, images)
    )
    generator = LatentGenerator(autoencoder, prior)
    yield prior_stage(
        config,
        prior,
        arrays["codes"],
        lambda: sheets.grid(samples(config, generator)),
        context=class_context(config, arrays.get("labels")),
    )
    return generator


def prior_stage(
    config: ConfigDict,
    prior: keras.Model,
    codes: np.ndarray,
    samples: Callable[[], np.ndarray] | None,
    name: str = "prior",
    section: str = "prior_training",
    **options: object,
) -> Stage:
    """Returns the stage of a prior over codes in memory.

    Args:
        config: a recipe.
        prior: a density.
        codes: integers `[n, *grid]`.
        samples: a function that returns a sheet of samples to log, or None.
        name: of the stage.
        section: the recipe's section of its training.
        options: `context`, a dict of arrays `[n, ...]`, and `weight`, a mask
            `[n, *grid]` that is 0 at padding.
    """
    training = config[section]
    return Stage(
        name,
        prior,
        training,
        functools.partial(
            data.array_batches,
            codes.astype(np.int32),
            training.batch_size,
            config.seed,
            **options,
        ),
        lambda: {} if samples is None else {"samples": samples()},
    )


def check_network(config: ConfigDict) -> None:
    """Raises an error unless the recipe's feature network fits its data.

    Raises:
        PresetError, OSError: as `feature_networks.find_network`.
        ValueError: for a network of other classes.
    """
    name = config.data.feature_network
    if name is None:
        return
    network = feature_networks.find_network(name)
    size, channels = config.data.image_size, config.data.channels
    _, found = network.answers(np.zeros([1, size, size, channels], np.uint8))
    classes = config.data.num_classes
    if found is not None and classes not in (None, found.shape[-1]):
        raise ValueError(
            "The feature network must name the classes of the data. Received: "
            f"{name}, of {found.shape[-1]} classes, and data.num_classes="
            f"{classes}."
        )


def logged(autoencoder: keras.Model, examples: tf.Tensor) -> dict:
    """Returns what stage 1 logs: reconstructions, and samples if possible."""
    rows = previews.rows(autoencoder, examples)
    found = {"reconstructions": sheets.stacked(rows)}
    if previews.can_sample(autoencoder):
        found["samples"] = sheets.grid(autoencoder.sample(16, seed=0))
    return found


def picture_batches(
    config: ConfigDict,
    images: data.ImageSource,
    training: ConfigDict,
    **options: object,
) -> tf.data.Dataset:
    """Returns the training batches of a recipe's pictures.

    Args:
        config: a recipe.
        images: the training split.
        training: the section of the stage's training.
        options: further ones of `data.training_batches`.
    """
    section = config.data
    resize_range = section.resize_range
    return data.training_batches(
        images,
        training.batch_size,
        image_size=training.crop_size or section.image_size,
        crop=section.crop,
        resize_range=None if resize_range is None else tuple(resize_range),
        flip=section.flip,
        resize_filter=section.resize_filter,
        seed=config.seed,
        **options,
    )


def encode(
    config: ConfigDict, autoencoder: keras.Model, images: data.ImageSource
) -> dict:
    """Encodes the training set, `encode_passes` times with different crops.

    Returns:
        A dict of `codes` `[n, *grid]`, or the codes of each level such as
        `codes_top`, and, with classes, int64 `labels` `[n]`.
    """
    classes = config.data.num_classes
    rows = config.prior_training.encode_passes * images.num_examples
    size = min(64, images.num_examples)
    training = config.training.copy_and_resolve_references()
    training.update(batch_size=size, crop_size=None)
    codes, contexts = encoding.encode_batches(
        autoencoder,
        picture_batches(config, images, training, num_classes=classes),
        -(-rows // size),
    )
    # Batches are consecutive permutations: these rows are whole passes.
    arrays = {k: own[:rows] for k, own in to_arrays(codes).items()}
    if classes:
        labels = [np.argmax(context["global"], axis=-1) for context in contexts]
        arrays["labels"] = np.concatenate(labels)[:rows].astype(np.int64)
    return arrays


def class_context(config: ConfigDict, labels: np.ndarray | None) -> dict | None:
    """Returns the prior's context for labels; None without classes."""
    classes = config.data.num_classes
    return classes and {"global": data.one_hot(labels, classes)}


def samples(
    config: ConfigDict, generator: LatentGenerator, count: int = 16
) -> tf.Tensor:
    """Draws samples to log, of one class after the other."""
    labels = np.arange(count) % (config.data.num_classes or count)
    context = class_context(config, labels)
    return generator.sample(count, context=context, seed=0)
