"""The interface of likelihoods, and what they compute alike."""

import keras
import tensorflow as tf

from vqvae_tf.utils import checks

_LARGEST_LOG = 60.0


class Likelihood(keras.layers.Layer):
    """p(x | outputs of a network), independent over pixels and channels.

    Subclasses implement `num_parameters`, `log_prob`, `sample` and `mode`.
    Parameters are float32 `[batch, *sizes, num_parameters(channels)]`, values
    `[batch, *sizes, channels]`.
    """

    # Values are 0..num_levels-1.
    num_levels = 256

    def __init__(self, **kwargs):
        super().__init__(**{"autocast": False, "dtype": "float32", **kwargs})

    def num_parameters(self, channels: int) -> int:
        """Returns how many outputs the network needs for so many channels."""
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

    def log_prob(self, parameters, value) -> tf.Tensor:
        """Returns the log mass of each entry of value, float32, in nats.

        Raises:
            ValueError: for values other than whole numbers in 0..255, which
                have no mass. Inside a graph values are not checked, and the
                result is meaningless for others.
        """
        raise NotImplementedError

    def sample(self, parameters, seed, temperature=1.0) -> tf.Tensor:
        """Draws values, uint8; temperature scales the spread, 0 is `mode`."""
        raise NotImplementedError

    def mode(self, parameters) -> tf.Tensor:
        """Returns the most likely values (the mean where symmetric), uint8."""
        raise NotImplementedError


def to_pixels(outputs):
    """Returns network units as pixel levels."""
    return (outputs + 1.0) * 127.5


def round_pixels(x):
    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)


def bounded_exp(x):
    """`tf.exp`, but never infinite: no value would have a probability then."""
    return tf.exp(tf.minimum(x, _LARGEST_LOG))


def check_scale(name, value):
    number = checks.check_not_negative(name, value)
    if number == 0:
        raise ValueError(f"{name} must be above 0. Received: {value!r}.")
    return value
