"""Multi-sample bounds on log p(x), and surrogates for their gradients.

All take log-weights `[S, B]`, `log p(x, z_s) - log q(z_s | x)`, of S samples
for each of B examples.
"""

import math

import tensorflow as tf


def log_mean_exp(log_weights: tf.Tensor) -> tf.Tensor:
    """Returns the importance-weighted bound of S samples, float32 [B] nats.

    Its expectation grows with S, from the ELBO at S = 1 towards log p(x).

    Args:
        log_weights: float `[S, B]`.

    Example:

    >>> log_mean_exp(tf.math.log([[1.0], [3.0]])).numpy()
    array([0.6931472], dtype=float32)

    References:
        Burda et al. 2015, arXiv:1509.00519, eq. 8.
    """
    count = tf.cast(tf.shape(log_weights)[0], tf.float32)
    return tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(count)


def vimco_surrogate(log_weights: tf.Tensor, log_q: tf.Tensor) -> tf.Tensor:
    """Returns a surrogate: the bound's value with the gradient of VIMCO.

    The learning signal of a sample is the gain over a bound with its weight
    replaced by the geometric mean of the others. This baseline does not depend
    on the sample, so the estimate is unbiased.

    Args:
        log_weights: float `[S, B]` with S > 1, whose gradient reaches the
            parameters of p and q directly, not through the samples.
        log_q: float `[S, B]`, log q(z_s | x) up to a constant, at samples
            that have no gradient.

    Returns:
        float32 [B] nats.

    Raises:
        ValueError: for fewer than two samples.

    References:
        Mnih and Rezende 2016, arXiv:1602.06725, eq. 5-9.
    """
    count = log_weights.shape[0]
    if count is None or count < 2:
        raise ValueError(
            "VIMCO compares each draw with the others, and needs at least 2. "
            f"Received: {count} draws."
        )
    bound = log_mean_exp(log_weights)
    signal = tf.stop_gradient(bound - _without_each(log_weights))
    score = log_q - tf.stop_gradient(log_q)  # 0, with the gradient of log q
    return bound + tf.reduce_sum(signal * score, axis=0)


def _without_each(log_weights):
    """Returns the bounds with each log-weight replaced by the others' mean."""
    count = log_weights.shape[0]
    others = tf.reduce_sum(log_weights, axis=0) - log_weights
    own = tf.eye(count, dtype=tf.bool)[:, :, tf.newaxis]
    replaced = tf.where(
        own,
        (others / (count - 1))[:, tf.newaxis],
        log_weights[tf.newaxis],
    )
    return tf.reduce_logsumexp(replaced, axis=1) - math.log(count)
