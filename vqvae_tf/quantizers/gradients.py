"""Gradients through a quantizer, and its squared error."""

import tensorflow as tf


@tf.custom_gradient
def with_finite_gradient(x) -> tf.Tensor:
    """Returns x, whose gradient is 0 where it would not be finite."""

    def gradient(dy):
        return tf.where(tf.reduce_all(tf.math.is_finite(dy)), dy, 0.0)

    return tf.identity(x), gradient


@tf.custom_gradient
def straight_through(latents, quantized) -> tf.Tensor:
    """Returns `quantized`; its gradient goes to `latents`, unchanged."""
    return tf.identity(quantized), lambda gradient: (gradient, None)


def mean_squares(difference, weights) -> tf.Tensor:
    """Mean of squares over `[..., N, D]`, row n weighted by `weights[n]`."""
    if weights is None:
        size = tf.cast(tf.size(difference), tf.float32)
        # l2_loss is half the sum, in one pass.
        return tf.math.divide_no_nan(2 * tf.nn.l2_loss(difference), size)
    others = [*range(len(difference.shape) - 2), -1]
    squares = tf.reduce_mean(difference**2, axis=others)
    return tf.math.divide_no_nan(
        tf.reduce_sum(squares * weights), tf.reduce_sum(weights)
    )
