"""What Keras' loss scaling needs where there are several replicas."""

import keras
import tensorflow as tf

from vqvae_tf import replicas


def share_overflow(optimizer, gradients):
    """Makes gradients that are not finite on one replica so on all.

    `keras.optimizers.LossScaleOptimizer` leaves out a step whose gradients are
    not finite, but looks at those of the first replica alone, before they are
    summed: an overflow on another one would make all weights NaN.

    Args:
        optimizer: that of the model; nothing is done for another class.
        gradients: this replica's, dense tensors or None, the same on every
            replica but for their values.

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
