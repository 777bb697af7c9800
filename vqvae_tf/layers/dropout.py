"""Dropout that does not depend on how a batch is split."""

import keras
import tensorflow as tf

from vqvae_tf import random, replicas


@keras.saving.register_keras_serializable("vqvae_tf")
class Dropout(keras.layers.Layer):
    """Sets a share of the activations to 0 in training, and scales the rest.

    As `keras.layers.Dropout`, but the noise of an example follows from the
    seed, the number of the call and the example's place in the *global* batch:
    on one replica or many the same activations are dropped.

    Args:
        rate: the share to drop, in [0, 1].
        seed: an integer; a random one by default.

    Call arguments:
        inputs: float `[batch, ...]`.
        training: whether anything is dropped.

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

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError(
                f"rate must be a number in [0, 1]. Received: rate={rate!r}."
            )
        self.rate = rate
        self.seed = seed
        if rate:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.uint32)
        shape = tf.shape(inputs)
        noise = random.uniform_rows(
            shape,
            tf.bitcast(seed, tf.int32),
            replicas.first_row(shape[0]),
        )
        scale = 1 / (1 - self.rate) if self.rate < 1 else 0
        kept = inputs * tf.cast(scale, inputs.dtype)
        return tf.where(noise < self.rate, tf.zeros_like(inputs), kept)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    # Keras saves no state of random numbers, and a training that goes on from
    # a file would draw again what it has drawn.
    def save_own_variables(self, store):
        if self.rate:
            store["drawn"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        if self.rate and "drawn" in store:
            self.seed_generator.state.assign(store["drawn"])

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
