"""What models do with the time axis of `[batch, time, ...]`."""

from collections.abc import Callable

import tensorflow as tf

from vqvae_tf.densities.conditioning import size_of


def each(
    function: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor
) -> tf.Tensor:
    """Applies a function of `[batch, ...]` to `[batch, time, ...]`."""
    sizes = [size_of(values, axis) for axis in range(len(values.shape))]
    rows = tf.reshape(values, [-1, *sizes[2:]])
    rows = tf.ensure_shape(rows, [None, *values.shape[2:]])
    results = function(rows)
    shape = tf.concat([tf.shape(values)[:2], tf.shape(results)[1:]], axis=0)
    outputs = tf.reshape(results, shape)
    outputs.set_shape([*values.shape[:2], *results.shape[1:]])
    return outputs


def at_times(values: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Returns `[batch * pairs, ...]`, the values at some times, as rows.

    Args:
        values: `[batch, time, ...]`.
        times: int32 `[batch, pairs]`.
    """
    found = tf.gather(values, times, batch_dims=1)
    rows = tf.reshape(found, tf.concat([[-1], tf.shape(found)[2:]], axis=0))
    return tf.ensure_shape(rows, [None, *values.shape[2:]])
