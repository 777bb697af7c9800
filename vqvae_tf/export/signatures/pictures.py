"""The signatures of exported models of pictures."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.base import (
    Endpoints,
    as_images,
    as_score,
    groups_of,
)
from vqvae_tf.export.signatures.bounds import Bounds
from vqvae_tf.utils.code_levels import array_name, from_arrays, to_arrays
from vqvae_tf.utils.tensor_checks import checked


class PictureEndpoints(Endpoints):
    """The signatures of all models of pictures, with codes or latents.

    Below, B pictures are H x W pixels, encoded on a grid of h x w.

    Args:
        generator: a model of pictures, built and in float32.
        bounds: the limits of a request, by default `Bounds()`.
    """

    # The name of the output of `encode`, which is the input of `decode`.
    between = "latents"

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        super().__init__(generator, bounds)
        self.specs["images"] = ([None, None, None, self.channels], tf.uint8)

    def factors(self) -> dict[str, int]:
        """The ratio of H to h, by the outputs of `encode`."""
        return {self.between: self.factor}

    def functions(self) -> dict:
        return {
            "encode": (self.encode, ["images"]),
            "decode": (self.decode, list(self.factors())),
            "reconstruct": (self.reconstruct, ["images"]),
        }

    def example_values(self) -> dict:
        sizes, found = self.example_sizes(), {}
        for name, factor in self.factors().items():
            (_, _, _, *last), dtype = self.specs[name]
            grid = [size // factor for size in sizes]
            found[name] = np.zeros([1, *grid, *last], dtype.as_numpy_dtype)
        images = np.zeros([1, *sizes, self.channels], np.uint8)
        return {**super().example_values(), "images": images, **found}

    # Signatures ---------------------------------------------------------------

    def encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the codes or latents of pictures, uint8 `[B, H, W, 3]`."""
        return {self.between: self.autoencoder.encode(self.images(images))}

    def reconstruct(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `images`, encoded and decoded, uint8 `[B, H, W, 3]`."""
        return as_images(self.autoencoder.reconstruct(self.images(images)))

    # Inputs -------------------------------------------------------------------

    def images(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the input `images`, checked."""
        return self.checked_pixels("images", images, "picture")

    def images_of_size(
        self, images: tf.Tensor, sizes: Sequence[int], why: str
    ) -> tf.Tensor:
        """Returns `images`, checked to be of one size.

        Args:
            images: uint8 `[B, H, W, 3]`.
            sizes: H and W.
            why: the reason, appended to the message.
        """
        shape = tf.shape(images)
        message = f"Height and width must be {sizes[0]} and {sizes[1]}{why}."
        received = "Received: images of shape"
        same = shape[1:3] == list(sizes)
        return checked(images, (same, f"{message} {received}", shape))


class CodeEndpoints(PictureEndpoints):
    """The signatures of a model of pictures, with or without a prior.

    Below, B pictures of H x W pixels have codes on a grid of h x w, with a
    last axis G for G > 1 codebooks. All sizes are free. A `HierarchicalVQVAE`
    has `codes_LEVEL` of each level, the top first, in place of `codes`, and a
    signature `decode_top` that needs only those of the top.

    Args:
        generator: a `VQVAE` or `HierarchicalVQVAE` of pictures, or a
            `LatentGenerator` with one; built, and in float32.
        bounds: the limits of a request, by default `Bounds()`.
        jit_sampling: whether XLA compiles `sample` where the model runs.

    Example:

    >>> endpoints = CodeEndpoints(generator)
    >>> codes = endpoints.signatures()["encode"](images)["codes"]
    """

    def __init__(
        self,
        generator: keras.Model,
        bounds: Bounds | None = None,
        jit_sampling: bool = False,
    ) -> None:
        super().__init__(generator, bounds)
        self.draw = None
        if self.prior is not None:
            self.draw = generator.sample
        if jit_sampling:
            self.draw = tf.function(
                generator.sample, jit_compile=True, autograph=False
            )
        self.num_classes = self.prior and self.prior.global_channels
        self.quantizers = {
            array_name(level): quantizer
            for level, quantizer in self.autoencoder.quantizers().items()
        }
        self.specs["labels"] = ([None], tf.int32)
        for name, quantizer in self.quantizers.items():
            shape = [None, None, None, *groups_of(quantizer)]
            self.specs[name] = (shape, tf.int32)

    def factors(self) -> dict[str, int]:
        factors = self.autoencoder.downsamplings().items()
        return {array_name(level): factor for level, factor in factors}

    def functions(self) -> dict:
        functions = super().functions()
        # Of use only if the decoder sees the top, and not it alone.
        shown = getattr(self.autoencoder, "shown_levels", dict)()
        if "top" in shown:
            functions["decode_top"] = (self.decode, [array_name("top")])
        if self.prior is not None:
            labels = ["labels"] if self.num_classes else []
            sampling = ["num_samples", "temperature", "seed", *labels]
            functions["sample"] = (self.sample, sampling)
            functions["score"] = (self.score, ["images", *labels])
        return functions

    def example_values(self) -> dict:
        return {**super().example_values(), "labels": np.zeros([1], np.int32)}

    # Signatures ---------------------------------------------------------------

    def encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the codes of pictures, uint8 `[B, H, W, 3]`."""
        return to_arrays(self.autoencoder.encode(self.images(images)))

    def decode(
        self, codes: tf.Tensor | None = None, **levels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns `images`, uint8 `[B, H, W, 3]`, of int32 `[B, h, w]`.

        Args:
            codes: those of a model with one grid.
            levels: `codes_LEVEL` of another one.
        """
        factors, given = self.factors(), levels or {"codes": codes}
        found = {
            name: self.checked_codes(
                name, own, self.quantizers[name], factor=factors[name]
            )
            for name, own in given.items()
        }
        return as_images(self.autoencoder.decode(from_arrays(found)))

    def sample(
        self,
        num_samples: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        labels: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns `images`, uint8 `[num_samples, H, W, 3]`.

        Args:
            num_samples: int32 scalar, at least 1.
            temperature: float32 scalar of the prior, at least 0.
            seed: int32 scalar.
            labels: with a class-conditional prior, int32 `[1]` or
                `[num_samples]`.
        """
        num_samples = self.checked_count(num_samples, *self._finest())
        images = self.draw(
            num_samples,
            context=self._context(labels, num_samples),
            **self.drawing(temperature, seed),
        )
        return as_images(images)

    def score(
        self, images: tf.Tensor, labels: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns bits per dimension, the bound and its parts, float32 `[B]`.

        Args:
            images: uint8 `[B, H, W, 3]`.
            labels: with a class-conditional prior, int32 `[1]` or `[B]`.
        """
        images = self.images(images)
        context = self._context(labels, tf.shape(images)[0])
        return as_score(self.generator.bits_per_dim(images, context))

    def _finest(self):
        """Returns the prior's finest grid, and its factor."""
        grid = self.prior.event_shape
        if isinstance(grid, dict):  # by level
            grid = list(grid.values())[-1]
        return grid, min(self.factors().values())

    def _context(self, labels, count):
        """Returns the prior's context for int32 labels `[1]` or `[count]`."""
        if labels is None:
            return None
        words, size = ("label", "pictures"), self.num_classes
        labels = self.one_or_each("labels", labels, count, size, words)
        return {"global": tf.one_hot(labels, size)}
