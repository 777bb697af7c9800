"""Factorised likelihoods of pixels: what a decoder's outputs mean.

Each is the distribution of one value given the outputs of a network, and all
of them give probability *masses* of the values 0..255 as stored, so that
their bits per dimension can be compared. The discrete distributions are those
of tensorflow_probability, which is imported on first use (it is slow to
import); the masses in bins are our own, and tests compare them with its.

Pixels x in 0..255 stand at `x / 127.5 - 1` in network units: an output of -1
is black.
"""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.logistic_bins import log_mixture_mass
from vqvae_tf.densities.normal_bins import log_bin_mass
from vqvae_tf.runtime import random
from vqvae_tf.utils import checks
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.tensor_checks import (
    check_levels,
    temperature as checked_temperature,
)

_LARGEST_LOG = 60.0


@functools.cache
def _tfd():
    from tensorflow_probability import distributions

    return distributions


def _to_pixels(outputs):
    return (outputs + 1.0) * 127.5


def _check_scale(name, value):
    number = checks.check_not_negative(name, value)
    if number == 0:
        raise ValueError(f"{name} must be above 0. Received: {value!r}.")
    return value


def _exp(x):
    """`tf.exp` that is never infinite: no value has a probability then."""
    return tf.exp(tf.minimum(x, _LARGEST_LOG))


def _round_pixels(x):
    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)


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
        """`[..., C * P]` to `[..., C, P]`."""
        each = self.num_parameters(1)
        channels = self.num_channels(parameters.shape[-1])
        shape = tf.concat([tf.shape(parameters)[:-1], [channels, each]], 0)
        return tf.reshape(tf.cast(parameters, tf.float32), shape)

    def log_prob(self, parameters, value):
        """Returns the log mass of each entry of value, float32, in nats.

        Raises:
            ValueError: for values that are no levels, whole numbers in
                0..255, which have no mass. Only of what is known: in a graph
                nothing is looked at, and results mean nothing for them. Bytes
                always are levels.
        """
        raise NotImplementedError

    def sample(self, parameters, seed, temperature=1.0):
        """Draws values, uint8; temperature scales the spread, 0 is `mode`."""
        raise NotImplementedError

    def mode(self, parameters):
        """Returns the most likely values (the mean where symmetric), uint8."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("vqvae_tf")
class Categorical(Likelihood):
    """A softmax over the 256 values of each pixel and channel.

    The decoder of the paper's CIFAR-10 figures (authors' mail, quoted in
    Sonnet issue 131).

    Example:

    >>> likelihood = Categorical()
    >>> likelihood.num_parameters(3)
    768
    """

    def __init__(self, num_values=256, **kwargs):
        super().__init__(**kwargs)
        self.num_values = check_positive("num_values", num_values)

    def num_parameters(self, channels):
        return channels * self.num_values

    def log_prob(self, parameters, value):
        check_levels(value, self.num_values)
        categorical = _tfd().Categorical(logits=self._split(parameters))
        return categorical.log_prob(tf.cast(value, tf.int32))

    def sample(self, parameters, seed, temperature=1.0):
        temperature = checked_temperature(temperature)
        draw = random.categorical(self._split(parameters), seed, temperature)
        return tf.cast(draw, self._dtype_of_values)

    def mode(self, parameters):
        most_probable = tf.argmax(self._split(parameters), -1)
        return tf.cast(most_probable, self._dtype_of_values)

    @property
    def num_levels(self):
        return self.num_values

    @property
    def _dtype_of_values(self):
        return tf.uint8 if self.num_values <= 256 else tf.int32

    def get_config(self):
        return {**super().get_config(), "num_values": self.num_values}


class _LocationScale(Likelihood):
    """A mean for each value, and a scale that is fixed, learned or predicted.

    Args:
        scale: "learned" (one number for the data set, trained), "predicted"
            (an output of the network for each value), or a float (fixed, in
            pixel levels).
        initial_scale: where a learned or predicted scale starts, in pixel
            levels 0..255.
        min_scale: in pixel levels; keeps a scale from collapsing.
    """

    def __init__(
        self, scale="learned", initial_scale=25.0, min_scale=0.1, **kwargs
    ):
        super().__init__(**kwargs)
        if isinstance(scale, str):
            valid = scale in ("learned", "predicted")
        else:
            found = checks.number(scale)
            valid = found is not None and 0 < found < math.inf
            scale = found if valid else scale
        if not valid:
            raise ValueError(
                'scale must be "learned", "predicted" or a positive number of '
                f"pixel levels. Received: scale={scale!r}."
            )
        self.scale = scale
        self.initial_scale = _check_scale("initial_scale", initial_scale)
        self.min_scale = _check_scale("min_scale", min_scale)

    def build(self, input_shape=None):
        if self.scale == "learned":
            self.log_scale = self.add_weight(
                name="log_scale",
                shape=(),
                initializer=keras.initializers.Constant(
                    math.log(self.initial_scale)
                ),
                autocast=False,
            )
        self.built = True

    def num_parameters(self, channels):
        return channels * (2 if self.scale == "predicted" else 1)

    def location_and_scale(self, parameters):
        """Returns mean and scale, both in pixel levels."""
        p = self._split(parameters)
        location = _to_pixels(p[..., 0])
        if self.scale == "predicted":
            scale = self.initial_scale * _exp(p[..., 1])
        elif self.scale == "learned":
            scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        else:
            scale = tf.constant(self.scale, tf.float32)
        return location, tf.maximum(scale, self.min_scale)

    def mode(self, parameters):
        return _round_pixels(self.location_and_scale(parameters)[0])

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "initial_scale": self.initial_scale,
            "min_scale": self.min_scale,
        }


@keras.saving.register_keras_serializable("vqvae_tf")
class Gaussian(_LocationScale):
    """A Gaussian, integrated over each pixel level's bin.

    With a learned scale the loss is, up to a constant, half the logarithm of
    the mean squared error once the scale has settled.

    Args:
        scale: "learned", "predicted", or a fixed standard deviation in pixel
            levels.
        initial_scale, min_scale: in pixel levels.

    Example:

    >>> Gaussian(scale="predicted").num_parameters(3)
    6
    """

    def log_prob(self, parameters, value):
        check_levels(value)
        location, scale = self.location_and_scale(parameters)
        return log_bin_mass(tf.cast(value, tf.float32), location, scale)

    def sample(self, parameters, seed, temperature=1.0):
        temperature = checked_temperature(temperature)
        location, scale = self.location_and_scale(parameters)
        noise = random.normal(tf.shape(location), seed)
        return _round_pixels(location + temperature * scale * noise)


@keras.saving.register_keras_serializable("vqvae_tf")
class DiscretizedLogistic(_LocationScale):
    """A logistic distribution, integrated over each pixel level's bin.

    Args:
        scale: "learned", "predicted", or a fixed scale in pixel levels.
        initial_scale, min_scale: in pixel levels.

    Example: all mass lies on the levels 0 to 255.

    >>> likelihood = DiscretizedLogistic(scale=20.0)
    >>> levels = tf.reshape(tf.range(256), [1, 256, 1, 1])
    >>> log_mass = likelihood.log_prob(tf.zeros([1, 256, 1, 1]), levels)
    >>> round(float(tf.reduce_sum(tf.exp(log_mass))), 4)
    1.0

    References:
        Kingma et al. 2016, arXiv:1606.04934; Salimans et al. 2017,
        arXiv:1701.05517, eq. 2.
    """

    def __init__(self, scale="predicted", **kwargs):
        super().__init__(scale=scale, **kwargs)

    def log_prob(self, parameters, value):
        check_levels(value)
        location, scale = self.location_and_scale(parameters)
        shape = tf.shape(location)
        value = tf.broadcast_to(tf.cast(value, tf.float32), shape)
        # The gradient of broadcast_to has no static shape, as TPUs need.
        scale += tf.zeros_like(location)
        # A mixture of one.
        mean, scale = (tf.reshape(t, [1, -1]) for t in (location, scale))
        mass = log_mixture_mass(
            tf.reshape(value, [-1]), tf.zeros_like(mean), mean, scale
        )
        return tf.reshape(mass, shape)

    def sample(self, parameters, seed, temperature=1.0):
        temperature = checked_temperature(temperature)
        location, scale = self.location_and_scale(parameters)
        noise = random.logistic(tf.shape(location), seed)
        return _round_pixels(location + temperature * scale * noise)


@keras.saving.register_keras_serializable("vqvae_tf")
class DiscretizedLogisticMixture(Likelihood):
    """A mixture of discretised logistics for each pixel and channel.

    Channels are independent given the parameters (PixelCNN++ makes them
    autoregressive; a factorised decoder may not).

    Args:
        num_components: of the mixture.
        min_scale: in pixel levels.

    Example:

    >>> DiscretizedLogisticMixture(num_components=5).num_parameters(3)
    45

    References:
        Salimans et al. 2017, arXiv:1701.05517, eq. 1-2.
    """

    def __init__(
        self, num_components=5, initial_scale=25.0, min_scale=0.1, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_components = check_positive("num_components", num_components)
        self.initial_scale = _check_scale("initial_scale", initial_scale)
        self.min_scale = _check_scale("min_scale", min_scale)

    def num_parameters(self, channels):
        return channels * 3 * self.num_components

    def components(self, parameters):
        """Returns logits, means and scales, each `[..., channels, M]`."""
        outputs = self._split(parameters)
        return self._components(tf.split(outputs, 3, axis=-1), self._spread())

    def _components(self, outputs, spread):
        logits, mean, scale = outputs
        scale = tf.maximum(self.initial_scale * _exp(scale), self.min_scale)
        return logits, _to_pixels(mean + spread), scale

    def _spread(self):
        """Where components start, apart, or they would be trained alike."""
        if self.num_components == 1:
            return np.zeros([1], np.float32)
        return np.linspace(-0.6, 0.6, self.num_components, dtype=np.float32)

    def log_prob(self, parameters, value):
        check_levels(value)
        outputs = self._split(parameters)
        shape = tf.shape(outputs)[:-1]
        value = tf.broadcast_to(tf.cast(value, tf.float32), shape)
        first = tf.transpose(tf.reshape(outputs, [-1, outputs.shape[-1]]))
        components = self._components(
            tf.split(first, 3), self._spread()[:, np.newaxis]
        )
        mass = log_mixture_mass(tf.reshape(value, [-1]), *components)
        return tf.reshape(mass, shape)

    def sample(self, parameters, seed, temperature=1.0):
        temperature = checked_temperature(temperature)
        logits, mean, scale = self.components(parameters)
        pick = random.categorical(logits, random.fold_in(seed, 0), temperature)
        rank = len(logits.shape) - 1
        mean = tf.gather(mean, pick, batch_dims=rank)
        scale = tf.gather(scale, pick, batch_dims=rank)
        noise = random.logistic(tf.shape(mean), random.fold_in(seed, 1))
        draw = _round_pixels(mean + temperature * scale * noise)
        hot = tf.cast(temperature, tf.float32) > 0
        return tf.where(hot, draw, self.mode(parameters))

    def mode(self, parameters):
        """Returns the mixture's mean, the least-squares point estimate."""
        logits, mean, _ = self.components(parameters)
        # Of a matrix, since TensorFlow's softmax ends at five axes.
        weights = tf.nn.softmax(tf.reshape(logits, [-1, self.num_components]))
        weights = tf.reshape(weights, tf.shape(logits))
        return _round_pixels(tf.reduce_sum(weights * mean, axis=-1))

    def get_config(self):
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "initial_scale": self.initial_scale,
            "min_scale": self.min_scale,
        }


@keras.saving.register_keras_serializable("vqvae_tf")
class Bernoulli(Likelihood):
    """Black or white pixels: stored values of 128 and more count as white.

    For binary data such as binarised MNIST. `sample` and `mode` give 0 or
    255. Parameters are the logits of white.

    Example:

    >>> likelihood = Bernoulli()
    >>> likelihood.mode(tf.constant([[[[-1.0], [2.0]]]]))[0, 0, :, 0].numpy()
    array([  0, 255], dtype=uint8)

    References:
        Kingma and Welling 2013, arXiv:1312.6114, appendix C.1.
    """

    def num_parameters(self, channels):
        return channels

    def log_prob(self, parameters, value):
        check_levels(value)
        white = tf.cast(tf.cast(value, tf.float32) >= 128.0, tf.float32)
        logits = self._split(parameters)[..., 0]
        return _tfd().Bernoulli(logits=logits).log_prob(white)

    def sample(self, parameters, seed, temperature=1.0):
        temperature = checked_temperature(temperature)
        logits = self._split(parameters)[..., 0]
        noise = random.logistic(tf.shape(logits), seed)
        white = logits + temperature * noise > 0
        return tf.cast(tf.where(white, 255, 0), tf.uint8)

    def mode(self, parameters):
        return tf.cast(
            tf.where(self._split(parameters)[..., 0] > 0, 255, 0), tf.uint8
        )
