"""A discriminator that judges patches of pictures."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.batch_norm import BatchNorm
from vqvae_tf.layers.group_norm_block import group_norm
from vqvae_tf.layers.spectral_conv import SpectralConv2D
from vqvae_tf.networks.stack import LayerStack
from vqvae_tf.utils.checks import check_choice, check_positive

_NORMS = ("batch", "group", None)
_SLOPE = 0.2
_MOST = 8  # times as many channels as the first layer has
_GROUPS = 8


@keras.saving.register_keras_serializable("vqvae_tf")
class PatchDiscriminator(LayerStack):
    """Convolutions to a map of logits: is this patch of a real picture?

    `num_layers` convolutions of stride 2, each with twice the channels of the
    one before, up to eight times the first's; one of stride 1, and one to
    logits, all of window 4.

    Args:
        hidden_channels: int, of the first convolution; 64 by default.
        num_layers: int, of stride 2; 3 by default, whose convolutions see
            patches of 70 pixels.
        norm: of all but the first and last convolution: "group" (default, 8
            groups), which judges each picture by itself; "batch", as the paper
            but without scale and offset, over the pictures of all replicas, the
            real and the others apart; or None.
        spectral_norm: bool, False by default: whether to divide kernels by
            their largest singular value.

    Call arguments:
        inputs: float `[batch, height, width, channels]`, about in [-1, 1].
        training: bool, whether statistics and singular values follow.
        weight: float `[batch]`, 0 at rows that are padding; or None. Only
            batch normalization uses it.

    Returns:
        Logits `[batch, h, w, 1]`.

    Raises:
        ValueError: for another norm.

    Example:

    >>> network = PatchDiscriminator(16, num_layers=2)
    >>> network(keras.ops.ones([1, 32, 32, 3])).shape
    TensorShape([1, 8, 8, 1])

    References:
        Isola et al. 2017, arXiv:1611.07004, section 3.2; Esser et al. 2021,
        arXiv:2012.09841; Miyato et al. 2018, arXiv:1802.05957 (spectral
        normalization).
    """

    def __init__(
        self,
        hidden_channels: int = 64,
        num_layers: int = 3,
        norm: str | None = "group",
        spectral_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_channels = check_positive(
            "hidden_channels", hidden_channels
        )
        self.num_layers = check_positive("num_layers", num_layers)
        self.norm = check_choice("norm", norm, _NORMS)
        self.spectral_norm = bool(spectral_norm)
        widths = [
            hidden_channels * min(2**i, _MOST) for i in range(num_layers + 1)
        ]
        self.convs = [
            self._conv(width, f"conv_{i}", 2 if i < num_layers else 1, i == 0)
            for i, width in enumerate(widths)
        ]
        self.norms = [self._norm(f"norm_{i + 1}") for i in range(num_layers)]
        self.conv_out = self._conv(1, "conv_out", 1, True)

    def _conv(self, filters, name, strides, unnormalized):
        make = SpectralConv2D if self.spectral_norm else keras.layers.Conv2D
        return make(
            filters,
            4,
            strides,
            "same",
            # A normalization would subtract it again.
            use_bias=unnormalized or self.norm is None,
            kernel_initializer=keras.initializers.RandomNormal(0.0, 0.02),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        if self.norm == "batch":
            return BatchNorm(dtype=self.dtype_policy, name=name)
        if self.norm == "group":
            return group_norm(_GROUPS, name)
        return None

    def in_order(self) -> list[keras.layers.Layer]:
        layers = [self.convs[0]]
        for conv, norm in zip(self.convs[1:], self.norms):
            layers += [conv] if norm is None else [conv, norm]
        return [*layers, self.conv_out]

    def call(
        self,
        inputs: tf.Tensor,
        training: bool = False,
        weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = self._activated(self._convolved(self.convs[0], inputs, training))
        for conv, norm in zip(self.convs[1:], self.norms):
            x = self._convolved(conv, x, training)
            if isinstance(norm, BatchNorm):
                x = norm(x, training=training, weight=weight)
            elif norm is not None:
                x = keras.ops.cast(norm(x), self.compute_dtype)
            x = self._activated(x)
        return self._convolved(self.conv_out, x, training)

    def _convolved(self, layer, x, training):
        if self.spectral_norm:
            return layer(x, training=training)
        return layer(x)

    def _activated(self, x):
        return keras.ops.leaky_relu(x, _SLOPE)
