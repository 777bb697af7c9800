"""A convolution whose kernel has a largest singular value of 1."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("vqvae_tf")
class SpectralConv2D(keras.layers.Conv2D):
    """A 2D convolution with spectral normalization.

    The kernel `[height * width * channels, filters]` is divided by an estimate
    of its largest singular value, which a step of power iteration follows in
    each training call. Unlike `keras.layers.SpectralNormalization`, the kernel
    itself is not replaced, so that gradients are those of the paper's eq. 9 and
    replicas stay equal.

    Args:
        args, kwargs: as for `keras.layers.Conv2D`, with channels last.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.
        training: bool, whether the estimate follows the kernel.

    Example:

    >>> layer = SpectralConv2D(4, 3, padding="same")
    >>> layer(keras.ops.ones([1, 8, 8, 2]), training=True).shape
    TensorShape([1, 8, 8, 4])

    References:
        Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.direction = self.add_weight(
            name="direction",
            shape=(self.filters,),
            initializer="random_normal",
            trainable=False,
            dtype="float32",
            autocast=False,
            # The same on all replicas.
            aggregation="only_first_replica",
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), tf.float32)
        size, direction = self._largest(tf.reshape(kernel, [-1, self.filters]))
        if training and self.trainable:
            self.direction.assign(direction)
        x = self.convolution_op(
            inputs, tf.cast(kernel / size, self.compute_dtype)
        )
        if self.use_bias:
            x = tf.nn.bias_add(x, tf.cast(self.bias, self.compute_dtype))
        return x if self.activation is None else self.activation(x)

    # Keras' convolutions save kernel and bias alone.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables

    def _largest(self, matrix):
        """Returns the singular value, and its direction among filters."""
        fixed = tf.stop_gradient(matrix)
        before = tf.convert_to_tensor(self.direction)[:, tf.newaxis]
        left = tf.math.l2_normalize(tf.matmul(fixed, before))
        right = tf.math.l2_normalize(tf.matmul(fixed, left, transpose_a=True))
        size = tf.matmul(left, tf.matmul(matrix, right), transpose_a=True)
        return tf.maximum(size[0, 0], 1e-12), right[:, 0]
