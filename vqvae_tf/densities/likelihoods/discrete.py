"""Likelihoods of unordered levels, and of black and white."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.likelihoods.base import Likelihood
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive


@functools.cache
def _tfd():
    from tensorflow_probability import distributions

    return distributions


@keras.saving.register_keras_serializable("vqvae_tf")
class Categorical(Likelihood):
    """A softmax over the 256 values of each pixel and channel.

    According to its authors, the paper's CIFAR-10 results have this decoder
    (quoted in Sonnet's issue 131).

    Args:
        num_values: K, values are 0..K-1. Samples are uint8 for up to 256
            values, else int32.

    Example:

    >>> likelihood = Categorical()
    >>> likelihood.num_parameters(3)
    768
    """

    def __init__(self, num_values: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_values = check_positive("num_values", num_values)

    def num_parameters(self, channels: int) -> int:
        return channels * self.num_values

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        tensor_checks.check_levels(value, self.num_values)
        categorical = _tfd().Categorical(logits=self._split(parameters))
        return categorical.log_prob(tf.cast(value, tf.int32))

    def sample(
        self,
        parameters: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        temperature = tensor_checks.temperature(temperature)
        draw = random.categorical(self._split(parameters), seed, temperature)
        return tf.cast(draw, self._dtype_of_values)

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        most_probable = tf.argmax(self._split(parameters), -1)
        return tf.cast(most_probable, self._dtype_of_values)

    @property
    def num_levels(self) -> int:
        return self.num_values

    @property
    def _dtype_of_values(self):
        return tf.uint8 if self.num_values <= 256 else tf.int32


@keras.saving.register_keras_serializable("vqvae_tf")
class Bernoulli(Likelihood):
    """Black or white pixels: stored values of 128 or more count as white.

    For binary data such as binarized MNIST. `sample` and `mode` return 0 or
    255. Parameters are the logits of white.

    Example:

    >>> likelihood = Bernoulli()
    >>> likelihood.mode(tf.constant([[[[-1.0], [2.0]]]]))[0, 0, :, 0].numpy()
    array([  0, 255], dtype=uint8)

    References:
        Kingma and Welling 2013, arXiv:1312.6114, appendix C.1.
    """

    def num_parameters(self, channels: int) -> int:
        return channels

    def log_prob(
        self, parameters: tf.Tensor, value: tf.Tensor | np.ndarray
    ) -> tf.Tensor:
        tensor_checks.check_levels(value)
        white = tf.cast(tf.cast(value, tf.float32) >= 128.0, tf.float32)
        logits = self._split(parameters)[..., 0]
        return _tfd().Bernoulli(logits=logits).log_prob(white)

    def sample(
        self,
        parameters: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        temperature = tensor_checks.temperature(temperature)
        logits = self._split(parameters)[..., 0]
        noise = random.logistic(tf.shape(logits), seed)
        white = logits + temperature * noise > 0
        return tf.cast(tf.where(white, 255, 0), tf.uint8)

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        return tf.cast(
            tf.where(self._split(parameters)[..., 0] > 0, 255, 0), tf.uint8
        )
