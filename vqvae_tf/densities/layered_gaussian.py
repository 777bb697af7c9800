"""Gaussian layers given a vector, each given the layers above it too."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks.stochastic import distributions
from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.conditioning import (
    broadcast_batch,
    check_context,
    check_same_batch,
    resolve_num_samples,
    size_of,
)
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive

# Bounds of log sigma: beyond them float32 loses what a density says.
_LOWEST, _HIGHEST = -7.0, 7.0


class Gaussians(NamedTuple):
    """Independent normal distributions.

    Attributes:
        mean, scale: float32 `[batch, channels]`.
    """

    mean: tf.Tensor
    scale: tf.Tensor

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        """Returns log p(value), `[batch]` nats, of `[batch, channels]`."""
        found = distributions().Normal(*self).log_prob(value)
        return tf.reduce_sum(found, axis=-1)

    def kl_divergence(self, other: "Gaussians") -> tf.Tensor:
        """Returns KL(self || other), `[batch]` nats."""
        normal = distributions().Normal
        found = normal(*self).kl_divergence(normal(*other))
        return tf.reduce_sum(found, axis=-1)


@keras.saving.register_keras_serializable("vqvae_tf")
class LayeredGaussian(DensityModel):
    """p(z | c) = prod_l N(z_l; mu_l, sigma_l^2), the top layer first.

    The "D map" gives the parameters of a layer, from u, which joins the
    context c and the layer above: `[mu, log sigma] = W3 (tanh(W1 u) *
    sigmoid(W2 u))`. log sigma is kept within -7..7.

    Args:
        sizes: the number of latents of each layer, from the top down. A value
            has all of them in this order.
        global_channels: int, the length of c.
        hidden_units: int, the outputs of W1 and of W2; 50 by default.

    Context: `"global"`, float `[batch, global_channels]`.

    Raises:
        ValueError: for sizes that are not positive integers, or none.

    Example: two layers of four latents given a vector of 16.

    >>> density = LayeredGaussian((4, 4), global_channels=16)
    >>> context = {"global": tf.zeros([3, 16])}
    >>> z = density.sample(context=context, seed=0)
    >>> z.shape, density.log_prob(z, context).shape
    (TensorShape([3, 8]), TensorShape([3]))

    References:
        Gregor et al. 2019, arXiv:1806.03107, appendix D (the D map, and
        several layers of latents).
    """

    has_mode = True

    def __init__(
        self,
        sizes: Sequence[int],
        global_channels: int,
        hidden_units: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = sizes if np.iterable(sizes) else (sizes,)
        self.sizes = tuple(check_positive("Each of sizes", n) for n in sizes)
        if not self.sizes:
            raise ValueError("sizes needs at least one layer. Received: none.")
        self.global_channels = check_positive(
            "global_channels", global_channels
        )
        self.hidden_units = check_positive("hidden_units", hidden_units)
        dtype = self.dtype_policy
        self.hidden = [
            InnerDense(2 * self.hidden_units, dtype=dtype, name=f"hidden_{i}")
            for i in range(len(self.sizes))
        ]
        self.outputs_of = [
            InnerDense(2 * size, dtype=dtype, name=f"outputs_{i}")
            for i, size in enumerate(self.sizes)
        ]

    @property
    def channels(self) -> int:
        """The number of latents of all layers."""
        return sum(self.sizes)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        above = (0, *self.sizes)
        for hidden, outputs, size in zip(self.hidden, self.outputs_of, above):
            hidden.build((None, self.global_channels + size))
            outputs.build((None, self.hidden_units))
        self.built = True

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        if mask is not None:
            raise ValueError(
                "A LayeredGaussian has no positions to leave out. Received: a "
                f"mask of shape {tuple(mask.shape)}."
            )
        return self.given(value, context).log_prob(self._checked(value))

    def given(
        self, value: tf.Tensor, context: dict[str, tf.Tensor]
    ) -> Gaussians:
        """Returns the distribution of each latent given the layers above.

        Args:
            value: float `[batch, channels]`, whose upper layers are given.
            context: see the class.
        """
        value, c = self._checked(value), self._context(context)
        check_same_batch('context["global"]', c, "the values", value)
        c = broadcast_batch("context", c, size_of(value, 0))
        layers = [None, *tf.split(value, self.sizes, axis=-1)]
        found = [
            self._layer(i, c, above) for i, above in enumerate(layers[:-1])
        ]
        return _joined(found)

    def transform(
        self, noise: tf.Tensor, context: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, Gaussians]:
        """Turns standard normal noise into a sample, with its gradient.

        Args:
            noise: float `[batch, channels]`.
            context: see the class.

        Returns:
            The sample `[batch, channels]`, and `given` of it.
        """
        c, above = self._context(context), None
        found, drawn = [], []
        for i, eps in enumerate(tf.split(noise, self.sizes, axis=-1)):
            found.append(self._layer(i, c, above))
            above = found[-1].mean + found[-1].scale * eps
            drawn.append(above)
        return tf.concat(drawn, axis=-1), _joined(found)

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
    ) -> tf.Tensor:
        """Draws one value for each row of the context.

        Args:
            num_samples: by default the batch size of the context, which must
                otherwise equal this or 1.
            context: see the class.
            event_shape: unused; `sizes` determine it.
            temperature: scales the spread; 0 returns `mode`.
            seed: an integer, or int32 [2].
            top_k, top_p, given, given_mask: must be None.

        Returns:
            float32 `[num_samples, channels]`.
        """
        if sampling.is_filtered or sampling.given is not None:
            raise ValueError(
                "Gaussian latents have no codes to choose among or to "
                "complete. Received: top_k, top_p or given."
            )
        sampling = sampling.checked()
        c = self._context(context)
        num_samples = resolve_num_samples(num_samples, [c])
        c = broadcast_batch("context", c, num_samples)
        shape = tf.stack([num_samples, self.channels])
        noise = random.normal(shape, sampling.seed)
        noise *= tf.cast(sampling.temperature, tf.float32)
        return self.transform(noise, {"global": c})[0]

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns each layer's mean given those above, `[batch, channels]`."""
        rows = tf.shape(self._context(context))[0]
        return self.transform(tf.zeros([rows, self.channels]), context)[0]

    def export_signature(self) -> list:
        c = tf.TensorSpec([None, self.global_channels], tf.float32)
        z = tf.TensorSpec([None, self.channels], tf.float32, "x")
        return [z, {"global": c}]

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        tensor_checks.check_finite("Values", self._checked(x))

    def compute_output_spec(
        self, value: keras.KerasTensor, *args: Any, **kwargs: Any
    ) -> keras.KerasTensor:
        if not self.built:
            self.build()
        return keras.KerasTensor((value.shape[0],), "float32")

    def _layer(self, index, c, above):
        """Returns the distribution of a layer given the one above."""
        u = c if above is None else tf.concat([c, above], axis=-1)
        u = self.hidden[index](tf.cast(u, self.compute_dtype))
        squashed, gate = tf.split(u, 2, axis=-1)
        outputs = self.outputs_of[index](tf.tanh(squashed) * tf.sigmoid(gate))
        outputs = tf.cast(outputs, tf.float32)
        mean, log_scale = tf.split(outputs, 2, axis=-1)
        log_scale = tf.clip_by_value(log_scale, _LOWEST, _HIGHEST)
        return Gaussians(mean, tf.exp(log_scale))

    def _context(self, context):
        if not self.built:
            self.build()
        c, _ = check_context(context, self.global_channels, None, 0)
        return c

    def _checked(self, value):
        value = tensor_checks.as_tensor("Values", value)
        if len(value.shape) != 2 or value.shape[-1] != self.channels:
            raise ValueError(
                f"Values must have shape [batch, {self.channels}], all layers "
                f"side by side. Received: shape {tuple(value.shape)}."
            )
        return tf.cast(value, tf.float32)


def _joined(layers):
    return Gaussians(*(tf.concat(each, axis=-1) for each in zip(*layers)))
