"""What Keras' optimizers get wrong, above all with several replicas."""

import keras
import tensorflow as tf

from vqvae_tf.runtime import replicas


def share_overflow(
    optimizer: keras.optimizers.Optimizer, gradients: list
) -> list:
    """Makes gradients not finite on all replicas if they are so on one.

    `keras.optimizers.LossScaleOptimizer` skips a step whose gradients are not
    finite, but checks only those of the first replica, before they are summed:
    an overflow on another one would make all weights NaN.

    Args:
        optimizer: the model's; only a `LossScaleOptimizer` changes anything.
        gradients: this replica's, dense tensors or None, of the same shapes on
            every replica.

    Returns:
        The gradients, the first one NaN where any replica's is not finite.

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


def clip_sum(optimizer: keras.optimizers.Optimizer, gradients: list) -> list:
    """Clips the sum of all replicas' gradients.

    Keras clips each replica's gradients before they are summed, so two
    replicas would not train as one. Here the sum is clipped, and each replica
    gets an equal share of it, which Keras then leaves as it is.

    Args:
        optimizer: the model's; nothing changes where it does not clip.
        gradients: this replica's, dense tensors or None.

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


def check_factors(optimizer: keras.optimizers.Optimizer):
    """Raises ValueError for an Adafactor that makes weights NaN.

    It estimates the squares of a kernel's gradients by products of means of
    rows and of columns, over their mean. Where a row and a column have no
    gradient (of a unit that is never active, say), both means are `epsilon_1`:
    with Keras' default of 1e-30 their product is 0 in float32, and the step at
    that place 0 / 0.

    Args:
        optimizer: a model's, of any class.

    Example:

    >>> check_factors(keras.optimizers.Adafactor(epsilon_1=1e-16))
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, keras.optimizers.Adafactor):
        return
    if optimizer.epsilon_1 < _LEAST_EPSILON:
        raise ValueError(
            "Adafactor makes weights NaN where a row and a column of a kernel "
            "have no gradient: epsilon_1 * epsilon_1 is 0 in float32. Take "
            f"Adafactor(epsilon_1=1e-16). Received: epsilon_1="
            f"{optimizer.epsilon_1}."
        )
