"""The signatures of exported autoencoders with continuous latents."""

import keras
import tensorflow as tf

from vqvae_tf.densities.base import event_size
from vqvae_tf.export.signatures.base import (
    as_images,
    as_score,
    finite_check,
)
from vqvae_tf.export.signatures.bounds import Bounds, product
from vqvae_tf.export.signatures.pictures import PictureEndpoints
from vqvae_tf.runtime import random
from vqvae_tf.utils import units
from vqvae_tf.utils.tensor_checks import checked


class LatentEndpoints(PictureEndpoints):
    """The signatures of an `Autoencoder`, with or without a prior.

    Below, B pictures of H x W pixels have latents of C channels on a grid of
    h x w. Batch, height and width are free, unless a picture has a single
    latent.

    Args:
        generator: an `Autoencoder` of pictures; built, and in float32.
        bounds: the limits of a request, by default `Bounds()`.

    Example:

    >>> model = vqvae_tf.Autoencoder(
    ...     DenseEncoder(output_channels=2 * 4, picture_size=28),
    ...     vqvae_tf.bottlenecks.DiagonalGaussian(),
    ...     FactorizedDensity(DenseDecoder(1, picture_size=28), Bernoulli()),
    ...     event_shape=(28, 28, 1),
    ... )
    >>> model.build()
    >>> sorted(LatentEndpoints(model).functions())
    ['decode', 'encode', 'reconstruct', 'sample', 'score']
    """

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        super().__init__(generator, bounds)
        self._event = self.autoencoder.event_shape
        shape = self.autoencoder.encoder.compute_output_shape((1, *self._event))
        self._grid = shape[1:-1]
        channels = self.autoencoder.bottleneck.num_channels(shape[-1])
        self.specs["latents"] = ([None, None, None, channels], tf.float32)

    def functions(self) -> dict:
        functions = super().functions()
        if self.autoencoder.bottleneck.has_prior:
            functions["score"] = (self.score, ["images", "seed"])
            # Without sizes the grid of samples is unknown.
            if None not in self._event:
                sampling = ["num_samples", "temperature", "seed"]
                functions["sample"] = (self.sample, sampling)
        return functions

    # Signatures ---------------------------------------------------------------

    def encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `latents`, float32 `[B, h, w, C]`, of uint8 `[B, H, W, 3]`.

        They have no noise: a Gaussian returns the posterior's mean.
        """
        return super().encode(images)

    def decode(self, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `images`, uint8 `[B, H, W, 3]`, of float32 latents."""
        return as_images(self.autoencoder.decode(self._latents(latents)))

    def sample(
        self, num_samples: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns `images`, uint8 `[num_samples, H, W, 3]`.

        Args:
            num_samples: int32 scalar, at least 1.
            temperature: float32 scalar, at least 0; scales the spread of a
                Gaussian prior.
            seed: int32 scalar.
        """
        images = self.autoencoder.sample(
            self.checked_count(num_samples, self._grid),
            **self.drawing(temperature, seed),
        )
        return as_images(images)

    def score(self, images: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns bits per dimension, the bound and its parts, float32 `[B]`.

        Args:
            images: uint8 `[B, H, W, 3]`.
            seed: int32 scalar, of the draw of z and of an `observation`, such
                as binarization.
        """
        images = self.images(images)
        seed = random.make_seed(self.checked_shape("seed", seed))
        observation = self.autoencoder.observation
        if observation is not None:
            images = observation(images, seed=random.fold_in(seed, 0))
        log_px, log_ratio = self.autoencoder.log_terms(
            images, seed=random.fold_in(seed, 1)
        )
        bits = units.bits(-1, event_size(images))  # of a nat
        return as_score(
            {
                "total": (log_px + log_ratio)[0] * bits,
                "reconstruction": log_px[0] * bits,
                "prior": log_ratio[0] * bits,
            }
        )

    # Inputs -------------------------------------------------------------------

    def _of_one_size(self):
        """Returns whether a picture has a single latent."""
        return self._event[:2] == (self.factor, self.factor)

    def images(self, images: tf.Tensor) -> tf.Tensor:
        images = super().images(images)
        if not self._of_one_size():
            return images
        why = ": one latent stands for all of a picture"
        return self.images_of_size(images, self._event[:2], why)

    def _latents(self, latents):
        latents = self.checked_shape("latents", latents)
        shape = tf.shape(latents)
        checks = [
            self.within("max_batch", shape[0], "examples"),
            self.decoded_within(product(shape[:-1])),
            (
                shape > 0,
                "Expected at least one grid of latents, and no size of 0. "
                "Received: latents of shape",
                shape,
            ),
            finite_check("latents", latents),
        ]
        if self._of_one_size():
            message = (
                "One latent stands for all of a picture: expected a grid of "
                "1 x 1. Received: latents of shape"
            )
            checks.append((shape[1:3] == 1, message, shape))
        return checked(latents, *checks)
