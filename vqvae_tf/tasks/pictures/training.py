"""The stages of pictures: an autoencoder, and a prior over its codes."""

import functools
from collections.abc import Callable

import keras
import numpy as np
from ml_collections import ConfigDict

from vqvae_tf import data
from vqvae_tf.encoding import arrays as encoding
from vqvae_tf.media import sheets
from vqvae_tf.models import LatentGenerator
from vqvae_tf.recipes import building
from vqvae_tf.tasks.pictures import sheets as previews
from vqvae_tf.tasks.pictures.recipe import first_pictures, open_split
from vqvae_tf.training.stages import PRIOR, Encoding, Plan, Stage, Steps
from vqvae_tf.training.workdir import CODES

PLANS = (Plan("autoencoder", "training"), PRIOR)


def stages(config: ConfigDict, data_dir: str | None, with_prior: bool) -> Steps:
    """Yields the stages of a recipe; see `Task.stages`."""
    images = open_split(config.data, config.data.train_split, data_dir)
    held_out = open_split(config.data, config.data.eval_split, data_dir)
    autoencoder = building.make_autoencoder(config)
    examples = first_pictures(config, held_out)
    yield Stage(
        "autoencoder",
        autoencoder,
        config.training,
        functools.partial(_batches, config, images, config.training),
        lambda: _logged(autoencoder, examples),
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
        lambda: sheets.grid(_samples(config, generator)),
        context=_class_context(config, arrays.get("labels")),
    )
    return generator


def prior_stage(
    config: ConfigDict,
    prior: keras.Model,
    codes: np.ndarray,
    samples: Callable[[], np.ndarray],
    **options: object,
) -> Stage:
    """Returns the stage of a prior over codes in memory.

    Args:
        config: a recipe.
        prior: a density.
        codes: integers `[n, *grid]`.
        samples: a function that returns a sheet of samples to log.
        options: `context`, a dict of arrays `[n, ...]`, and `weight`, a mask
            `[n, *grid]` that is 0 at padding.
    """
    return Stage(
        "prior",
        prior,
        config.prior_training,
        functools.partial(
            data.array_batches,
            codes.astype(np.int32),
            config.prior_training.batch_size,
            config.seed,
            **options,
        ),
        lambda: {"samples": samples()},
    )


def _logged(autoencoder, examples):
    """Returns what stage 1 logs: reconstructions, and samples if possible."""
    rows = previews.rows(autoencoder, examples)
    logged = {"reconstructions": sheets.stacked(rows)}
    if previews.can_sample(autoencoder):
        logged["samples"] = sheets.grid(autoencoder.sample(16, seed=0))
    return logged


def _batches(config, images, training, **options):
    section = config.data
    resize_range = section.resize_range
    return data.training_batches(
        images,
        training.batch_size,
        image_size=training.crop_size or section.image_size,
        crop=section.crop,
        resize_range=None if resize_range is None else tuple(resize_range),
        flip=section.flip,
        seed=config.seed,
        **options,
    )


def encode(
    config: ConfigDict, autoencoder: keras.Model, images: data.ImageSource
) -> dict:
    """Encodes the training set, `encode_passes` times with different crops.

    Returns:
        A dict of `codes` `[n, *grid]` and, with classes, int64 `labels` `[n]`.
    """
    classes = config.data.num_classes
    rows = config.prior_training.encode_passes * images.num_examples
    size = min(64, images.num_examples)
    training = config.training.copy_and_resolve_references()
    training.update(batch_size=size, crop_size=None)
    codes, contexts = encoding.encode_batches(
        autoencoder,
        _batches(config, images, training, num_classes=classes),
        -(-rows // size),
    )
    # Batches are consecutive permutations: these rows are whole passes.
    arrays = {"codes": codes[:rows]}
    if classes:
        labels = [np.argmax(context["global"], axis=-1) for context in contexts]
        arrays["labels"] = np.concatenate(labels)[:rows].astype(np.int64)
    return arrays


def _class_context(config, labels):
    """Returns the prior's context for labels; None without classes."""
    classes = config.data.num_classes
    return classes and {"global": data.one_hot(labels, classes)}


def _samples(config, generator, count=16):
    labels = np.arange(count) % (config.data.num_classes or count)
    context = _class_context(config, labels)
    return generator.sample(count, context=context, seed=0)
