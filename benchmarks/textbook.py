"""The textbook form of vector quantisation, as most public code has it.

All distances |z|^2 - 2 z.e + |e|^2 at once, and a one-hot [N, K] matrix for the
look-up and for the sums of a codebook of moving averages.
"""

import keras
import tensorflow as tf


class TextbookQuantizer(keras.layers.Layer):
    """A quantizer with a codebook of moving averages, in one-hot products.

    Args:
        num_embeddings: K.
        embedding_dim: D.
        commitment_cost: beta of arXiv:1711.00937, eq. 3.
        decay: gamma of its appendix A.1.

    Call arguments:
        latents: float32 `[batch, ..., D]`.

    Returns:
        Quantized latents of the same shape; the loss joins `losses`.
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        commitment_cost=0.25,
        decay=0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.decay = decay

    def build(self, input_shape):
        shape = (self.num_embeddings, self.embedding_dim)
        limit = 1.0 / self.num_embeddings
        # float32 under any policy, as in our layers: codes and sums need it.
        state = {"trainable": False, "dtype": "float32", "autocast": False}
        self.codebook = self.add_weight(
            name="codebook",
            shape=shape,
            initializer=keras.initializers.RandomUniform(-limit, limit),
            **state,
        )
        self.counts = self.add_weight(
            name="counts", shape=shape[:1], initializer="ones", **state
        )
        self.sums = self.add_weight(
            name="sums", shape=shape, initializer="zeros", **state
        )
        self.sums.assign(self.codebook)

    def nearest(self, flat):
        """Returns the codes, int64 `[N]`, of float32 `[N, D]`."""
        codebook = tf.convert_to_tensor(self.codebook)
        distances = (
            tf.reduce_sum(flat**2, axis=1, keepdims=True)
            - 2 * tf.matmul(flat, codebook, transpose_b=True)
            + tf.reduce_sum(codebook**2, axis=1)
        )
        return tf.argmin(distances, axis=1)

    def encode(self, latents):
        flat = tf.reshape(latents, [-1, self.embedding_dim])
        return tf.reshape(self.nearest(flat), tf.shape(latents)[:-1])

    def call(self, latents, training=False):
        inputs = latents
        latents = tf.cast(latents, tf.float32)
        flat = tf.reshape(latents, [-1, self.embedding_dim])
        one_hot = tf.one_hot(self.nearest(flat), self.num_embeddings)
        codebook = tf.convert_to_tensor(self.codebook)
        quantized = tf.reshape(tf.matmul(one_hot, codebook), tf.shape(latents))
        self.add_loss(
            self.commitment_cost
            * tf.reduce_mean((latents - tf.stop_gradient(quantized)) ** 2)
        )
        if training:
            self._update(tf.stop_gradient(flat), one_hot)
        quantized = latents + tf.stop_gradient(quantized - latents)
        return tf.cast(quantized, inputs.dtype)

    def _update(self, flat, one_hot):
        step = 1.0 - self.decay
        counts = tf.reduce_sum(one_hot, axis=0)
        sums = tf.matmul(one_hot, flat, transpose_a=True)
        self.counts.assign(self.decay * self.counts + step * counts)
        self.sums.assign(self.decay * self.sums + step * sums)
        self.codebook.assign(self.sums / self.counts[:, tf.newaxis])


def residual_stack(x, channels, residual_channels, num_layers=2):
    """`num_layers` times `x + conv1(relu(conv3(relu(x))))`, then a ReLU."""
    for _ in range(num_layers):
        y = keras.layers.ReLU()(x)
        y = keras.layers.Conv2D(residual_channels, 3, padding="same")(y)
        y = keras.layers.ReLU()(y)
        x = keras.layers.Add()([x, keras.layers.Conv2D(channels, 1)(y)])
    return keras.layers.ReLU()(x)


def textbook_model(
    hidden=128, residual_channels=32, num_embeddings=512, dim=64
):
    """Returns a plain Keras VQ-VAE of 32x32 RGB pictures in -1..1.

    The layers are those of `vqvae_tf.Encoder` and `vqvae_tf.Decoder`, around a
    `TextbookQuantizer`; train it on pairs of the same pictures with "mse".
    """

    def down(x, **kwargs):
        return keras.layers.Conv2D(
            hidden, 4, strides=2, padding="same", **kwargs
        )(x)

    def up(x, channels, **kwargs):
        return keras.layers.Conv2DTranspose(
            channels, 4, strides=2, padding="same", **kwargs
        )(x)

    inputs = keras.Input((32, 32, 3))
    x = down(down(inputs, activation="relu"))
    x = residual_stack(x, hidden, residual_channels)
    latents = keras.layers.Conv2D(dim, 1)(x)
    x = TextbookQuantizer(num_embeddings, dim)(latents)
    x = keras.layers.Conv2D(hidden, 3, padding="same")(x)
    x = residual_stack(x, hidden, residual_channels)
    x = up(x, hidden, activation="relu")
    return keras.Model(inputs, up(x, 3, dtype="float32"))
