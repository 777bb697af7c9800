"""The decoder: residual blocks, then transposed convolutions."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.convolution import transposed_convolution
from vqvae_tf.networks.stack import ConvStack, stages


@keras.saving.register_keras_serializable("vqvae_tf")
class Decoder(ConvStack):
    """Maps latents to parameters on a 2 ** num_upsamples times larger grid.

    The default is the paper's decoder (section 4.1): two residual blocks, two
    transposed convolutions of stride 2 and window 4. Before them, a
    convolution of window 3 maps embeddings of size D to `hidden_channels`.

    Args:
        output_channels: int, channels of the output: as many as the
            likelihood has parameters (`likelihood.num_parameters(3)` for
            RGB); 3 by default.
        hidden_channels: int, channels of the residual blocks.
        num_upsamples: int, the number of transposed convolutions of stride 2.
        stage_channels: channels of each transposed convolution but the last,
            which has `output_channels`; `hidden_channels` by default.
        num_residual_layers: int, the number of residual blocks.
        residual_channels: int, channels inside a block; `hidden_channels` by
            default.
        kernel_size: int, window of the transposed convolutions.
        rank: 1 (waveforms), 2 (images, the default) or 3 (clips).

    Call arguments:
        inputs: float `[batch, *sizes, channels]`.

    Returns:
        `[batch, *sizes * 2 ** num_upsamples, output_channels]`.

    Raises:
        ValueError: for the wrong rank or length of `stage_channels`.

    Example: 8x8 latents of 64 channels to 32x32 RGB.

    >>> decoder = Decoder(output_channels=3)
    >>> decoder(keras.ops.ones([1, 8, 8, 64])).shape
    TensorShape([1, 32, 32, 3])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.1.
    """

    def __init__(
        self,
        output_channels: int = 3,
        hidden_channels: int = 256,
        num_upsamples: int = 2,
        stage_channels: tuple[int, ...] | None = None,
        num_residual_layers: int = 2,
        residual_channels: int | None = None,
        kernel_size: int = 4,
        rank: int = 2,
        **kwargs: Any,
    ) -> None:
        widths = stages(stage_channels, num_upsamples - 1, hidden_channels)
        sizes = (num_residual_layers, residual_channels, kernel_size, rank)
        super().__init__(hidden_channels, widths, *sizes, **kwargs)
        self.output_channels = output_channels
        self.num_upsamples = num_upsamples
        self.conv_in = self.make_conv(hidden_channels, 3, "conv_in")
        self.residuals = self.make_residuals()
        widths = (*self.stage_channels, output_channels)
        doubled = dict(make=transposed_convolution, strides=2)
        self.upsamples = [
            self.make_conv(width, kernel_size, f"up_{i}", **doubled)
            for i, width in enumerate(widths if num_upsamples else ())
        ]
        if not num_upsamples:
            self.upsamples = [self.make_conv(output_channels, 1, "conv_out")]

    @property
    def upsampling(self) -> int:
        """The stride product: ratio of output to latent size."""
        return 2**self.num_upsamples

    def in_order(self) -> list[keras.layers.Layer]:
        return [self.conv_in, self.residuals, *self.upsamples]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = self.residuals(self.conv_in(inputs))
        for layer in self.upsamples[:-1]:
            x = keras.ops.relu(layer(x))
        return self.upsamples[-1](x)
