"""The signatures of exported models of pictures with two levels."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.base import as_images
from vqvae_tf.export.signatures.bounds import Bounds, product
from vqvae_tf.export.signatures.pictures import CodeEndpoints
from vqvae_tf.utils.tensor_checks import checked


class LevelEndpoints(CodeEndpoints):
    """The signatures of pictures, and of the global codes above them.

    The upper VQ-VAE was made for code maps of one size, so its signatures take
    pictures of one size.

    Args:
        generator: a `LatentGenerator` whose prior is one as well, with a
            `GlobalEncoder`; built, and in float32.
        bounds: the limits of a request, by default `Bounds()`.
        jit_sampling: whether XLA compiles `sample` where the model runs.
    """

    def __init__(
        self,
        generator: keras.Model,
        bounds: Bounds | None = None,
        jit_sampling: bool = False,
    ) -> None:
        super().__init__(generator, bounds, jit_sampling)
        self.above = self.prior.autoencoder
        self._sizes = [size * self.factor for size in self.above.event_shape]
        self._codebooks = self.above.quantizer.num_codebooks
        self.specs["global_codes"] = ([None, self._codebooks], tf.int32)

    def functions(self) -> dict:
        sampling = ["global_codes", "temperature", "seed"]
        return {
            **super().functions(),
            "encode_global": (self.encode_global, ["images"]),
            "decode_global": (self.decode_global, sampling),
        }

    def example_values(self) -> dict:
        return {
            **super().example_values(),
            "images": np.zeros([1, *self._sizes, self.channels], np.uint8),
            "global_codes": np.zeros([1, self._codebooks], np.int32),
        }

    # Signatures ---------------------------------------------------------------

    def encode_global(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `global_codes`, int32 `[B, G]`, of uint8 `[B, H, W, 3]`."""
        codes = self.autoencoder.encode(self._images_of_one_size(images))
        codes = self.above.encode(codes)
        return {"global_codes": tf.reshape(codes, [-1, self._codebooks])}

    def decode_global(
        self, global_codes: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns `images`, uint8 `[B, H, W, 3]`, of code maps drawn for codes.

        Args:
            global_codes: int32 `[B, G]`.
            temperature: float32 scalar of the decoder of code maps.
            seed: int32 scalar.
        """
        quantizer = self.above.quantizer
        codes = self.checked_codes(
            "global_codes", global_codes, quantizer, "row of global_codes"
        )
        count = tf.shape(codes)[0]
        codes = checked(
            codes,
            self.within("max_samples", count, "samples"),
            self.decoded_within(product([count, *self.above.event_shape])),
        )
        grid = codes[:, tf.newaxis, tf.newaxis]
        if self._codebooks == 1:
            grid = grid[..., 0]
        codes = self.above.decoder.sample(
            context={"local": quantizer.decode(grid)},
            **self.drawing(temperature, seed),
        )
        return as_images(self.autoencoder.decode(codes))

    def score(
        self, images: tf.Tensor, labels: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns bits per dimension; see `CodeEndpoints.score`."""
        return super().score(self._images_of_one_size(images), labels)

    def _images_of_one_size(self, images):
        why = (
            ", those of the code maps that the upper model was made for; crop "
            "or pad the pictures"
        )
        return self.images_of_size(self.images(images), self._sizes, why)
