"""The residual blocks of the VQ-VAE's encoder and decoder."""

import keras

from vqvae_tf.layers.convolution import check_axes, check_rank, convolution
from vqvae_tf.runtime.freezing import Composite


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualBlock(Composite):
    """`x + conv1(relu(conv3(relu(x))))`, as section 4.1 of the paper.

    Args:
        channels: the number of channels of input and output.
        residual_channels: the number of channels between the two
            convolutions; as many as `channels` by default.
        kernel_size: of the first convolution; the second is 1 wide.
        rank: 1, 2 or 3 spatial axes.

    Call arguments:
        inputs: float `[batch, *sizes, channels]` with `rank` sizes.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: for another number of channels or another rank.

    Example:

    >>> block = ResidualBlock(channels=64, residual_channels=32)
    >>> block(keras.ops.ones([1, 8, 8, 64])).shape
    TensorShape([1, 8, 8, 64])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.1.
    """

    def __init__(
        self, channels, residual_channels=None, kernel_size=3, rank=2, **kwargs
    ):
        super().__init__(**kwargs)
        check_rank(rank)
        self.channels = channels
        self.residual_channels = residual_channels or channels
        self.kernel_size = kernel_size
        self.rank = rank
        self.conv_in = convolution(
            rank,
            self.residual_channels,
            kernel_size,
            dtype=self.dtype_policy,
            name="conv_in",
        )
        self.conv_out = convolution(
            rank, channels, 1, dtype=self.dtype_policy, name="conv_out"
        )

    def build(self, input_shape):
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

    def call(self, inputs):
        x = self.conv_in(keras.ops.relu(inputs))
        return inputs + self.conv_out(keras.ops.relu(x))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "residual_channels": self.residual_channels,
            "kernel_size": self.kernel_size,
            "rank": self.rank,
        }


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualStack(Composite):
    """`num_layers` residual blocks and a final ReLU.

    Args:
        num_layers: the number of blocks; 0 leaves the ReLU alone.
        channels, residual_channels, kernel_size, rank: as in
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
        num_layers,
        channels,
        residual_channels=None,
        kernel_size=3,
        rank=2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.channels = channels
        self.residual_channels = residual_channels or channels
        self.kernel_size = kernel_size
        self.rank = rank
        self.blocks = [
            ResidualBlock(
                channels,
                residual_channels,
                kernel_size,
                rank,
                dtype=self.dtype_policy,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]

    def build(self, input_shape):
        for block in self.blocks:
            block.build(input_shape)
        self.built = True

    def call(self, inputs):
        x = inputs
        for block in self.blocks:
            x = block(x)
        return keras.ops.relu(x)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "channels": self.channels,
            "residual_channels": self.residual_channels,
            "kernel_size": self.kernel_size,
            "rank": self.rank,
        }
