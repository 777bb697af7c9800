"""What an exported model of pictures answers."""

import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.base import (
    Endpoints,
    at_least,
    checked,
    range_checks,
)


class PictureEndpoints(Endpoints):
    """The signatures of a model of pictures, with or without a prior.

    Below, B pictures of H x W pixels have codes on a grid of h x w, with a
    last axis G where there are G > 1 codebooks. All sizes are free.

    Args:
        generator: a `VQVAE` of pictures, or a `LatentGenerator` with one;
            built, and in float32.
        bounds: how much a request may ask for, by default `Bounds()`.

    Example:

    >>> endpoints = PictureEndpoints(generator)
    >>> codes = endpoints.signatures()["encode"](images)["codes"]
    """

    def __init__(self, generator, bounds=None):
        super().__init__(generator, bounds)
        self.num_classes = self.prior and self.prior.global_channels
        groups = self.quantizer.num_codebooks
        self._groups = [groups] if groups > 1 else []
        self.specs |= {
            "images": ([None, None, None, self.channels], tf.uint8),
            "codes": ([None, None, None, *self._groups], tf.int32),
            "num_samples": ([], tf.int32),
            "labels": ([None], tf.int32),
        }

    def functions(self):
        functions = {
            "encode": (self.encode, ["images"]),
            "decode": (self.decode, ["codes"]),
            "reconstruct": (self.reconstruct, ["images"]),
        }
        if self.prior is not None:
            labels = ["labels"] if self.num_classes else []
            sampling = ["num_samples", "temperature", "seed", *labels]
            functions["sample"] = (self.sample, sampling)
            functions["score"] = (self.score, ["images", *labels])
        return functions

    def example_values(self):
        sizes, grid = self.example_sizes()
        return {
            **super().example_values(),
            "images": np.zeros([1, *sizes, self.channels], np.uint8),
            "codes": np.zeros([1, *grid, *self._groups], np.int32),
            "num_samples": np.int32(1),
            "labels": np.zeros([1], np.int32),
        }

    # Signatures ---------------------------------------------------------------

    def encode(self, images):
        """Returns `codes`, int32 `[B, h, w]`, of uint8 `[B, H, W, 3]`."""
        return {"codes": self.autoencoder.encode(self._images(images))}

    def decode(self, codes):
        """Returns `images`, uint8 `[B, H, W, 3]`, of int32 `[B, h, w]`."""
        codes = self.checked_codes("codes", codes, self.quantizer)
        images = self.autoencoder.decode(codes)
        return {"images": tf.cast(images, tf.uint8)}

    def reconstruct(self, images):
        """Returns `images`, encoded and decoded, uint8 `[B, H, W, 3]`."""
        images = self.autoencoder.reconstruct(self._images(images))
        return {"images": tf.cast(images, tf.uint8)}

    def sample(self, num_samples, temperature, seed, labels=None):
        """Returns `images`, uint8 `[num_samples, H, W, 3]`.

        Args:
            num_samples: int32 scalar, at least 1.
            temperature: float32 scalar of the prior, at least 0.
            seed: int32 scalar.
            labels: with a class-conditional prior, int32 `[1]` or
                `[num_samples]`.
        """
        num_samples = self.checked_count(num_samples, self.prior.event_shape)
        images = self.generator.sample(
            num_samples,
            context=self._context(labels, num_samples),
            temperature=at_least(0, "temperature", temperature),
            seed=self.checked_shape("seed", seed),
        )
        return {"images": tf.cast(images, tf.uint8)}

    def score(self, images, labels=None):
        """Returns bits per dimension, the bound and its parts, float32 `[B]`.

        Args:
            images: uint8 `[B, H, W, 3]`.
            labels: with a class-conditional prior, int32 `[1]` or `[B]`.
        """
        images = self._images(images)
        context = self._context(labels, tf.shape(images)[0])
        bits = self.generator.bits_per_dim(images, context)
        return {
            "bits_per_dim": bits["total"],
            "reconstruction": bits["reconstruction"],
            "prior": bits["prior"],
        }

    # Checks -------------------------------------------------------------------

    def _images(self, images):
        return self.checked_pixels("images", images, "picture")

    def _context(self, labels, count):
        """Returns the prior's context for int32 labels `[1]` or `[count]`."""
        if labels is None:
            return None
        labels = self.checked_shape("labels", labels)
        number = tf.shape(labels)[0]
        labels = checked(
            labels,
            (
                (number == 1) | (number == count),
                "Expected one label for all pictures, or one for each. "
                "Received: the numbers of labels and of pictures",
                tf.stack([number, count]),
            ),
            *range_checks("labels", labels, self.num_classes),
        )
        labels = tf.broadcast_to(labels, [count])
        return {"global": tf.one_hot(labels, self.num_classes)}
