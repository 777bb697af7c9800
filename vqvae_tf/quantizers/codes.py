"""Codes of positions: their shapes, their checks, and what they stand for."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers.positions import of_shape
from vqvae_tf.utils import tensor_checks

# Stands for the code of a position that was masked, or of a stage that was
# dropped. It is decoded to zeros.
NO_CODE = -1


class Codes:
    """The codes of a quantizer, and their latents: a base of `Quantizer`.

    Attributes:
        num_embeddings: K.
        num_codebooks: G.
        num_codes: how many codes each codebook has, G ints of at most K.
        channels: the size of the latents' last axis.
    """

    num_embeddings: int
    num_codebooks: int
    num_codes: tuple[int, ...]
    channels: int

    @property
    def bits_per_position(self) -> float:
        """Bits of the codes of a position, if all are equally probable."""
        # Rounded once, as G * log2 K is.
        return math.fsum(map(math.log2, self.num_codes))

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
        return check_range(codes, self.num_codes)

    def decode(
        self, codes: tf.Tensor | np.ndarray | keras.KerasTensor
    ) -> tf.Tensor:
        """Returns the quantized latents of codes.

        Args:
            codes: integers `[batch, ...]`, with a last axis G where G > 1, or
                a symbolic tensor (of `keras.Input`).

        Returns:
            float32 `[batch, ..., channels]`; zeros where a code is -1, which
            stands for none.

        Raises:
            ValueError: in eager mode, if another code is not one of its
                codebook, in 0..K-1. Graphs raise an `InvalidArgumentError`
                when they run; under XLA, codes are clamped instead.
        """
        self._ensure_built()
        if isinstance(codes, keras.KerasTensor):
            return self(codes, only="embeddings")
        codes = self.check_codes(codes)
        if self.num_codebooks == 1:
            codes = tf.expand_dims(codes, -1)
        rows = tf.transpose(tf.reshape(codes, [-1, self.num_codebooks]))
        quantized = self.vectors(rows)
        shape = tf.concat([tf.shape(codes)[:-1], [self.channels]], axis=0)
        quantized = tf.reshape(quantized, shape)
        return of_shape(quantized, codes.shape[:-1] + (self.channels,))

    # Whether a code of -1 leaves out its codebook, not the whole position.
    leaves_out_codes = False

    def vectors(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns the latents `[N, channels]` of codes, int32 `[G, N]`.

        They are zeros where one of the codes is -1.
        """
        found = self.from_search_space(self.look_up(tf.maximum(codes, 0)))
        found = tf.reshape(found, [-1, self.channels])
        present = tf.reduce_all(codes != NO_CODE, axis=0)
        return tf.where(present[:, tf.newaxis], found, 0.0)

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


def check_range(codes: tf.Tensor, num_codes: Sequence[int]) -> tf.Tensor:
    """Returns int32 codes, checked to be in 0..K-1 or `NO_CODE`.

    Args:
        codes: integers `[..., G]`, or of any shape if all codebooks have
            equally many codes.
        num_codes: how many codes each codebook has.

    Raises:
        ValueError: for other values; graphs raise as
            `tensor_checks.whole_numbers` does.
    """
    if codes.dtype.is_unsigned:  # a cast could make the largest uint64 a -1
        return tensor_checks.whole_numbers(codes, num_codes)
    present = tf.not_equal(codes, NO_CODE)
    known = tf.where(present, codes, tf.zeros_like(codes))
    known = tensor_checks.whole_numbers(known, num_codes)
    return tf.where(present, known, NO_CODE)


def without_masked(codes: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Returns codes `[G, N]`, with `NO_CODE` where the weight `[N]` is 0."""
    if weights is None:
        return codes
    return tf.where(weights > 0, codes, NO_CODE)
