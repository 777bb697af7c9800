"""Gradients of quantizers, and their squared error."""

import tensorflow as tf

from vqvae_tf.utils.checks import check_choice

# Norm of the sum of two directions below which they count as opposite.
_OPPOSITE = 1e-6


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


@tf.custom_gradient
def rotation(latents: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """Returns `quantized`; its gradient is rotated and rescaled to `latents`.

    The rotation that takes a latent e to the direction of its code q, and the
    ratio of their norms, are held constant: q = (|q| / |e|) R e, with

        R = I - 2 r r^T + 2 q' e'^T,   r = (e' + q') / |e' + q'|,

    e' and q' of norm 1. The gradient of e is (|q| / |e|) R^T times that of q,
    so its angle to the code is kept. Where R is undefined, since one of the two
    is 0 or they are opposite, it is copied as by `straight_through`.

    References:
        Fifty et al. 2024, Restructuring Vector Quantization with the Rotation
        Trick, arXiv:2410.06424, section 4.
    """

    def gradient(dy):
        size, code_size = tf.norm(latents, axis=-1), tf.norm(quantized, axis=-1)
        e = tf.math.divide_no_nan(latents, size[..., tf.newaxis])
        q = tf.math.divide_no_nan(quantized, code_size[..., tf.newaxis])
        length = tf.norm(e + q, axis=-1)
        r = tf.math.divide_no_nan(e + q, length[..., tf.newaxis])
        rotated = dy - 2 * r * _dot(r, dy) + 2 * e * _dot(q, dy)
        rotated *= tf.math.divide_no_nan(code_size, size)[..., tf.newaxis]
        defined = (length > _OPPOSITE) & (size > 0) & (code_size > 0)
        return tf.where(defined[..., tf.newaxis], rotated, dy), None

    return tf.identity(quantized), gradient


def _dot(a, b):
    return tf.reduce_sum(a * b, axis=-1, keepdims=True)


# What passes gradients from quantized latents to latents, by name.
GRADIENTS = {"straight_through": straight_through, "rotation": rotation}


def check_gradient(name: str) -> str:
    """Returns the name; raises ValueError unless it is one of `GRADIENTS`."""
    return check_choice("gradient", name, GRADIENTS)


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


def share_of(own: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Returns the share of all weights that is left to some latents.

    Times this, a loss that is a mean over these latents is one over all of the
    batch, so that few of them do not count more.

    Args:
        own: float32 `[N]`, the weights that are left.
        weights: float32 `[N]`, or None for 1.
    """
    whole = tf.cast(tf.size(own), tf.float32)
    if weights is not None:
        whole = tf.reduce_sum(weights)
    return tf.math.divide_no_nan(tf.reduce_sum(own), whole)
