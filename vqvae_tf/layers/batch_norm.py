"""Batch normalization that handles padding and several replicas."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import check_share


@keras.saving.register_keras_serializable("vqvae_tf")
class BatchNorm(Configured):
    """Normalizes each channel to mean 0 and variance 1; no scale or offset.

    Like `keras.layers.BatchNormalization(center=False, scale=False)`, but with
    statistics of the unmasked positions on all replicas; Keras' layer supports
    masks or synchronization, not both.

    Args:
        momentum: float in [0, 1], of the moving averages, which are used
            outside training; 0.99 by default.
        epsilon: float, added to the variance; 1e-6 by default. It must be
            small: otherwise a loss that shrinks the inputs, such as a
            quantizer's commitment loss, shrinks the outputs as well.

    Call arguments:
        inputs: float `[batch, *sizes, channels]`.
        training: bool, whether to use the batch's mean and variance.
        weight: float `[batch, *sizes]` or `[batch]`, 0 at padding; or None.

    Returns:
        A tensor of the shape and dtype of the inputs; computed in float32.

    Raises:
        ValueError: for a momentum outside [0, 1].

    Example:

    >>> x = tf.constant([[[1.0], [3.0], [50.0]]])
    >>> y = BatchNorm()(x, training=True, weight=tf.constant([[1.0, 1.0, 0.0]]))
    >>> y[0, :2, 0].numpy().round(3)
    array([-1.,  1.], dtype=float32)

    References:
        Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    def __init__(
        self, momentum: float = 0.99, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.momentum = check_share("momentum", momentum)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        options = dict(shape=input_shape[-1:], dtype="float32", autocast=False)
        self.moving_mean, self.moving_variance = (
            self.add_weight(
                name=name,
                initializer=initializer,
                trainable=False,
                # The same on all replicas.
                aggregation="only_first_replica",
                **options,
            )
            for name, initializer in (
                ("moving_mean", "zeros"),
                ("moving_variance", "ones"),
            )
        )
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        training: bool = False,
        weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = tf.cast(inputs, tf.float32)
        mean, variance = self.moving_mean, self.moving_variance
        if training and self.trainable:
            mean, variance = _moments(x, weight)
            self._update(self.moving_mean, mean)
            self._update(self.moving_variance, variance)
        x = (x - mean) * tf.math.rsqrt(variance + self.epsilon)
        return tf.cast(x, inputs.dtype)

    def _update(self, moving, value):
        value = tf.stop_gradient(value)
        moving.assign(self.momentum * moving + (1 - self.momentum) * value)

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        training: bool = False,
        weight: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)


def _moments(x, weight):
    """Returns mean and variance of each channel over all replicas."""
    weight = tf.ones([1]) if weight is None else tf.cast(weight, tf.float32)
    while len(weight.shape) < len(x.shape):
        weight = weight[..., tf.newaxis]
    weight = tf.broadcast_to(weight, [*tf.unstack(tf.shape(x))[:-1], 1])
    axes = list(range(len(x.shape) - 1))
    count, total = replicas.sum_over_replicas(
        [tf.reduce_sum(weight), tf.reduce_sum(x * weight, axes)]
    )
    mean = tf.math.divide_no_nan(total, count)
    squares = tf.reduce_sum((x - mean) ** 2 * weight, axes)
    squares = replicas.sum_over_replicas(squares)
    return mean, tf.math.divide_no_nan(squares, count)
