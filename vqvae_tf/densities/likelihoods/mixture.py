"""A likelihood with several modes for each value."""

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
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class DiscretizedLogisticMixture(Likelihood):
    """A mixture of discretized logistics for each pixel and channel.

    Channels are independent given the parameters; in PixelCNN++ they are
    autoregressive, which a factorized decoder cannot be.

    Args:
        num_components: of the mixture.
        initial_scale: initial value of the scales, in pixel levels.
        min_scale: in pixel levels; keeps scales from collapsing.

    Example:

    >>> DiscretizedLogisticMixture(num_components=5).num_parameters(3)
    45

    References:
        Salimans et al. 2017, arXiv:1701.05517, eq. 1-2.
    """

    def __init__(
        self,
        num_components: int = 5,
        initial_scale: float = 25.0,
        min_scale: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_components = check_positive("num_components", num_components)
        self.initial_scale = check_scale("initial_scale", initial_scale)
        self.min_scale = check_scale("min_scale", min_scale)

    def num_parameters(self, channels: int) -> int:
        return channels * 3 * self.num_components

    def components(
        self, parameters: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns logits, means and scales, each `[..., channels, M]`."""
        outputs = self._split(parameters)
        return self._components(tf.split(outputs, 3, axis=-1), self._spread())

    def _components(self, outputs, spread):
        logits, mean, scale = outputs
        scale = tf.maximum(
            self.initial_scale * bounded_exp(scale), self.min_scale
        )
        return logits, to_pixels(mean + spread), scale

    def _spread(self):
        """Offsets of the means: identical components would stay identical."""
        if self.num_components == 1:
            return np.zeros([1], np.float32)
        return np.linspace(-0.6, 0.6, self.num_components, dtype=np.float32)

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        tensor_checks.check_levels(value)
        outputs = self._split(parameters)
        shape = tf.shape(outputs)[:-1]
        value = tf.broadcast_to(tf.cast(value, tf.float32), shape)
        first = tf.transpose(tf.reshape(outputs, [-1, outputs.shape[-1]]))
        components = self._components(
            tf.split(first, 3), self._spread()[:, np.newaxis]
        )
        mass = log_mixture_mass(tf.reshape(value, [-1]), *components)
        return tf.reshape(mass, shape)

    def sample(
        self,
        parameters: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        temperature = tensor_checks.temperature(temperature)
        logits, mean, scale = self.components(parameters)
        pick = random.categorical(logits, random.fold_in(seed, 0), temperature)
        rank = len(logits.shape) - 1
        mean = tf.gather(mean, pick, batch_dims=rank)
        scale = tf.gather(scale, pick, batch_dims=rank)
        noise = random.logistic(tf.shape(mean), random.fold_in(seed, 1))
        draw = round_pixels(mean + temperature * scale * noise)
        hot = tf.cast(temperature, tf.float32) > 0
        return tf.where(hot, draw, self.mode(parameters))

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the mixture's mean, the least-squares point estimate."""
        logits, mean, _ = self.components(parameters)
        # As a matrix, since TensorFlow's softmax takes at most five axes.
        weights = tf.nn.softmax(tf.reshape(logits, [-1, self.num_components]))
        weights = tf.reshape(weights, tf.shape(logits))
        return round_pixels(tf.reduce_sum(weights * mean, axis=-1))
