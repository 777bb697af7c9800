"""What a layer needs of `tf.distribute`: its number, how many, and sums."""

import tensorflow as tf


def num_replicas() -> int:
    """Returns the number of replicas that run in step, 1 without a strategy."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context is not None else 1


def replica_id() -> int:
    """Returns this replica's number; 0 where it is not known while tracing."""
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group if context is not None else 0
    static = tf.get_static_value(number) if tf.is_tensor(number) else number
    return 0 if static is None else int(static)


def sum_over_replicas(tensors):
    """Sums a nest of tensors over all replicas; the identity with one replica.

    Args:
        tensors: a nest of dense tensors, equally shaped on every replica.

    Returns:
        The same nest with every tensor summed over the replicas.
    """
    if num_replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def first_row(rows) -> tf.Tensor:
    """Returns where this replica's rows of the global batch begin, int64.

    Args:
        rows: how many rows this replica has; the others have as many.
    """
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group if context is not None else 0
    return tf.cast(number, tf.int64) * tf.cast(rows, tf.int64)
