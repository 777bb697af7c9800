"""Units of information."""

import math

import numpy as np
import tensorflow as tf

LN2 = math.log(2.0)
Number = float | np.ndarray | tf.Tensor


def bits(nats: Number, size: Number = 1) -> Number:
    """Converts nats to bits, or to bits per dimension.

    Args:
        nats: a number, array or float tensor.
        size: number of dimensions (default 1): a number, array or float tensor
            that broadcasts against `nats`.

    Returns:
        `nats / (size * ln 2)`, of the type and dtype of that quotient. If
        `size` is a tensor, 0 where it is 0, since nothing counts there.

    Example: a uniform distribution over 256 levels has 8 bits/dim.

    >>> bits(3072 * math.log(256), size=3072)
    8.0
    """
    whole = size * LN2
    if tf.is_tensor(whole):
        return tf.math.divide_no_nan(tf.cast(nats, whole.dtype), whole)
    return nats / whole
