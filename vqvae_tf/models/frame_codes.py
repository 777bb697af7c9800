"""The base of models of videos by way of the codes of their frames."""

from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.models.time_axis import each
from vqvae_tf.runtime.step import StepModel
from vqvae_tf.utils import tensor_checks


class FrameCodes(StepModel):
    """A model of codes, with the `autoencoder` of frames that they come from.

    Subclasses set `autoencoder`, name their parts, and define `check_codes`.
    """

    def build(self, input_shape: Any = None) -> None:
        for name in self.parts:
            part = getattr(self, name)
            if not part.built:
                part.build()
        self.built = True

    def encode(self, frames: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the codes of frames.

        Args:
            frames: `[batch, time, height, width, channels]` in 0..255.

        Returns:
            int32 `[batch, time, *grid]`, with a last axis G for G > 1
            codebooks.
        """
        return each(self.autoencoder.encode, self.check_frames(frames))

    def decode(self, codes: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns frames uint8 for codes of the shape that `encode` returns."""
        codes = tensor_checks.as_tensor("Codes", codes)
        self.check_codes(codes)
        return each(self.autoencoder.decode, codes)

    def reconstruct(self, frames: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns `decode(encode(frames))`."""
        return self.decode(self.encode(frames))

    def check_codes(self, codes: tf.Tensor) -> None:
        """Raises ValueError unless codes are `[batch, time, *grid]`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement check_codes."
        )

    def check_frames(self, frames: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns frames as a tensor; raises ValueError for another shape."""
        frames = tensor_checks.as_tensor("frames", frames)
        expected = (None, None, *self.autoencoder.event_shape)
        if not frames.shape.is_compatible_with(expected):
            names = ", ".join(map(str, ("batch", "time", *expected[2:])))
            raise ValueError(
                f"Expected frames of shape [{names}] (None: any size). "
                f"Received: frames of shape {tuple(frames.shape)}."
            )
        return frames
