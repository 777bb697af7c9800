"""Codes of positions: their shapes, their checks, and where there is none."""

import math

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.utils import tensor_checks

# Stands for the code of a position that was masked, or of a stage that was
# dropped. It is decoded to zeros.
NO_CODE = -1


class Codes:
    """What the codes of a quantizer look like: a base of `Quantizer`.

    Attributes:
        num_embeddings: K.
        num_codebooks: G.
    """

    num_embeddings: int
    num_codebooks: int

    @property
    def bits_per_position(self) -> float:
        """Bits of the codes of a position, if all are equally probable."""
        return self.num_codebooks * math.log2(self.num_embeddings)

    def codes_shape(
        self, latents_shape: tf.TensorShape | tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the codes of latents `[batch, ..., channels]`.

        It is theirs without the channels, and with a last axis G where G > 1.
        """
        groups = self.num_codebooks
        return (*latents_shape[:-1], *((groups,) if groups > 1 else ()))

    def check_codes(self, codes: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns codes as int32, checked as by `decode`."""
        codes = tensor_checks.as_tensor("Codes", codes)
        self._check_code_type(codes.dtype.name, codes.shape)
        return check_range(codes, self.num_embeddings)

    def _check_code_type(self, dtype, shape):
        if not keras.backend.is_int_dtype(dtype):
            raise ValueError(
                f"Codes must be integers. Received: codes of dtype {dtype}. To "
                "quantize latents, call the layer."
            )
        groups = self.num_codebooks
        if groups > 1 and (not len(shape) or shape[-1] != groups):
            raise ValueError(
                f"With num_codebooks={groups}, the last axis of codes must "
                f"have {groups} entries. Received: codes of shape {shape}."
            )


def check_range(codes: tf.Tensor, num_embeddings: int) -> tf.Tensor:
    """Returns int32 codes, checked to be in 0..K-1 or `NO_CODE`.

    Raises:
        ValueError: for other values; graphs raise as
            `tensor_checks.whole_numbers` does.
    """
    if codes.dtype.is_unsigned:  # a cast could make the largest uint64 a -1
        return tensor_checks.whole_numbers(codes, num_embeddings)
    present = tf.not_equal(codes, NO_CODE)
    known = tf.where(present, codes, tf.zeros_like(codes))
    known = tensor_checks.whole_numbers(known, num_embeddings)
    return tf.where(present, known, NO_CODE)


def without_masked(codes: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Returns codes `[G, N]`, with `NO_CODE` where the weight `[N]` is 0."""
    if weights is None:
        return codes
    return tf.where(weights > 0, codes, NO_CODE)
