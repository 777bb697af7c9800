"""The signatures of exported models of sequences."""

import math

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.base import (
    Endpoints,
    at_least,
    finite_check,
    range_checks,
)
from vqvae_tf.export.signatures.bounds import Bounds, product
from vqvae_tf.models.sequence_model import SequenceModel, repeated
from vqvae_tf.runtime import random
from vqvae_tf.utils.tensor_checks import checked

# No limit is above this; larger counts might not fit in int64.
_HUGE = 2**62


class SequenceEndpoints(Endpoints):
    """The signatures of a model of sequences.

    Below, B sequences have T frames of the model's event shape: uint8 pixels,
    int32 codes or float32 numbers. B, T and the number of times are free.

    Args:
        generator: a `TDVAE`, or another `SequenceModel`; built, and in
            float32.
        bounds: the limits of a request, by default `Bounds()`. Where frames
            are no pictures, each of their values counts as a pixel.

    Example:

    >>> model = vqvae_tf.models.TDVAE(
    ...     keras.layers.Dense(4, "tanh"),
    ...     keras.layers.GRU(8, return_sequences=True),
    ...     vqvae_tf.densities.LayeredGaussian((1,), global_channels=16),
    ...     preprocess=keras.layers.Identity(),
    ...     event_shape=(1,),
    ... )
    >>> model.build()
    >>> sorted(SequenceEndpoints(model).functions())
    ['belief', 'rollout']
    """

    default = "belief"

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        super().__init__(generator, bounds)
        self._dtype = generator.frame_dtype
        self._event = generator.event_shape
        pictures = self._dtype == tf.uint8
        self._noun = "pixels" if pictures else "values"
        counted = self._event[:-1] if pictures else self._event
        self._per_frame = math.prod(counted)
        self.specs |= {
            "frames": ([None, None, *self._event], self._dtype),
            "times": ([None], tf.int32),
            "num_futures": ([], tf.int32),
        }

    @property
    def model(self) -> SequenceModel:
        """The model of frames, or of their codes."""
        return self.generator

    @property
    def channels(self) -> int:
        return super().channels if self._dtype == tf.uint8 else 1

    def functions(self) -> dict:
        drawn = ["times", "num_futures", "temperature", "seed"]
        return {
            "belief": (self.belief, ["frames"]),
            "rollout": (self.rollout, ["frames", *drawn]),
        }

    def example_values(self) -> dict:
        first, _ = self.model.jumps or (1, None)
        dtype = self._dtype.as_numpy_dtype
        return {
            **super().example_values(),
            "frames": np.zeros([1, 1, *self._event], dtype),
            "times": np.array([first], np.int32),
            "num_futures": np.int32(1),
        }

    # Signatures ---------------------------------------------------------------

    def belief(self, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `belief`, float32 `[B, T, belief_size]`, after each frame."""
        return {"belief": self.generator.belief(self._frames(frames))}

    def rollout(
        self,
        frames: tf.Tensor,
        times: tf.Tensor,
        num_futures: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns `frames` at later times, `[B * num_futures, n, *event]`.

        Args:
            frames: the past, `[B, T, *event]`.
            times: int32 `[n]`, increasing from 1 on: 1 is the frame after the
                last given one.
            num_futures: int32 scalar, continuations of each sequence, at least
                1; those of a sequence are consecutive.
            temperature: float32 scalar, at least 0; scales the spread of what
                is drawn.
            seed: int32 scalar.
        """
        frames = self._frames(frames)
        num_futures = at_least(1, "num_futures", num_futures)
        gaps = self._drawn_within(frames, num_futures, self._gaps(times))
        drawing = self.drawing(temperature, seed)
        # Like SequenceModel.rollout, which takes a list of times.
        seed = random.make_seed(drawing.pop("seed"))
        present = repeated(self.present(frames), num_futures)
        drawn = self.model.ahead(present, gaps, seed, **drawing)
        return {
            "frames": self.shown(self.model.decoded(drawn, seed, **drawing))
        }

    def present(self, frames: tf.Tensor) -> tf.Tensor:
        """Returns what the model's futures start from."""
        return self.model.present(frames)

    def shown(self, drawn: tf.Tensor) -> tf.Tensor:
        """Returns frames for what the model decoded."""
        return tf.cast(drawn, self._dtype)

    # Inputs -------------------------------------------------------------------

    def _frames(self, frames):
        frames = self.checked_shape("frames", frames)
        shape = tf.shape(frames)
        values = product(shape[:2]) * self._per_frame
        return checked(
            frames,
            self.within("max_batch", shape[0], "examples"),
            self.within("max_pixels", values, self._noun),
            (
                shape[:2] > 0,
                "Expected at least one sequence, and at least one frame. "
                "Received: frames of shape",
                shape,
            ),
            *self._value_checks(frames),
        )

    def _value_checks(self, frames):
        if self._dtype == tf.float32:
            return [finite_check("frames", frames)]
        if self._dtype == tf.int32:
            size = self.model.preprocess.num_embeddings
            return range_checks("frames", frames, size)
        return []

    def _gaps(self, times):
        """Returns gaps between times, checked to be some that can be drawn."""
        times = self.checked_shape("times", times)
        # In 64 bits, where differences do not wrap.
        wide = tf.cast(times, tf.int64)
        gaps = wide - tf.concat([[0], wide[:-1]], axis=0)
        received = "Received: times ="
        gaps = checked(
            gaps,
            (
                tf.size(times) > 0,
                "Expected at least one time. Received: times of shape",
                tf.shape(times),
            ),
            (gaps > 0, f"times must increase, from 1 on. {received}", times),
        )
        if self.model.jumps is not None:
            low, high = self.model.jumps
            message = (
                f"The model was trained to jump by {low} to {high} frames; add "
                "times in between, or leave some out. Received: jumps of"
            )
            gaps = checked(
                gaps, ((gaps >= low) & (gaps <= high), message, gaps)
            )
        return tf.cast(gaps, tf.int32)

    def _drawn_within(self, frames, num_futures, gaps):
        """Returns gaps, checked that so much may be drawn."""
        futures = product([tf.shape(frames)[0], num_futures])
        # A model that does not jump draws all frames on the way.
        steps, last = tf.size(gaps), tf.reduce_sum(tf.cast(gaps, tf.int64))
        drawn = _times(futures, last if self.model.jumps is None else steps)
        gaps = checked(gaps, self.within("max_samples", drawn, "samples"))
        values = _times(_times(futures, steps), self._per_frame)
        return checked(gaps, self.within("max_pixels", values, self._noun))


class CodedSequenceEndpoints(SequenceEndpoints):
    """The signatures of a model of sequences of codes, with its autoencoder.

    Below, B sequences have T frames of H x W pixels with codes on grids of
    h x w, with a last axis G for G > 1 codebooks. B, T and the number of times
    are free.

    Args:
        generator: a `CodedSequenceModel` of pictures; built, and in float32.
        bounds: the limits of a request, by default `Bounds()`.
    """

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        super().__init__(generator, bounds)
        self._grid = self.model.event_shape
        self.specs["codes"] = ([None, None, *self._grid], tf.int32)

    @property
    def model(self) -> SequenceModel:
        return self.generator.model

    def functions(self) -> dict:
        return {
            **super().functions(),
            "encode": (self.encode, ["frames"]),
            "decode": (self.decode, ["codes"]),
        }

    def example_values(self) -> dict:
        codes = np.zeros([1, 1, *self._grid], np.int32)
        return {**super().example_values(), "codes": codes}

    # Signatures ---------------------------------------------------------------

    def encode(self, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `codes`, int32 `[B, T, h, w]`, of uint8 `[B, T, H, W, 3]`."""
        return {"codes": self.generator.encode(self._frames(frames))}

    def decode(self, codes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `frames`, uint8 `[B, T, H, W, 3]`, of `[B, T, h, w]`."""
        codes = self.checked_codes("codes", codes, self.quantizer)
        return {"frames": self.shown(codes)}

    def present(self, frames: tf.Tensor) -> tf.Tensor:
        return self.model.present(self.generator.encode(frames))

    def shown(self, drawn: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.generator.decode(drawn), self._dtype)


def _times(number, factor):
    """Returns the product of two counts, int64, at most `_HUGE`."""
    number, factor = (tf.cast(n, tf.int64) for n in (number, factor))
    wraps = number > _HUGE // tf.maximum(factor, 1)
    return tf.where(wraps, tf.constant(_HUGE, tf.int64), number * factor)
