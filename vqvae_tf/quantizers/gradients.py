"""Gradients of quantizers, and their squared error."""

import tensorflow as tf


@tf.custom_gradient
def with_finite_gradient(x: tf.Tensor) -> tf.Tensor:
    """Returns x; a gradient with a NaN or infinite entry is replaced by 0."""

    def gradient(dy):
        return tf.where(tf.reduce_all(tf.math.is_finite(dy)), dy, 0.0)

    return tf.identity(x), gradient


@tf.custom_gradient
def straight_through(latents: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """Returns `quantized`; its gradient is copied to `latents`."""
    return tf.identity(quantized), lambda gradient: (gradient, None)


def mean_squares(difference: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
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
