"""Sheets of pictures: reconstructions and samples."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import data
from vqvae_tf.layers import PixelScaling
from vqvae_tf.media import sheets
from vqvae_tf.models import Autoencoder, LatentGenerator, PictureClassifier
from vqvae_tf.models.rejection import sample_best
from vqvae_tf.utils.checks import check_labels, check_positive

# Of sheets of samples; with more classes, not each has one.
COLUMNS = 10


def rows(
    model: keras.Model, images: np.ndarray, seed: int = 0
) -> list[np.ndarray]:
    """Returns pictures and their reconstructions.

    Args:
        model: a `VQVAE`, a `LatentGenerator` or an `Autoencoder`.
        images: uint8 `[n, height, width, channels]`.
        seed: of the corruption.

    Returns:
        Originals and reconstructions, each uint8 `[n, height, width,
        channels]`. For a denoising autoencoder: originals, corrupted inputs,
        and their reconstructions.

    Example:

    >>> originals, reconstructed = rows(generator, images)
    >>> originals.shape, reconstructed.shape
    ((2, 32, 32, 3), (2, 32, 32, 3))
    """
    images = np.asarray(images)
    if getattr(model, "corruption", None) is None or not isinstance(
        model.preprocess, PixelScaling
    ):
        return [images, np.asarray(model.reconstruct(images))]
    # Given explicitly, since a strategy's scope would change the row's number.
    inputs = model.corruption.corrupt(
        model.preprocess(images), seed, first_row=0
    )
    latents = tf.cast(model.encoder(inputs), tf.float32)
    restored = model.decode(model.bottleneck.encode(latents))
    return [images, _pixels(inputs), np.asarray(restored)]


def _pixels(inputs):
    """Undoes `PixelScaling`, clipping noise beyond black and white."""
    levels = np.rint((np.asarray(inputs) + 1.0) * 127.5)
    return levels.clip(0, 255).astype(np.uint8)


def _labels(count, classes):
    """Returns the classes of a sheet's samples."""
    if count is not None:
        return np.arange(count) % classes
    if classes <= COLUMNS:
        return np.tile(np.arange(classes), 4)
    shown = min(classes, 5 * COLUMNS)
    return np.arange(shown) * classes // shown


def can_sample(model: keras.Model) -> bool:
    """Returns whether a model can sample, that is, has a prior."""
    if isinstance(model, Autoencoder):
        return model.bottleneck.has_prior
    return isinstance(model, LatentGenerator)


def reconstruction_sheet(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Draws pictures, each above its reconstruction; see `rows`."""
    stacked = sheets.stacked(rows(model, images), columns=6)
    return readable(stacked, images.shape[1])


def readable(sheet: np.ndarray, image_size: int) -> np.ndarray:
    """Enlarges a sheet of pictures smaller than 64 pixels.

    Args:
        sheet: uint8 `[height, width, channels]`.
        image_size: the side of its pictures.
    """
    return sheets.enlarge(sheet, max(1, 64 // image_size))


def sample_sheet(
    generator: keras.Model,
    count: int | None = None,
    seed: int = 0,
    label: int | None = None,
    classifier: PictureClassifier | None = None,
    keep: float = 0.25,
    **options: object,
) -> np.ndarray:
    """Draws a sheet of samples, in the order of their classes, if any.

    Args:
        generator: a `LatentGenerator`, or an `Autoencoder` with a prior.
        count: how many; by default 16, or with up to ten classes a column of 4
            for each, and with more one of each of 50 classes at most.
        seed: of the samples.
        label: the class to draw, or None for all.
        classifier: of the same classes, to draw more samples and keep the best
            (`rejection.sample_best`); or None.
        keep: the share that is kept with a classifier.
        options: further arguments of `generator.sample`.

    Returns:
        uint8 `[height, width, channels]`.
    """
    if count is not None:
        count = check_positive("count", count)
    if isinstance(generator, Autoencoder):
        draws = generator.sample(count or 16, seed=seed, **options)
        return readable(sheets.grid(draws), draws.shape[1])
    classes = generator.prior.global_channels
    columns, context = None, None
    if classes is None:
        count = count or 16
    else:
        if label is None:
            columns = min(classes, COLUMNS)
            labels = _labels(count, classes)
        else:
            label = check_labels("label", label, classes)
            labels = np.full(count or 16, label)
        count = len(labels)
        context = {"global": data.one_hot(labels, classes)}
    if classifier is None:
        draws = generator.sample(count, context=context, seed=seed, **options)
    else:
        labels = np.zeros(count, int) if classes is None else labels
        draws = sample_best(
            generator, classifier, labels, keep, seed, **options
        ).numpy()
    return readable(sheets.grid(draws, columns), draws.shape[1])
