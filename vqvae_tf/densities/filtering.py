"""Top-k and nucleus filtering of logits."""

import tensorflow as tf


def filter_logits(
    logits: tf.Tensor,
    temperature: float | tf.Tensor = 1.0,
    top_k: int | tf.Tensor | None = None,
    top_p: float | tf.Tensor | None = None,
) -> tf.Tensor:
    """Sets the logits of codes that may not be drawn to minus infinity.

    Args:
        logits: float32 `[..., K]`.
        temperature: a number or scalar tensor that later divides the logits;
            the nucleus is that of the tempered distribution.
        top_k: keep the k most probable codes (ties go to the first); an
            integer or int32 scalar.
        top_p: keep the fewest codes whose probabilities sum to at least
            top_p: always the most probable one, and all with 1. A number or
            float32 scalar.

    Returns:
        float32 `[..., K]`, not divided by the temperature.

    Example:

    >>> logits = tf.math.log([[0.5, 0.3, 0.2]])
    >>> tf.math.exp(filter_logits(logits, top_p=0.6)).numpy().round(1)
    array([[0.5, 0.3, 0. ]], dtype=float32)

    References:
        Holtzman et al. 2019, arXiv:1904.09751, section 3.1 (nucleus).
    """
    logits = tf.convert_to_tensor(logits)
    if top_k is None and top_p is None:
        return logits
    size = logits.shape[-1]
    ordered, order = tf.math.top_k(logits, k=size)
    keep = tf.range(size) < (size if top_k is None else top_k)
    if top_p is not None:
        # 1 keeps all codes regardless of rounding.
        everything = tf.cast(top_p, tf.float32) >= 1
        keep &= _nucleus(ordered, temperature, top_p) | everything
    # The inverse permutation is each code's rank.
    rank = tf.argsort(order, axis=-1)
    keep = tf.broadcast_to(keep, tf.shape(logits))
    keep = tf.gather(keep, rank, axis=-1, batch_dims=len(logits.shape) - 1)
    return tf.where(keep, logits, -float("inf"))


def _nucleus(ordered, temperature, top_p):
    """Returns which of the descending logits are needed to reach top_p."""
    temperature = tf.cast(temperature, tf.float32)
    # At 0 only the first is drawn, which is always kept.
    temperature = tf.where(temperature > 0, temperature, 1.0)
    probabilities = tf.nn.softmax(ordered / temperature)
    return tf.cumsum(probabilities, axis=-1, exclusive=True) < top_p
