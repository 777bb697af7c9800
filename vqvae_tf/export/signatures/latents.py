"""What an exported autoencoder answers, whose latents are no codes."""

import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import LN2, event_size
from vqvae_tf.export.signatures.base import Endpoints, at_least, checked
from vqvae_tf.export.signatures.bounds import product
from vqvae_tf.runtime import random


class LatentEndpoints(Endpoints):
    """The signatures of an `Autoencoder`, with or without a prior.

    Below, B pictures of H x W pixels have latents of C channels on a grid of
    h x w. Batch, height and width are free, unless one latent stands for all
    of a picture.

    Args:
        generator: an `Autoencoder` of pictures; built, and in float32.
        bounds: how much a request may ask for, by default `Bounds()`.

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

    def __init__(self, generator, bounds=None):
        super().__init__(generator, bounds)
        self._event = self.autoencoder.event_shape
        shape = self.autoencoder.encoder.compute_output_shape((1, *self._event))
        self._grid = shape[1:-1]
        bottleneck = self.autoencoder.bottleneck
        self.specs |= {
            "images": ([None, None, None, self.channels], tf.uint8),
            "latents": (
                [None, None, None, bottleneck.num_channels(shape[-1])],
                tf.float32,
            ),
            "num_samples": ([], tf.int32),
        }

    def functions(self):
        functions = {
            "encode": (self.encode, ["images"]),
            "decode": (self.decode, ["latents"]),
            "reconstruct": (self.reconstruct, ["images"]),
        }
        if self.autoencoder.bottleneck.has_prior:
            functions["score"] = (self.score, ["images", "seed"])
            # Without sizes the prior is of no grid.
            if None not in self._event:
                sampling = ["num_samples", "temperature", "seed"]
                functions["sample"] = (self.sample, sampling)
        return functions

    def example_values(self):
        sizes, grid = self.example_sizes()
        channels = self.specs["latents"][0][-1]
        return {
            **super().example_values(),
            "images": np.zeros([1, *sizes, self.channels], np.uint8),
            "latents": np.zeros([1, *grid, channels], np.float32),
            "num_samples": np.int32(1),
        }

    # Signatures ---------------------------------------------------------------

    def encode(self, images):
        """Returns `latents`, float32 `[B, h, w, C]`, of uint8 `[B, H, W, 3]`.

        Without noise: of a Gaussian the posterior's mean.
        """
        return {"latents": self.autoencoder.encode(self._images(images))}

    def decode(self, latents):
        """Returns `images`, uint8 `[B, H, W, 3]`, of float32 latents."""
        images = self.autoencoder.decode(self._latents(latents))
        return {"images": tf.cast(images, tf.uint8)}

    def reconstruct(self, images):
        """Returns `images`, encoded and decoded, uint8 `[B, H, W, 3]`."""
        images = self.autoencoder.reconstruct(self._images(images))
        return {"images": tf.cast(images, tf.uint8)}

    def sample(self, num_samples, temperature, seed):
        """Returns `images`, uint8 `[num_samples, H, W, 3]`.

        Args:
            num_samples: int32 scalar, at least 1.
            temperature: float32 scalar, at least 0; scales the spread of a
                Gaussian prior.
            seed: int32 scalar.
        """
        images = self.autoencoder.sample(
            self.checked_count(num_samples, self._grid),
            temperature=at_least(0, "temperature", temperature),
            seed=self.checked_shape("seed", seed),
        )
        return {"images": tf.cast(images, tf.uint8)}

    def score(self, images, seed):
        """Returns bits per dimension, the bound and its parts, float32 `[B]`.

        Args:
            images: uint8 `[B, H, W, 3]`.
            seed: int32 scalar, of the draw of z; also of what an
                `observation` draws, black and white pixels of grey ones.
        """
        images = self._images(images)
        seed = random.make_seed(self.checked_shape("seed", seed))
        observation = self.autoencoder.observation
        if observation is not None:
            images = observation(images, seed=random.fold_in(seed, 0))
        log_px, log_ratio = self.autoencoder.log_terms(
            images, seed=random.fold_in(seed, 1)
        )
        bits = -1 / (event_size(images) * LN2)  # of a nat
        return {
            "bits_per_dim": (log_px + log_ratio)[0] * bits,
            "reconstruction": log_px[0] * bits,
            "prior": log_ratio[0] * bits,
        }

    # Checks -------------------------------------------------------------------

    def _of_one_size(self):
        """Returns whether one latent stands for all of a picture."""
        return self._event[:2] == (self.factor, self.factor)

    def _images(self, images):
        images = self.checked_pixels("images", images, "picture")
        if not self._of_one_size():
            return images
        return checked(
            images,
            (
                tf.shape(images)[1:3] == self.factor,
                f"Height and width must be {self.factor} and {self.factor}: "
                "one latent stands for all of a picture. Received: images of "
                "shape",
                tf.shape(images),
            ),
        )

    def _latents(self, latents):
        latents = self.checked_shape("latents", latents)
        shape = tf.shape(latents)
        others = tf.math.count_nonzero(~tf.math.is_finite(latents))
        checks = [
            self.within("max_batch", shape[0], "examples"),
            self.decoded_within(product(shape[:-1])),
            (
                shape > 0,
                "Expected at least one grid of latents, and no size of 0. "
                "Received: latents of shape",
                shape,
            ),
            (
                others == 0,
                "latents must be finite numbers. Received: NaN or infinite:",
                others,
            ),
        ]
        if self._of_one_size():
            message = (
                "One latent stands for all of a picture: expected a grid of "
                "1 x 1. Received: latents of shape"
            )
            checks.append((shape[1:3] == 1, message, shape))
        return checked(latents, *checks)
