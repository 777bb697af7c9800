"""What a model makes of a few pictures: the rows of a sheet."""

import numpy as np
import tensorflow as tf

from vqvae_tf.layers import PixelScaling
from vqvae_tf.models import Autoencoder, LatentGenerator


def rows(model, images, seed=0) -> list[np.ndarray]:
    """Returns pictures, and what a model makes of each.

    Args:
        model: a `VQVAE`, a `LatentGenerator` or an `Autoencoder`.
        images: uint8 `[n, height, width, channels]`.
        seed: of the corruption.

    Returns:
        Originals and reconstructions, each uint8 `[n, height, width,
        channels]`. Of a denoising autoencoder three: originals, corrupted
        inputs, and the reconstructions of these.

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
    # Row 0 is the first picture, inside of a strategy's scope too.
    inputs = model.corruption.corrupt(
        model.preprocess(images), seed, first_row=0
    )
    latents = tf.cast(model.encoder(inputs), tf.float32)
    restored = model.decode(model.bottleneck.encode(latents))
    return [images, _pixels(inputs), np.asarray(restored)]


def _pixels(inputs):
    """Undoes `PixelScaling`; noise beyond black and white is cut off."""
    levels = np.rint((np.asarray(inputs) + 1.0) * 127.5)
    return levels.clip(0, 255).astype(np.uint8)


def can_sample(model) -> bool:
    """Returns whether a model draws pictures: whether it has a prior."""
    if isinstance(model, Autoencoder):
        return model.bottleneck.has_prior
    return isinstance(model, LatentGenerator)
