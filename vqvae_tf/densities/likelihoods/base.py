"""The interface of likelihoods, and shared helpers."""

from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils import checks

_LARGEST_LOG = 60.0


class Likelihood(Configured):
    """p(x | outputs of a network), independent over pixels and channels.

    Subclasses implement `num_parameters`, `log_prob`, `sample` and `mode`.
    Parameters are float32 `[batch, *sizes, num_parameters(channels)]`, values
    `[batch, *sizes, channels]`.
    """

    # Values are 0..num_levels-1.
    num_levels = 256

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, "dtype": "float32", **kwargs})

    def num_parameters(self, channels: int) -> int:
        """Returns the number of network outputs needed for these channels."""
        raise NotImplementedError

    def num_channels(self, parameters: int) -> int:
        """The inverse of `num_parameters`.

        Raises:
            ValueError: if no number of channels needs so many outputs.
        """
        each = self.num_parameters(1)
        if parameters % each:
            raise ValueError(
                f"{type(self).__name__} needs {each} network outputs for each "
                f"channel of the data. Received: {parameters} outputs. Set "
                f"the network's output_channels to {each} * channels."
            )
        return parameters // each

    def _split(self, parameters):
        """Reshapes `[..., C * P]` to `[..., C, P]`, float32."""
        each = self.num_parameters(1)
        channels = self.num_channels(parameters.shape[-1])
        shape = tf.concat([tf.shape(parameters)[:-1], [channels, each]], 0)
        return tf.reshape(tf.cast(parameters, tf.float32), shape)

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        """Returns the log mass of each entry of value, float32, in nats.

        Raises:
            ValueError: unless values are whole numbers in 0..255. Graphs do
                not check them, and return meaningless results for others.
        """
        raise NotImplementedError

    def sample(
        self,
        parameters: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Draws values, uint8; temperature scales the spread, 0 is `mode`."""
        raise NotImplementedError

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the most likely values (the mean where symmetric), uint8."""
        raise NotImplementedError


def to_pixels(outputs: tf.Tensor) -> tf.Tensor:
    """Converts network units to pixel levels."""
    return (outputs + 1.0) * 127.5


def round_pixels(x: tf.Tensor) -> tf.Tensor:
    """Rounds and clips pixel levels to uint8."""
    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)


def bounded_exp(x: tf.Tensor) -> tf.Tensor:
    """`tf.exp`, but finite: with an infinite scale no value has any mass."""
    return tf.exp(tf.minimum(x, _LARGEST_LOG))


def check_scale(name: str, value: float) -> float:
    """Returns a scale; raises ValueError unless it is above 0."""
    number = checks.check_not_negative(name, value)
    if number == 0:
        raise ValueError(f"{name} must be above 0. Received: {value!r}.")
    return value
