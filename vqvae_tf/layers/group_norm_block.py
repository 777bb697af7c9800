"""A residual block with group normalization and swish."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution
from vqvae_tf.layers.dropout import Dropout
from vqvae_tf.layers.group_norm import GroupNorm
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


def group_norm(num_groups: int, name: str) -> keras.layers.Layer:
    """Returns a group normalization, computed in float32."""
    return GroupNorm(num_groups, epsilon=1e-5, dtype="float32", name=name)


@keras.saving.register_keras_serializable("vqvae_tf")
class GroupNormBlock(Configured, Composite):
    """Twice normalization, swish and convolution, and a shortcut.

    Group normalization is of each example by itself, so any number of replicas
    computes the same, and there are no moving averages.

    Args:
        channels: int, of the output; a multiple of `num_groups`.
        strides: int, of the first convolution; 1 by default. With more, or
            another number of channels, the shortcut is a convolution of window
            1.
        num_groups: int, groups of channels that are normalized together; 8 by
            default. The channels of the input must be a multiple of it, too.
        dropout: float, share of the activations dropped before the second
            convolution; 0 by default.
        kernel_size: int, window of both; 3 by default.
        rank: 1, 2 (default) or 3 axes of positions.
        seed: int, of the dropout; a random one by default.

    Call arguments:
        inputs: float `[batch, *sizes, C]`.
        training: bool, whether to drop.

    Returns:
        `[batch, *sizes / strides, channels]`.

    Raises:
        ValueError: for channels that are no multiple of the groups.

    Example:

    >>> block = GroupNormBlock(16, strides=2)
    >>> block(keras.ops.ones([1, 8, 8, 8])).shape
    TensorShape([1, 4, 4, 16])

    References:
        He et al. 2016, arXiv:1603.05027 (the order); Wu and He 2018,
        arXiv:1803.08494 (group normalization).
    """

    def __init__(
        self,
        channels: int,
        strides: int = 1,
        num_groups: int = 8,
        dropout: float = 0.0,
        kernel_size: int = 3,
        rank: int = 2,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = check_positive("channels", channels)
        self.strides = check_positive("strides", strides)
        self.num_groups = check_positive("num_groups", num_groups)
        self.kernel_size = kernel_size
        self.rank = rank
        dtype = self.dtype_policy
        self.norm_in = group_norm(num_groups, "norm_in")
        self.conv_in = convolution(
            rank,
            channels,
            kernel_size,
            strides=strides,
            dtype=dtype,
            name="conv_in",
        )
        self.norm_out = group_norm(num_groups, "norm_out")
        self.drop = Dropout(dropout, seed=seed, dtype=dtype, name="drop")
        self.dropout, self.seed = self.drop.rate, self.drop.seed
        self.conv_out = convolution(
            rank, channels, kernel_size, dtype=dtype, name="conv_out"
        )
        self.shortcut = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for channels in (input_shape[-1], self.channels):
            if channels % self.num_groups:
                raise ValueError(
                    "Channels must be a multiple of num_groups="
                    f"{self.num_groups}. Received: {channels} channels."
                )
        self.norm_in.build(input_shape)
        self.conv_in.build(input_shape)
        inner = self.conv_in.compute_output_shape(input_shape)
        self.norm_out.build(inner)
        self.conv_out.build(inner)
        if self.strides > 1 or input_shape[-1] != self.channels:
            self.shortcut = convolution(
                self.rank,
                self.channels,
                1,
                strides=self.strides,
                dtype=self.dtype_policy,
                name="shortcut",
            )
            self.shortcut.build(input_shape)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.conv_in(keras.ops.silu(self.norm_in(inputs)))
        x = keras.ops.silu(self.norm_out(x))
        x = self.conv_out(self.drop(x, training=training))
        if self.shortcut is not None:
            inputs = self.shortcut(inputs)
        return keras.ops.cast(inputs, x.dtype) + x

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return self.conv_in.compute_output_shape(input_shape)
