"""A preset's encoder, which maps batches of pictures to codes."""

import os

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import presets
from vqvae_tf.encoding.picture_format import picture_format
from vqvae_tf.models import Autoencoder, LatentGenerator
from vqvae_tf.presets import identity as preset_identity
from vqvae_tf.runtime.precision import in_float32
from vqvae_tf.utils import code_levels


class CodeEncoder:
    """Encodes batches of pictures in float32.

    Args:
        preset: as for `presets.find_preset`; a `VQVAE` or
            `HierarchicalVQVAE`, or a model built on one: a `LatentGenerator`
            of one or two levels or a `VideoGenerator`.
        batch_size: rows of a batch. Smaller batches are padded, so that there
            is one graph, and a picture's codes do not depend on its batch.

    Attributes:
        form: the `PictureFormat` that it takes.
        identity: what identifies the preset.

    Raises:
        PresetError: there is no such preset, or it was altered.
        ValueError: its data are not pictures, or its latents are not codes.
    """

    def __init__(self, preset: str | os.PathLike, batch_size: int) -> None:
        self.batch_size = batch_size
        folder = presets.find_preset(preset)
        # By hash, so that everything is from the same files even if the preset
        # is replaced meanwhile.
        digest = presets.sha256(folder / presets.METADATA)
        metadata = presets.verify(folder, digest)
        model = presets.load(folder, sha256=digest)
        if isinstance(model, Autoencoder):
            raise ValueError(
                "Data sets are encoded as codes, but the latents of an "
                "Autoencoder are floats: encode a folder or an npz file of "
                f"pictures to a file OUT.npz. Received: the preset {preset}."
            )
        self.form = picture_format(model, metadata)
        self._model = in_float32(model.autoencoder)
        self._above = None
        if isinstance(model.prior, LatentGenerator):
            self._above = in_float32(model.prior.autoencoder)
        self.identity = preset_identity.describe(
            preset, digest, metadata, with_prior=self._above is not None
        )
        self.function = tf.function(self._encode, autograph=False)

    @property
    def quantizers(self) -> dict:
        """The quantizer of each kind of codes."""
        found = {
            code_levels.array_name(level): quantizer
            for level, quantizer in self._model.quantizers().items()
        }
        if self._above is not None:
            found["global_codes"] = self._above.quantizer
        return found

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the codes of uint8 `[rows, height, width, channels]`.

        Returns:
            `codes` `[rows, *grid]`, with a last axis G for G > 1 codebooks; of
            a `HierarchicalVQVAE` `codes_LEVEL` of each level; for a second
            model above the first also `global_codes` `[rows, G]`. The dtypes
            are those of `code_dtype`.
        """
        rows = len(images)
        if missing := self.batch_size - rows:
            images = np.concatenate([images, images[-1:].repeat(missing, 0)])
        found = self.function(tf.constant(images))
        return {name: codes.numpy()[:rows] for name, codes in found.items()}

    def shapes(self, image_shape: tuple[int, ...]) -> dict:
        """Returns the shape of each kind of codes for one picture."""
        spec = tf.TensorSpec([self.batch_size, *image_shape], tf.uint8)
        graph = self.function.get_concrete_function(spec)
        return {
            name: tuple(shape[1:])
            for name, shape in graph.output_shapes.items()
        }

    def _encode(self, images):
        codes = self._model.codes_of(images)
        found = code_levels.to_arrays(codes)
        if self._above is not None:
            above = self._above.codes_of(codes)
            if above.shape[1:-1] == (1, 1):
                above = tf.squeeze(above, [1, 2])
            found["global_codes"] = above
        return {
            name: tf.cast(value, code_dtype(self.quantizers[name]))
            for name, value in found.items()
        }


def code_dtype(quantizer: keras.layers.Layer) -> np.dtype:
    """Returns the smallest integer type for codes that tfds can read.

    Example:

    >>> import vqvae_tf
    >>> code_dtype(vqvae_tf.VectorQuantizer(512, 64))
    dtype('uint16')
    """
    # tfds cannot read uint32 from bytes.
    for dtype in (np.uint8, np.uint16):
        if quantizer.num_embeddings - 1 <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int32)
