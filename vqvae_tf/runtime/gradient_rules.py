"""Corrections of Keras' optimizers, mostly for several replicas."""

import keras
import tensorflow as tf

from vqvae_tf.runtime import replicas


def share_overflow(
    optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor | None]
) -> list[tf.Tensor | None]:
    """Makes gradients non-finite on all replicas if they are on any.

    `keras.optimizers.LossScaleOptimizer` skips a step with non-finite
    gradients, but checks only those of the first replica, before they are
    summed: an overflow on another one would make all weights NaN.

    Args:
        optimizer: optimizer of the model; does nothing unless this is a
            `LossScaleOptimizer`.
        gradients: this replica's dense tensors or None, of equal shapes on
            every replica.

    Returns:
        The gradients; the first is NaN if any replica's is non-finite.

    Example: in a train step.

    >>> optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    >>> share_overflow(optimizer, [tf.constant([1.0, 2.0]), None])[0].numpy()
    array([1., 2.], dtype=float32)
    """
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    present = [g for g in gradients if g is not None]
    if replicas.num_replicas() == 1 or not scaled or not present:
        return gradients
    finite = tf.reduce_all(
        tf.stack([tf.reduce_all(tf.math.is_finite(g)) for g in present])
    )
    failed = replicas.sum_over_replicas(1.0 - tf.cast(finite, tf.float32))
    gradients = list(gradients)
    first = next(i for i, g in enumerate(gradients) if g is not None)
    gradients[first] = tf.where(failed > 0, float("nan"), gradients[first])
    return gradients


def clip_sum(
    optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor | None]
) -> list[tf.Tensor | None]:
    """Clips the sum of all replicas' gradients.

    Keras clips each replica's gradients before they are summed, so two
    replicas would not train like one. This clips the sum and gives each
    replica an equal share of it, which is too small for Keras to clip.

    Args:
        optimizer: optimizer of the model; does nothing unless it clips.
        gradients: this replica's dense tensors or None.

    Returns:
        The gradients, to be summed by the optimizer.

    Example: in a train step.

    >>> optimizer = keras.optimizers.SGD(global_clipnorm=1.0)
    >>> clip_sum(optimizer, [tf.constant([3.0, 4.0]), None])[0].numpy()
    array([3., 4.], dtype=float32)
    """
    count = replicas.num_replicas()
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    limits = (inner.clipnorm, inner.global_clipnorm, inner.clipvalue)
    if count == 1 or not any(limits):
        return gradients
    scale = getattr(optimizer, "dynamic_scale", 1.0)  # of the loss
    present = [i for i, g in enumerate(gradients) if g is not None]
    sums = replicas.sum_over_replicas([gradients[i] for i in present])
    clipped = _clipped(inner, [g / tf.cast(scale, g.dtype) for g in sums])
    gradients = list(gradients)
    for i, g in zip(present, clipped):
        gradients[i] = g * tf.cast(scale, g.dtype) / count
    return gradients


def _clipped(optimizer, gradients):
    """Clips as `keras.optimizers.Optimizer` does, by the first limit set."""
    if optimizer.clipnorm:
        return [tf.clip_by_norm(g, optimizer.clipnorm) for g in gradients]
    if optimizer.global_clipnorm:
        return tf.clip_by_global_norm(gradients, optimizer.global_clipnorm)[0]
    limit = optimizer.clipvalue
    return [tf.clip_by_value(g, -limit, limit) for g in gradients]


# Its square is not 0 in float32.
_LEAST_EPSILON = 1e-18


def check_factors(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises ValueError for an Adafactor that would make weights NaN.

    It estimates a kernel's squared gradients by products of row and column
    means, divided by the overall mean. If a row and a column have no gradient
    (because a unit is never active, say), both means are `epsilon_1`. With
    Keras' default of 1e-30 their product is 0 in float32, and the step 0 / 0.

    Example:

    >>> check_factors(keras.optimizers.Adafactor(epsilon_1=1e-16))
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, keras.optimizers.Adafactor):
        return
    if optimizer.epsilon_1 < _LEAST_EPSILON:
        raise ValueError(
            "Adafactor makes weights NaN if a row and a column of a kernel "
            "have no gradient, since epsilon_1 ** 2 is 0 in float32. Use "
            "Adafactor(epsilon_1=1e-16). "
            f"Received: epsilon_1={optimizer.epsilon_1}."
        )
