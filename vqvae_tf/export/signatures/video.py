"""The signatures of exported models of video."""

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
from vqvae_tf.utils.tensor_checks import checked


class VideoEndpoints(Endpoints):
    """The signatures of a model of video.

    Below, B clips of T frames of H x W pixels have codes on grids of h x w,
    with a last axis G for G > 1 codebooks. All sizes are free.

    Args:
        generator: a `VideoGenerator`, built and in float32.
        bounds: the limits of a request, by default `Bounds()`.
    """

    def __init__(
        self, generator: keras.Model, bounds: Bounds | None = None
    ) -> None:
        super().__init__(generator, bounds)
        network = self.prior.network
        self.num_past, self.num_actions = network.num_past, network.num_actions
        self._has_actions = bool(network.num_actions or network.action_size)
        # The shape and dtype of one action.
        self._action, dtype = [], tf.int32
        if network.action_size:
            self._action, dtype = [network.action_size], tf.float32
        frames = ([None, None, None, None, self.channels], tf.uint8)
        self.specs |= {
            "frames": frames,
            "codes": ([None, None, None, None, *self.groups], tf.int32),
            "context_frames": frames,
            "actions": ([None, None, *self._action], dtype),
            "num_frames": ([], tf.int32),
        }

    def functions(self) -> dict:
        sampling = ["temperature", "seed"]
        functions = {
            "encode": (self.encode, ["frames"]),
            "decode": (self.decode, ["codes"]),
            "continue": (
                self.go_on,
                ["context_frames", "num_frames", *sampling],
            ),
        }
        if self._has_actions:
            names = ["context_frames", "actions", *sampling]
            functions["rollout"] = (self.rollout, names)
        return functions

    def example_values(self) -> dict:
        sizes = self.example_sizes()
        grid = [size // self.factor for size in sizes]
        clip = np.zeros([1, self.num_past, *sizes, self.channels], np.uint8)
        dtype = self.specs["actions"][1].as_numpy_dtype
        return {
            **super().example_values(),
            "frames": clip[:, :1],
            "codes": np.zeros([1, 1, *grid, *self.groups], np.int32),
            "context_frames": clip,
            "actions": np.zeros([1, 1, *self._action], dtype),
            "num_frames": np.int32(1),
        }

    # Signatures ---------------------------------------------------------------

    def encode(self, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `codes`, int32 `[B, T, h, w]`, of uint8 `[B, T, H, W, 3]`."""
        frames = self.checked_pixels("frames", frames, "frame")
        return {"codes": self.generator.encode(frames)}

    def decode(self, codes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `frames`, uint8 `[B, T, H, W, 3]`, of `[B, T, h, w]`."""
        codes = self.checked_codes("codes", codes, self.quantizer)
        return {"frames": tf.cast(self.generator.decode(codes), tf.uint8)}

    def rollout(
        self,
        context_frames: tf.Tensor,
        actions: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns `frames`, uint8 `[B, N, H, W, 3]`, after each action.

        Args:
            context_frames: uint8 `[B, T, H, W, 3]`, of which the last
                `num_past` are used.
            actions: int32 `[B, N]`, or float32 `[B, N, size]`.
            temperature: float32 scalar of the prior, at least 0.
            seed: int32 scalar.
        """
        frames = self._context_frames(context_frames)
        actions = self._actions(actions, tf.shape(frames)[0])
        count = tf.shape(actions)[1]
        actions = checked(actions, *self._drawn_within(frames, count))
        return self._roll(frames, temperature, seed, actions=actions)

    def go_on(
        self,
        context_frames: tf.Tensor,
        num_frames: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Returns `frames`, uint8 `[B, num_frames, H, W, 3]`.

        Args:
            context_frames, temperature, seed: same as for `rollout`.
            num_frames: int32 scalar, at least 1.
        """
        frames = self._context_frames(context_frames)
        num_frames = at_least(1, "num_frames", num_frames)
        num_frames = checked(
            num_frames, *self._drawn_within(frames, num_frames)
        )
        return self._roll(frames, temperature, seed, num_frames=num_frames)

    def _roll(self, frames, temperature, seed, **options):
        drawing = self.drawing(temperature, seed)
        frames = self.generator.rollout(frames, **drawing, **options)
        return {"frames": tf.cast(frames, tf.uint8)}

    # Inputs -------------------------------------------------------------------

    def _context_frames(self, frames):
        frames = self.checked_pixels("context_frames", frames, "frame")
        shape = tf.shape(frames)
        return checked(
            frames,
            (
                shape[1] >= self.num_past,
                f"Expected at least {self.num_past} frames to go on from. "
                "Received: context_frames of shape",
                shape,
            ),
        )

    def _drawn_within(self, frames, count):
        """Returns the checks that `count` frames per clip may be drawn."""
        shape = tf.shape(frames)
        drawn = product([shape[0], count])
        pixels = drawn * product(shape[2:4])
        return (
            self.within("max_samples", drawn, "samples"),
            self.within("max_pixels", pixels, "pixels"),
        )

    def _actions(self, actions, clips):
        """Returns actions, checked to be valid, with one row per clip."""
        actions = self.checked_shape("actions", actions)
        shape = tf.shape(actions)
        return checked(
            actions,
            (
                shape[0] == clips,
                "Expected a row of actions for each clip. Received: the "
                "numbers of rows and of clips",
                tf.stack([shape[0], clips]),
            ),
            (
                shape[1] > 0,
                "Expected at least one action, which leads to a frame. "
                "Received: actions of shape",
                shape,
            ),
            *self._action_checks(actions),
        )

    def _action_checks(self, actions):
        if self.num_actions:
            return range_checks("actions", actions, self.num_actions)
        return [finite_check("actions", actions)]
