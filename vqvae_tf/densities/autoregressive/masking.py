"""Which codes a masked model is shown, in training and as it draws samples."""

import math

import tensorflow as tf


def hidden_counts(u: tf.Tensor, positions: int | tf.Tensor) -> tf.Tensor:
    """Returns how many positions are hidden, `ceil(N cos(pi u / 2))`.

    Args:
        u: float32 in (0, 1).
        positions: N, a number, or one for each u.

    Returns:
        float32 of the shape of u, whole numbers in 1..N.

    References:
        Chang et al. 2022, arXiv:2202.04200, section 3.1.
    """
    positions = tf.cast(positions, tf.float32)
    counts = tf.math.ceil(positions * tf.cos(math.pi / 2 * u))
    return tf.minimum(tf.maximum(counts, 1.0), positions)


def importance(counts: tf.Tensor, positions: int | tf.Tensor) -> tf.Tensor:
    """Returns `1 / (N P(n))` for the n that `hidden_counts` gives.

    With these weights a mean over such n is one over n uniform in 1..N.
    """
    positions = tf.maximum(tf.cast(positions, tf.float32), 1.0)
    share = tf.cast(counts, tf.float32) / positions
    # n hides u in [acos(n / N), acos((n - 1) / N)] * 2 / pi.
    low = tf.acos(share)
    high = tf.acos(tf.maximum(share - 1 / positions, 0.0))
    return math.pi / 2 / (positions * (high - low))


def lowest(scores: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Returns which entries of a row are among its lowest.

    Args:
        scores: float `[rows, positions]`.
        counts: how many of each row, int32 `[rows]`.

    Returns:
        bool `[rows, positions]`; of equal scores the first are lower.
    """
    order = tf.argsort(scores, axis=-1, stable=True)
    ranks = tf.argsort(order, axis=-1, stable=True)
    return ranks < counts[:, tf.newaxis]


def left_hidden(
    step: tf.Tensor,
    num_passes: int,
    at_first: tf.Tensor,
    now: tf.Tensor,
) -> tf.Tensor:
    """Returns how many positions a pass of the sampler leaves hidden.

    `cos(pi / 2 (step + 1) / num_passes)` of those hidden at first, but at
    least one fewer than now, at least one before the last pass and none after
    it.

    Args:
        step: of the pass, int32 scalar from 0.
        num_passes: T.
        at_first, now: how many were hidden at first, and are now, int32
            `[rows]`.

    Returns:
        int32 `[rows]`.

    References:
        Chang et al. 2022, arXiv:2202.04200, section 3.2.
    """
    done = tf.cast(step + 1, tf.float32) / num_passes
    share = tf.cos(math.pi / 2 * done)
    counts = tf.cast(tf.floor(share * tf.cast(at_first, tf.float32)), tf.int32)
    counts = tf.maximum(tf.minimum(counts, now - 1), tf.minimum(now, 1))
    return tf.where(step + 1 < num_passes, counts, 0)
