"""A density whose dimensions are independent given the context."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel
from vqvae_tf.densities.conditioning import (
    after,
    broadcast_batch,
    check_same_batch,
    resolve_num_samples,
)
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.utils import tensor_checks


@keras.saving.register_keras_serializable("vqvae_tf")
class FactorizedDensity(DensityModel):
    """p(x | z) = prod_i p(x_i | network(z)_i): the usual image decoder.

    Args:
        network: maps the local context (a quantizer's output, say) to the
            parameters of the likelihood; for instance a `networks.Decoder`.
        likelihood: a `densities.Likelihood`.
        local_shape: shape of the local context without its batch, None for
            sizes that vary, from which `build` creates the network's
            variables; by default that of the first call.

    Context: `"local"` is needed; a `"global"` entry is not used.

    Example: a decoder of 8x8 latents to the likelihood of 32x32 RGB images.

    >>> likelihood = Gaussian()
    >>> decoder = Decoder(likelihood.num_parameters(3), hidden_channels=32)
    >>> density = FactorizedDensity(decoder, likelihood)
    >>> images = tf.zeros([2, 32, 32, 3], tf.uint8)
    >>> density.log_prob(images, {"local": tf.zeros([2, 8, 8, 64])}).shape
    TensorShape([2])
    """

    parts = ("network", "likelihood")
    has_mode = True

    def __init__(
        self,
        network: keras.layers.Layer,
        likelihood: keras.layers.Layer,
        local_shape: tuple[int | None, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_role(self, "network", network, "network")
        check_role(self, "likelihood", likelihood, "likelihood")
        self.network = network
        self.likelihood = likelihood
        self.local_shape = None if local_shape is None else tuple(local_shape)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Creates the variables; the network's only if `local_shape` is set."""
        if not self.likelihood.built:
            self.likelihood.build(None)
        if self.local_shape is not None and not self.network.built:
            # By a call, since a network may be any Keras model.
            self.network(keras.KerasTensor((None, *self.local_shape)))
        self.built = True

    def parameters(
        self, context: dict[str, tf.Tensor] | None, training: bool = False
    ) -> tf.Tensor:
        """Returns the likelihood's parameters, float32."""
        local = self._local(context)
        tensor_checks.check_finite('context["local"]', local)
        outputs = self.network(local, training=training)
        return tf.cast(outputs, tf.float32)

    def _local(self, context):
        """Returns the entry `"local"` of a context, a tensor or symbolic."""
        if not context or context.get("local") is None:
            raise ValueError(
                'A factorized density needs a context {"local": latents}. '
                f"Received: context={_keys(context)}."
            )
        if not self.built:
            self.build()
        local = context["local"]
        if not isinstance(local, keras.KerasTensor):
            local = tf.convert_to_tensor(local)
        if len(local.shape) < 2:
            raise ValueError(
                'context["local"] must have shape [batch, *grid, channels]. '
                f"Received: shape {tuple(local.shape)}."
            )
        if self.local_shape is None:
            sizes = [None] * (len(local.shape) - 2)
            self.local_shape = (*sizes, local.shape[-1])
        return local

    def compute_output_spec(
        self,
        value: keras.KerasTensor,
        context: dict[str, keras.KerasTensor] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> keras.KerasTensor:
        # A graph of the likelihood would take longer than all the network.
        self._check_known_shapes(value, self.network(self._local(context)))
        return keras.KerasTensor((value.shape[0],), "float32")

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        parameters = self.parameters(context, training)
        value = self.check_shapes(value, parameters)
        log_prob = self.likelihood.log_prob(parameters, value)
        if mask is not None:
            mask = tf.cast(mask, tf.float32)
            log_prob = tf.reduce_sum(log_prob, axis=-1) * mask
        return tf.reduce_sum(log_prob, axis=range(1, len(log_prob.shape)))

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
            context: `{"local": [batch, *grid, channels]}`.
            event_shape: unused; the context determines the shape.
            temperature: scales the spread, finite; 0 returns `mode`.
            top_k, top_p: not for factorized densities; must be None.
            seed: an integer, or int32 [2].
            given, given_mask: values to keep where the mask `[batch, *sizes]`
                is true; those must be whole numbers in the likelihood's range.

        Returns:
            `[batch, *sizes, channels]`, uint8.
        """
        if sampling.is_filtered:
            raise ValueError(
                "top_k and top_p choose among codes; a factorized likelihood "
                f"of pixels has none. Received: top_k={sampling.top_k}, "
                f"top_p={sampling.top_p}."
            )
        sampling = sampling.checked()
        parameters = self._finite_parameters(context)
        num_samples = resolve_num_samples(num_samples, [parameters])
        parameters = broadcast_batch("context", parameters, num_samples)
        draw = self.likelihood.sample(
            parameters, sampling.seed, sampling.temperature
        )
        if sampling.given is None:
            return draw
        keep = tf.cast(sampling.given_mask, tf.bool)[..., tf.newaxis]
        given = tensor_checks.as_tensor("given", sampling.given)
        given = tf.where(keep, given, tf.zeros_like(given))
        tensor_checks.check_levels(
            given, getattr(self.likelihood, "num_levels", 256)
        )
        return tf.where(keep, tf.cast(given, draw.dtype), draw)

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns the point estimate, uint8 `[batch, *sizes, channels]`."""
        return self.likelihood.mode(self._finite_parameters(context))

    def _finite_parameters(self, context):
        """Returns checked parameters, since NaN would become black pixels."""
        parameters = self.parameters(_finite(context))
        # They overflow for huge latents, and weights may be NaN.
        tensor_checks.check_finite("The decoder's outputs", parameters)
        return parameters

    def export_signature(self) -> list:
        if self.local_shape is None:
            return super().export_signature()
        local = tf.TensorSpec([None, *self.local_shape], tf.float32, "local")
        shape = self.network.compute_output_shape(tuple(local.shape))
        channels = self.likelihood.num_channels(shape[-1])
        x = tf.TensorSpec([*shape[:-1], channels], tf.float32, "x")
        return [x, {"local": local}]

    def _check_known_shapes(self, value, parameters):
        """Raises ValueError for shapes that cannot agree."""
        channels = self.likelihood.num_channels(parameters.shape[-1])
        shape = (*parameters.shape[:-1], channels)
        if len(value.shape) and value.shape[-1] not in (None, channels):
            wanted = self.likelihood.num_parameters(value.shape[-1])
            raise ValueError(
                f"The network's {parameters.shape[-1]} outputs stand for "
                f"values of {channels} channels. Received: values of shape "
                f"{tuple(value.shape)}. Set output_channels={wanted} for them."
            )
        compatible = len(shape) == len(value.shape) and all(
            a is None or b is None or a == b
            for a, b in zip(shape[1:], value.shape[1:])
        )
        if not compatible:
            raise ValueError(
                f"The network's output stands for values of shape {shape}. "
                f"Received: values of shape {tuple(value.shape)}. Sizes must "
                "be multiples of the stride product; crop or pad the data."
            )

    def check_shapes(
        self, value: tf.Tensor, parameters: tf.Tensor
    ) -> tf.Tensor:
        """Returns the value, of a shape that agrees with the parameters'.

        Raises:
            ValueError: for another shape; `InvalidArgumentError` for sizes that
                are known only when a graph runs.
        """
        self._check_known_shapes(value, parameters)
        check_same_batch('context["local"]', parameters, "the values", value)
        known = (*parameters.shape[1:-1], *value.shape[1:-1])
        if None not in known:
            return value
        # Otherwise shapes would broadcast: one pixel would fit any picture.
        same = tf.debugging.assert_equal(
            tf.shape(value)[1:-1],
            tf.shape(parameters)[1:-1],
            "The network's output stands for values of other sizes. Sizes "
            "must be multiples of the stride product; crop or pad the data.",
        )
        return after(same, value)


def _finite(context):
    """Returns a context whose local entry is checked to be finite."""
    if not context or context.get("local") is None:
        return context  # `parameters` raises the error
    local = tensor_checks.finite('context["local"]', context["local"])
    return {**context, "local": local}


def _keys(context):
    return None if context is None else sorted(context)
