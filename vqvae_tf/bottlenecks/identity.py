"""The bottleneck of a plain autoencoder."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Bottleneck


@keras.saving.register_keras_serializable("vqvae_tf")
class Identity(Bottleneck):
    """Returns the latents, optionally after an activation.

    Args:
        activation: None, the name of a Keras activation, such as "relu" or
            "sigmoid", or a function.

    Example:

    >>> Identity("relu").encode(tf.constant([[-1.0, 2.0]])).numpy()
    array([[0., 2.]], dtype=float32)
    """

    def __init__(
        self, activation: str | Callable | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        return self.activation(tf.cast(latents, tf.float32))

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}
