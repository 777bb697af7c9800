"""The interface of all densities: decoders p(x | z) and priors p(z)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.layers.configured import Configured
from vqvae_tf.runtime.step import StepModel, split_weight, total
from vqvae_tf.utils.units import bits


def event_size(value: tf.Tensor) -> tf.Tensor:
    """Returns the number of dimensions D of one example, float32 scalar."""
    return tf.cast(tf.reduce_prod(tf.shape(value)[1:]), tf.float32)


def counted_size(value: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    """Returns the number of unmasked dimensions of each example, float32.

    Args:
        value: data `[batch, *event]`.
        weight: a sample weight, or a mask of positions; see
            `step.split_weight`.

    Returns:
        A scalar, or `[batch]` if weight is a mask.
    """
    mask, share = split_weight(weight)
    size = event_size(value)
    return size if mask is None else size * share


def blank(value: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Returns data with zeros at padding.

    Otherwise convolutions would leak padding into neighbouring positions.

    Args:
        value: data `[batch, *grid]`, or with further axes.
        mask: `[batch, *grid]`, 0 at padding, or None without padding.

    Example:

    >>> blank(tf.constant([[3, 4, 9]]), tf.constant([[1.0, 0.5, 0.0]])).numpy()
    array([[3, 4, 0]], dtype=int32)
    """
    if mask is None:
        return value
    value, kept = tf.convert_to_tensor(value), tf.not_equal(mask, 0)
    while len(kept.shape) < len(value.shape):
        kept = kept[..., tf.newaxis]
    return tf.where(kept, value, tf.zeros_like(value))


class DensityModel(Configured, StepModel):
    """A conditional distribution p(value | context), as a Keras model.

    `fit` on values, `(values, context)` or `(values, context, weight)`
    minimizes `-log_prob / D` (nats per dimension). In a larger model it is a
    layer like any other: a call returns `log_prob`.

    Terms and shapes:
        value: data, or codes int32 `[batch, *grid]`, or
            `[batch, *grid, num_codebooks]`.
        context: a dict; either entry may be absent. `"local"` float
            `[batch, *grid, channels]`, on the value's grid, or on a coarser
            one that the density upsamples; `"global"` float
            `[batch, channels]` (a one-hot class, an action, a speaker).
        mask: bool or float `[batch, *grid]`; positions of 0 are excluded.

    Subclasses implement `call` (the log-probability), `sample` and `mode`.
    """

    loss_names = ("loss", "bits_per_dim")
    # Whether `mode` is a point estimate and not just a sample.
    has_mode = False
    # Whether `log_prob` is the log-probability, and not a bound.
    exact_log_prob = True
    # Channels of the context's entries; None for entries that are not used.
    global_channels = None
    local_channels = None
    # The ratio of the grid's sizes to those of the local context.
    local_upsampling = 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # `mask` is an argument of `call`.

    @property
    def num_codes(self) -> tuple[int, ...]:
        """How many codes each codebook has, of a density of codes."""
        return (self.num_embeddings,) * self.num_codebooks

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None  # The result has one entry per example.

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        raise NotImplementedError(
            f"{type(self).__name__} must implement call(value, context, mask)."
        )

    def known_context(self, context: dict) -> dict:
        """Returns the entries of a context that the density uses: here all."""
        return context

    def log_prob(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the log-probability of each example, float32 [batch] nats."""
        return self(value, context=context, mask=mask, training=training)

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws samples; see the subclass for supported options."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement sample."
        )

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns a point estimate of the value given the context."""
        raise NotImplementedError(f"{type(self).__name__} must implement mode.")

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        mask, _ = split_weight(weight)
        x = blank(x, mask)
        log_prob = self.log_prob(x, context, mask=mask, training=training)
        nll = -tf.math.divide_no_nan(log_prob, counted_size(x, weight))
        return nll, total(self.losses), {"bits_per_dim": bits(nll)}
