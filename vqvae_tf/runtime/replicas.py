"""Replicas of `tf.distribute`, as layers need them: numbers, sums, losses."""

from typing import Any

import keras
import tensorflow as tf


def num_replicas() -> int:
    """Returns the number of replicas in sync, 1 without a strategy."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context is not None else 1


def replica_id() -> int:
    """Returns this replica's number; 0 if it is unknown while tracing."""
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group if context is not None else 0
    static = tf.get_static_value(number) if tf.is_tensor(number) else number
    return 0 if static is None else int(static)


def sum_over_replicas(tensors: Any) -> Any:
    """Sums a nest of tensors over all replicas; the identity with one replica.

    Args:
        tensors: a nest of dense tensors, of equal shapes on every replica.
    """
    if num_replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def first_row(rows: int | tf.Tensor) -> tf.Tensor:
    """Returns the index of this replica's first row of the global batch, int64.

    Args:
        rows: number of rows of each replica.
    """
    context = tf.distribute.get_replica_context()
    number = context.replica_id_in_sync_group if context is not None else 0
    return tf.cast(number, tf.int64) * tf.cast(rows, tf.int64)


class ReplicaLosses(keras.layers.Layer):
    """A layer each of whose replicas sees, and clears, only its own losses.

    If `call` contains a collective operation, the threads of a
    MirroredStrategy take turns inside it, and all append to the one list of
    losses that the layer has.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._loss_replicas = []

    def add_loss(self, loss: Any) -> None:
        before = len(self._losses)
        super().add_loss(loss)
        added = len(self._losses) - before
        self._loss_replicas.extend([replica_id()] * added)

    def _clear_losses(self):
        own = replica_id()
        pairs = zip(self._losses, self._loss_replicas)
        others = [(loss, number) for loss, number in pairs if number != own]
        super()._clear_losses()
        self._losses.extend(loss for loss, _ in others)
        self._loss_replicas[:] = [number for _, number in others]

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        if len(losses) != len(self._loss_replicas):
            return losses
        own = replica_id()
        return [x for x, r in zip(losses, self._loss_replicas) if r == own]
