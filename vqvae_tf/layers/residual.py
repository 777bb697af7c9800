"""The residual blocks of the VQ-VAE's encoder and decoder."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import check_axes, check_rank, convolution
from vqvae_tf.runtime.freezing import Composite


class Residual(Configured, Composite):
    """Sizes and shapes of a residual block or a stack of them."""

    def __init__(
        self,
        channels: int,
        residual_channels: int | None,
        kernel_size: int,
        rank: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_rank(rank)
        self.channels = channels
        self.residual_channels = residual_channels or channels
        self.kernel_size = kernel_size
        self.rank = rank

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualBlock(Residual):
    """`x + conv1(relu(conv3(relu(x))))`, as in section 4.1 of the paper.

    Args:
        channels: int, the number of channels of input and output.
        residual_channels: int, the number of channels between the two
            convolutions; `channels` by default.
        kernel_size: int, of the first convolution; 3 by default. The second
            has 1.
        rank: 1, 2 (the default) or 3 spatial axes.

    Call arguments:
        inputs: float `[batch, *sizes, channels]` with `rank` sizes.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: for the wrong number of channels or rank.

    Example:

    >>> block = ResidualBlock(channels=64, residual_channels=32)
    >>> block(keras.ops.ones([1, 8, 8, 64])).shape
    TensorShape([1, 8, 8, 64])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.1.
    """

    def __init__(
        self,
        channels: int,
        residual_channels: int | None = None,
        kernel_size: int = 3,
        rank: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            channels, residual_channels, kernel_size, rank, **kwargs
        )
        dtype = self.dtype_policy
        self.conv_in = convolution(
            rank,
            self.residual_channels,
            kernel_size,
            dtype=dtype,
            name="conv_in",
        )
        self.conv_out = convolution(
            rank, channels, 1, dtype=dtype, name="conv_out"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        check_axes(self.rank, input_shape)
        if input_shape[-1] != self.channels:
            raise ValueError(
                f"The block adds its input to {self.channels} channels. "
                f"Received: inputs of shape {tuple(input_shape)}. Set "
                f"channels={input_shape[-1]}, or project the inputs first."
            )
        self.conv_in.build(input_shape)
        self.conv_out.build((*input_shape[:-1], self.residual_channels))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = self.conv_in(keras.ops.relu(inputs))
        return inputs + self.conv_out(keras.ops.relu(x))


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualStack(Residual):
    """`num_layers` residual blocks and a final ReLU.

    Args:
        num_layers: int, the number of blocks; 0 leaves only the ReLU.
        channels, residual_channels, kernel_size, rank: as for
            `ResidualBlock`.

    Call arguments:
        inputs: float `[batch, *sizes, channels]` with `rank` sizes.

    Returns:
        A tensor of the shape of `inputs`.

    Example:

    >>> stack = ResidualStack(num_layers=2, channels=16, rank=1)
    >>> stack(keras.ops.ones([1, 100, 16])).shape
    TensorShape([1, 100, 16])
    """

    def __init__(
        self,
        num_layers: int,
        channels: int,
        residual_channels: int | None = None,
        kernel_size: int = 3,
        rank: int = 2,
        **kwargs: Any,
    ) -> None:
        sizes = (channels, residual_channels, kernel_size, rank)
        super().__init__(*sizes, **kwargs)
        self.num_layers = num_layers
        dtype = self.dtype_policy
        self.blocks = [
            ResidualBlock(*sizes, dtype=dtype, name=f"block_{i}")
            for i in range(num_layers)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for block in self.blocks:
            block.build(input_shape)
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = inputs
        for block in self.blocks:
            x = block(x)
        return keras.ops.relu(x)
