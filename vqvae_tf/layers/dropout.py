"""Dropout that is independent of the number of replicas."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.utils.checks import check_share


@keras.saving.register_keras_serializable("vqvae_tf")
class Dropout(RowNoise):
    """Sets a share of the activations to 0 in training, and scales the rest.

    Like `keras.layers.Dropout`, but with the noise of `RowNoise`: any number
    of replicas drops the same activations.

    Args:
        rate: float, the share to drop, in [0, 1].
        seed: int, a random one by default.

    Call arguments:
        inputs: float `[batch, ...]`.
        training: bool, whether to drop; False by default.

    Returns:
        A tensor of the shape and dtype of the inputs.

    Raises:
        ValueError: for a rate outside [0, 1].

    Example:

    >>> layer = Dropout(0.5, seed=1)
    >>> x = tf.ones([2, 8])
    >>> bool(tf.reduce_all((y := layer(x, training=True)) * (y - 2) == 0))
    True

    References:
        Srivastava et al. 2014, "Dropout: a simple way to prevent neural
        networks from overfitting".
    """

    def __init__(
        self, rate: float, seed: int | None = None, **kwargs: Any
    ) -> None:
        rate = check_share("rate", rate)
        super().__init__(seed, noisy=bool(rate), **kwargs)
        self.rate = rate
        self.supports_masking = True
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        noise = self.uniform(tf.shape(inputs), self.next_seed())
        scale = 1 / (1 - self.rate) if self.rate < 1 else 0
        kept = inputs * tf.cast(scale, inputs.dtype)
        return tf.where(noise < self.rate, tf.zeros_like(inputs), kept)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)
