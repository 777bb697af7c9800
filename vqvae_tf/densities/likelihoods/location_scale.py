"""Location-scale likelihoods, integrated over each level's bin."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.likelihoods.base import (
    Likelihood,
    bounded_exp,
    check_scale,
    round_pixels,
    to_pixels,
)
from vqvae_tf.densities.logistic_bins import log_mixture_mass
from vqvae_tf.densities.normal_bins import log_bin_mass
from vqvae_tf.runtime import random
from vqvae_tf.utils import checks, tensor_checks


class LocationScale(Likelihood):
    """A mean for each value, and a scale that is fixed, learned or predicted.

    Args:
        scale: "learned" (one trained number for the data set), "predicted"
            (an output of the network for each value), or a float (fixed, in
            pixel levels).
        initial_scale: initial value of a learned or predicted scale, in pixel
            levels 0..255.
        min_scale: in pixel levels; keeps the scale from collapsing.

    Subclasses set `_noise(shape, seed)`, which samples with location 0 and
    scale 1, and implement `log_prob`.
    """

    def __init__(
        self,
        scale: str | float = "learned",
        initial_scale: float = 25.0,
        min_scale: float = 0.1,
        **kwargs: Any,
    ) -> None:
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
        self.initial_scale = check_scale("initial_scale", initial_scale)
        self.min_scale = check_scale("min_scale", min_scale)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
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

    def num_parameters(self, channels: int) -> int:
        return channels * (2 if self.scale == "predicted" else 1)

    def location_and_scale(
        self, parameters: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and scale, both in pixel levels."""
        p = self._split(parameters)
        location = to_pixels(p[..., 0])
        if self.scale == "predicted":
            scale = self.initial_scale * bounded_exp(p[..., 1])
        elif self.scale == "learned":
            scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        else:
            scale = tf.constant(self.scale, tf.float32)
        return location, tf.maximum(scale, self.min_scale)

    def sample(
        self,
        parameters: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        temperature = tensor_checks.temperature(temperature)
        location, scale = self.location_and_scale(parameters)
        noise = self._noise(tf.shape(location), seed)
        return round_pixels(location + temperature * scale * noise)

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        return round_pixels(self.location_and_scale(parameters)[0])


@keras.saving.register_keras_serializable("vqvae_tf")
class Gaussian(LocationScale):
    """A Gaussian, integrated over each pixel level's bin.

    With a learned scale that has converged, the loss is half the logarithm of
    the mean squared error, up to a constant.

    Args:
        scale: "learned", "predicted", or a fixed standard deviation in pixel
            levels.
        initial_scale, min_scale: in pixel levels.

    Example:

    >>> Gaussian(scale="predicted").num_parameters(3)
    6
    """

    _noise = staticmethod(random.normal)

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        tensor_checks.check_levels(value)
        location, scale = self.location_and_scale(parameters)
        return log_bin_mass(tf.cast(value, tf.float32), location, scale)


@keras.saving.register_keras_serializable("vqvae_tf")
class DiscretizedLogistic(LocationScale):
    """A logistic distribution, integrated over each pixel level's bin.

    Args:
        scale: "learned", "predicted", or a fixed scale in pixel levels.
        initial_scale, min_scale: in pixel levels.

    Example: the masses of levels 0 to 255 sum to 1.

    >>> likelihood = DiscretizedLogistic(scale=20.0)
    >>> levels = tf.reshape(tf.range(256), [1, 256, 1, 1])
    >>> log_mass = likelihood.log_prob(tf.zeros([1, 256, 1, 1]), levels)
    >>> round(float(tf.reduce_sum(tf.exp(log_mass))), 4)
    1.0

    References:
        Kingma et al. 2016, arXiv:1606.04934; Salimans et al. 2017,
        arXiv:1701.05517, eq. 2.
    """

    _noise = staticmethod(random.logistic)

    def __init__(self, scale: str | float = "predicted", **kwargs: Any) -> None:
        super().__init__(scale=scale, **kwargs)

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        tensor_checks.check_levels(value)
        location, scale = self.location_and_scale(parameters)
        shape = tf.shape(location)
        value = tf.broadcast_to(tf.cast(value, tf.float32), shape)
        # Not broadcast_to, whose gradient lacks the static shape TPUs need.
        scale += tf.zeros_like(location)
        # A mixture of one.
        mean, scale = (tf.reshape(t, [1, -1]) for t in (location, scale))
        mass = log_mixture_mass(
            tf.reshape(value, [-1]), tf.zeros_like(mean), mean, scale
        )
        return tf.reshape(mass, shape)
