"""The losses of a generator and a discriminator of pictures."""

from collections.abc import Callable

import tensorflow as tf

LOSSES = ("hinge", "non_saturating")
# Added to the norm that the adaptive weight divides by, and the weight's limit.
_LEAST, _MOST = 1e-4, 1e4


def _mean(logits):
    """Returns the mean over the patches of each picture, float32 `[batch]`."""
    logits = tf.cast(logits, tf.float32)
    return tf.reduce_mean(logits, axis=range(1, len(logits.shape)))


def generator_loss(logits: tf.Tensor, kind: str = "hinge") -> tf.Tensor:
    """Returns the loss of a generator whose pictures are judged.

    Args:
        logits: of its pictures, `[batch, ...]`.
        kind: "hinge", `-D`; or "non_saturating", `-log sigmoid(D)`.

    Returns:
        float32 `[batch]`, means over patches.

    Example:

    >>> generator_loss(tf.constant([[2.0, 4.0]])).numpy()
    array([-3.], dtype=float32)

    References:
        Lim and Ye 2017, arXiv:1705.02894; Goodfellow et al. 2014,
        arXiv:1406.2661, section 3.
    """
    logits = tf.cast(logits, tf.float32)
    return _mean(-logits if kind == "hinge" else tf.nn.softplus(-logits))


def discriminator_loss(
    real: tf.Tensor, fake: tf.Tensor, kind: str = "hinge"
) -> tf.Tensor:
    """Returns the loss of a discriminator.

    Args:
        real, fake: logits of data and of a generator's pictures, `[batch,
            ...]`.
        kind: "hinge", `(max(0, 1 - D(real)) + max(0, 1 + D(fake))) / 2`; or
            "non_saturating", the binary cross-entropy, halved too.

    Returns:
        float32 `[batch]`, means over patches.

    Example:

    >>> real, fake = tf.constant([[0.5, 2.0]]), tf.constant([[-3.0, 0.0]])
    >>> discriminator_loss(real, fake).numpy()
    array([0.375], dtype=float32)
    """
    real, fake = tf.cast(real, tf.float32), tf.cast(fake, tf.float32)
    if kind == "hinge":
        costs = tf.nn.relu(1 - real), tf.nn.relu(1 + fake)
    else:
        costs = tf.nn.softplus(-real), tf.nn.softplus(fake)
    return 0.5 * (_mean(costs[0]) + _mean(costs[1]))


def gradient_penalty(
    judge: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor
) -> tf.Tensor:
    """Returns half the squared gradient of a discriminator at data (R1).

    Args:
        judge: maps pictures to logits.
        real: pictures, `[batch, height, width, channels]`.

    Returns:
        float32 `[batch]`: `|d mean(D(x)) / dx|^2 / 2`.

    References:
        Mescheder et al. 2018, arXiv:1801.04406, eq. 9.
    """
    with tf.GradientTape() as tape:
        tape.watch(real)
        total = tf.reduce_sum(_mean(judge(real)))
    gradient = tf.cast(tape.gradient(total, real), tf.float32)
    return 0.5 * tf.reduce_sum(gradient**2, axis=range(1, len(real.shape)))


def adaptive_weight(
    of_distance: tf.Tensor,
    of_adversary: tf.Tensor,
    scale: float | tf.Tensor = 1.0,
) -> tf.Tensor:
    """Returns the weight at which an adversary pulls as much as a distance.

    Args:
        of_distance, of_adversary: gradients of the two losses with respect to
            the last kernel of the decoder.
        scale: by which both have been multiplied.

    Returns:
        The ratio of their norms, in 0..10,000, 0 where they overflow; a float32
        scalar without gradient.

    Example:

    >>> of_distance, of_adversary = tf.constant([3.0, 4.0]), tf.constant([2.0])
    >>> float(adaptive_weight(of_distance, of_adversary).numpy().round(3))
    2.5

    References:
        Esser et al. 2021, arXiv:2012.09841, eq. 7.
    """
    sizes = [
        tf.norm(tf.cast(x, tf.float32)) for x in (of_distance, of_adversary)
    ]
    ratio = sizes[0] / (sizes[1] + _LEAST * scale)
    ratio = tf.where(tf.math.is_finite(ratio), ratio, 0.0)
    return tf.stop_gradient(tf.clip_by_value(ratio, 0.0, _MOST))


def ramp(step: tf.Tensor, start: int, length: int) -> tf.Tensor:
    """Returns how much of a loss counts at a step, in 0..1.

    Args:
        step: the number of steps done, an integer scalar.
        start: the step before which nothing counts.
        length: steps in which the share rises to 1; 0 for at once.

    Example:

    >>> [float(ramp(tf.constant(n), 10, 4)) for n in (9, 10, 12, 20)]
    [0.0, 0.25, 0.75, 1.0]
    """
    done = tf.cast(step - start + 1, tf.float32)
    return tf.clip_by_value(done / max(length, 1), 0.0, 1.0)
