"""The bottleneck of a sparse autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Bottleneck
from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import check_not_negative

ACTIVATIONS = ("sigmoid", "hard_sigmoid")


def bernoulli_kl(p: float, q: tf.Tensor) -> tf.Tensor:
    """Returns KL(p || q) of Bernoulli distributions in nats, shaped like q.

    Args:
        p: in (0, 1).
        q: float32 in 0..1, clipped to 1e-7..1 - 1e-7.

    Example:

    >>> bernoulli_kl(0.5, tf.constant([0.5, 0.25])).numpy().round(4)
    array([0.    , 0.1438], dtype=float32)
    """
    q = tf.clip_by_value(q, 1e-7, 1 - 1e-7)
    on = p * tf.math.log(p / q)
    return on + (1 - p) * tf.math.log((1 - p) / (1 - q))


@keras.saving.register_keras_serializable("vqvae_tf")
class Sparse(Bottleneck):
    """Activations in 0..1 with a KL penalty that keeps their means small.

    A unit is one position and channel. The penalty is
    `weight * sum over units of KL(rho || mean)`, with a unit's mean over the
    *global* batch: activations are summed over all replicas before the KL.
    Estimates of rare activations need large batches.

    Args:
        rho: float, the target mean activation, in (0, 1).
        weight: float, called beta in the literature, at least 0.
        activation: "sigmoid" (the default) or "hard_sigmoid", with values in
            0..1.

    Metrics: `sparsity_kl`, the sum over units in nats, and `mean_activation`,
    over the units and the batch.

    Raises:
        ValueError: for an argument out of range.

    Example:

    >>> bottleneck = Sparse(rho=0.5, weight=3.0)
    >>> cost, metrics = bottleneck.penalty(tf.zeros([8, 4, 4, 2]))
    >>> float(cost)  # sigmoid(0) is rho
    0.0

    References:
        Ng 2011, "Sparse autoencoder", CS294A lecture notes, section 3.
    """

    metric_names = ("sparsity_kl", "mean_activation")

    def __init__(
        self,
        rho: float,
        weight: float,
        activation: str = "sigmoid",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(rho, float) or not 0 < rho < 1:
            raise ValueError(
                f"rho must be a number between 0 and 1. Received: rho={rho!r}."
            )
        if activation not in ACTIVATIONS:
            raise ValueError(
                "The KL divergence needs activations in 0..1: activation must "
                f"be one of {', '.join(ACTIVATIONS)}. "
                f"Received: activation={activation!r}."
            )
        self.rho = rho
        self.weight = check_not_negative("weight", weight)
        self.activation = activation

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        activation = keras.activations.get(self.activation)
        return activation(tf.cast(latents, tf.float32))

    def penalty(
        self,
        latents: tf.Tensor,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, dict]:
        activations = self.encode(latents)
        if weight is None:
            weight = tf.ones([tf.shape(activations)[0]])
        weight = tf.cast(tf.reshape(weight, [-1]), tf.float32)
        rows = tf.reduce_sum(weight)
        sums, total = replicas.sum_over_replicas(
            [tf.tensordot(weight, activations, 1), rows]
        )
        mean = tf.math.divide_no_nan(sums, total)
        kl = tf.reduce_sum(bernoulli_kl(self.rho, mean))
        # All replicas have the global values, weighted by their own rows.
        return self.weight * kl, {
            "sparsity_kl": (kl, rows),
            "mean_activation": (tf.reduce_mean(mean), rows),
        }
