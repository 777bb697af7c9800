"""The bottleneck of a plain autoencoder: its size alone."""

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Bottleneck


@keras.saving.register_keras_serializable("vqvae_tf")
class Identity(Bottleneck):
    """Hands the latents on, through an activation if there is one.

    Args:
        activation: None, or an activation that Keras knows by name, such as
            "relu" or "sigmoid", or a function.

    Example:

    >>> Identity("relu").encode(tf.constant([[-1.0, 2.0]])).numpy()
    array([[0., 2.]], dtype=float32)
    """

    def __init__(self, activation: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def encode(self, latents) -> tf.Tensor:
        return self.activation(tf.cast(latents, tf.float32))

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}
