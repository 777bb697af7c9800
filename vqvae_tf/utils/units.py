"""Units of information."""

import math

import tensorflow as tf

LN2 = math.log(2.0)


def bits(nats, size=1):
    """Converts nats to bits, or to bits per dimension.

    Args:
        nats: a number, array or float tensor.
        size: how many dimensions the nats are of: a number, array or float
            tensor that broadcasts against `nats`.

    Returns:
        `nats / (size * ln 2)`, of the type and dtype of that quotient. With a
        tensor as size, 0 where the size is 0: no dimension counts there.

    Example: a uniform distribution over 256 levels has 8 bits/dim.

    >>> bits(3072 * math.log(256), size=3072)
    8.0
    """
    whole = size * LN2
    if tf.is_tensor(whole):
        return tf.math.divide_no_nan(tf.cast(nats, whole.dtype), whole)
    return nats / whole
