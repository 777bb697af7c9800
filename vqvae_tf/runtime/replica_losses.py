"""Losses of a layer that has a collective in `call`."""

import keras

from vqvae_tf.runtime import replicas


class ReplicaLosses(keras.layers.Layer):
    """A layer each of whose replicas sees, and clears, only its own losses.

    With a collective in `call`, the threads of a MirroredStrategy take turns
    inside it and share this layer's one list of losses.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._loss_replicas = []

    def add_loss(self, loss):
        before = len(self._losses)
        super().add_loss(loss)
        added = len(self._losses) - before
        self._loss_replicas.extend([replicas.replica_id()] * added)

    def _clear_losses(self):
        own = replicas.replica_id()
        pairs = zip(self._losses, self._loss_replicas)
        others = [(loss, number) for loss, number in pairs if number != own]
        super()._clear_losses()
        self._losses.extend(loss for loss, _ in others)
        self._loss_replicas[:] = [number for _, number in others]

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        if len(losses) != len(self._loss_replicas):
            return losses
        own = replicas.replica_id()
        return [x for x, r in zip(losses, self._loss_replicas) if r == own]
