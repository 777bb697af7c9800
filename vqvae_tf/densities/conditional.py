"""A density whose context is computed by a network."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_head import (
    NO_CODE_LOGIT,
    CodeHead,
)
from vqvae_tf.densities.base import DensityModel, blank, counted_size
from vqvae_tf.densities.conditioning import broadcast_batch, resolve_num_samples
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import split_weight, total
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.padding import pad_last
from vqvae_tf.utils.units import bits


@keras.saving.register_keras_serializable("vqvae_tf")
class ConditionalDensity(DensityModel):
    """p(value | network(context)): network and density are trained together.

    An autoregressive density sees the value's earlier codes, and therefore
    learns little from its context. With `marginal_channels` a second head
    learns the marginal distribution of each code given the context, with the
    loss `sum_t -log p(x_t | context)`. It trains the network to predict the
    value directly, and computes `mode` in one pass for all positions.

    Args:
        network: a layer that maps a context, a dict, to that of the density,
            such as `networks.PastFrames`.
        density: a density, such as a `PixelCNN` with `local_channels`.
        marginal_channels: hidden units per position of the marginals' head;
            None, the default, for no such head.
        marginal_weight: weight of the marginals in the loss, above 0; the
            density's is 1.

    Raises:
        ValueError: for marginals of a density without a local context on its
            own grid.

    Example: the codes of the next frame, given six frames and an action.

    >>> density = ConditionalDensity(
    ...     PastFrames(512, num_past=6, num_actions=9, hidden_channels=32),
    ...     PixelCNN(512, (21, 21), local_channels=32, num_layers=3),
    ... )
    >>> context = {
    ...     "past": tf.zeros([2, 6, 21, 21], tf.int32),
    ...     "action": tf.constant([4, 5]),
    ... }
    >>> codes = tf.zeros([2, 21, 21], tf.int32)
    >>> density.log_prob(codes, context).shape
    TensorShape([2])
    """

    parts = ("network", "density")

    def __init__(
        self,
        network: keras.layers.Layer,
        density: keras.layers.Layer,
        marginal_channels: int | None = None,
        marginal_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "network", network, "network")
        check_role(self, "density", density, "density")
        self.network = network
        self.density = density
        self.marginal_channels = marginal_channels
        self.marginal_weight = marginal_weight
        self.marginals = None
        if marginal_channels is not None:
            self.marginals = self._make_marginals()
            self.add_metric_names(["marginal_bits_per_dim"])

    def _make_marginals(self):
        density = self.density
        self.marginal_channels = check_positive(
            "marginal_channels", self.marginal_channels
        )
        if not 0 < self.marginal_weight < math.inf:
            raise ValueError(
                "marginal_weight must be a positive number. "
                f"Received: {self.marginal_weight!r}."
            )
        if not density.local_channels or density.local_upsampling > 1:
            raise ValueError(
                "Marginals need a density of codes with a local context on "
                f"its own grid. Received: a {type(density).__name__} with "
                f"local_channels={density.local_channels}, "
                f"local_upsampling={density.local_upsampling}."
            )
        return CodeHead(
            sum(density.num_codes),
            1,  # Marginals of different codebooks are independent, too.
            self.marginal_channels,
            density.local_channels,
            dtype=self.dtype_policy,
            name="marginals",
        )

    num_embeddings = property(lambda self: self.density.num_embeddings)
    num_codebooks = property(lambda self: self.density.num_codebooks)
    num_codes = property(lambda self: self.density.num_codes)
    event_shape = property(lambda self: self.density.event_shape)
    global_channels = property(lambda self: self.density.global_channels)
    exact_log_prob = property(lambda self: self.density.exact_log_prob)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for part in (self.network, self.density, self.marginals):
            if part is not None and not part.built:
                part.build(None)
        self.built = True

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        inner = self._context(context, training)
        return self.density.log_prob(value, inner, mask, training)

    def logits(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the density's logits; see `PixelCNN.logits`."""
        inner = self._context(context, training)
        return self.density.logits(value, inner, training)

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws values; arguments as for the density's own `sample`.

        With marginals, temperature 0 returns `mode` instead of the limit of
        low temperatures, which is the most probable code at each position
        given those before it. That would never draw an edge whose position is
        uncertain, since it is improbable at every single position.
        """
        sampling = sampling.checked()
        inner = self._context(context)

        def draw():
            return self.density.sample(
                num_samples, inner, event_shape, **sampling._asdict()
            )

        if self.marginals is None:
            return draw()
        return tf.cond(
            tf.cast(sampling.temperature, tf.float32) > 0,
            draw,
            lambda: self._most_probable(num_samples, inner, sampling),
        )

    def _most_probable(self, num_samples, inner, sampling):
        logits = self._marginal_logits(inner)
        codes = tf.argmax(logits, axis=-1, output_type=tf.int32)
        # Codes `[batch, *grid, G]`.
        given, keep = self.density.check_given(sampling)
        codes = broadcast_batch(
            "context", codes, resolve_num_samples(num_samples, [given, codes])
        )
        if given is None:
            return codes
        if self.num_codebooks == 1:
            return tf.where(keep, given[..., 0], codes)
        return tf.where(keep[..., tf.newaxis], given, codes)

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns the most probable code of each marginal.

        Without marginals, the density's point estimate.
        """
        if self.marginals is None:
            return self.density.mode(self._context(context))
        return self._most_probable(None, self._context(context), Sampling())

    def marginal_logits(
        self, context: dict[str, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Returns logits of each code given the context alone.

        Returns:
            float32 `[batch, *grid, K]`, or `[..., G, K]` with G > 1 codebooks.

        Raises:
            ValueError: for a density without marginals.
        """
        if self.marginals is None:
            raise ValueError(
                "The density was made without marginals. Received: "
                "marginal_channels=None; set it to a number."
            )
        return self._marginal_logits(self._context(context, training))

    def _marginal_logits(self, inner):
        local = tf.cast(inner["local"], self.compute_dtype)
        logits = self.marginals(local, local[..., tf.newaxis, :])[..., 0, :]
        if self.num_codebooks == 1:
            return logits
        each = tf.split(logits, self.num_codes, axis=-1)
        each = [
            pad_last(own, self.num_embeddings, NO_CODE_LOGIT) for own in each
        ]
        return tf.stack(each, axis=-2)

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        if self.marginals is None:
            return super().compute_losses(x, context, weight, training)
        mask, _ = split_weight(weight)
        x, size = blank(x, mask), counted_size(x, weight)
        inner = self._context(context, training)
        log_prob = self.density.log_prob(x, inner, mask, training)
        nll = -tf.math.divide_no_nan(log_prob, size)
        marginal = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.cast(x, tf.int32), self._marginal_logits(inner)
        )
        axes = range(1, len(x.shape))
        if mask is None:
            marginal = tf.reduce_mean(marginal, axes)
        else:
            marginal *= mask if self.num_codebooks == 1 else mask[..., None]
            marginal = tf.reduce_sum(marginal, axes)
            marginal = tf.math.divide_no_nan(marginal, size)
        loss = nll + self.marginal_weight * marginal
        metrics = {
            "bits_per_dim": bits(nll),
            "marginal_bits_per_dim": bits(marginal),
        }
        return loss, total(self.losses), metrics

    def export_signature(self) -> list:
        if not hasattr(self.network, "context_signature"):
            return super().export_signature()
        value, *own = self.density.export_signature()
        context = self.network.context_signature()
        own = {k: v for spec in own for k, v in spec.items() if k == "global"}
        return [value, {**context, **own}]

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        self.density.check_input(x)

    def check_context(self, context: dict[str, tf.Tensor] | None) -> None:
        if context and hasattr(self.network, "check_context"):
            self.network.check_context(context)

    def _context(self, context, training=False):
        if not context:
            raise ValueError(
                "The density needs a context, a dict for its network. "
                f"Received: context={context}."
            )
        if not self.built:
            self.build()
        inner = self.network(context, training=training)
        return {k: tf.cast(v, tf.float32) for k, v in inner.items()}
