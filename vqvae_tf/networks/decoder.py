"""The decoder: residual blocks, then transposed convolutions."""

import keras

from vqvae_tf.layers.convolution import (
    check_axes,
    convolution,
    transposed_convolution,
)
from vqvae_tf.layers.residual import ResidualStack
from vqvae_tf.networks.encoder import stages
from vqvae_tf.runtime.freezing import Composite


@keras.saving.register_keras_serializable("vqvae_tf")
class Decoder(Composite):
    """Maps a grid of latents to parameters, larger by 2 ** num_upsamples.

    The default is the paper's decoder (section 4.1): two residual blocks, two
    transposed convolutions of stride 2 and window 4. A convolution of window
    3 brings the embedding of size D to `hidden_channels` first.

    Args:
        output_channels: channels of the output; what the likelihood wants
            (`likelihood.num_parameters(3)` for RGB).
        hidden_channels: channels of the residual blocks.
        num_upsamples: the number of transposed convolutions of stride 2.
        stage_channels: channels of each transposed convolution but the last,
            which has `output_channels`; `hidden_channels` by default.
        num_residual_layers: the number of residual blocks.
        residual_channels: channels inside a block; hidden_channels by
            default.
        kernel_size: window of the transposed convolutions.
        rank: 1 (waveforms), 2 (images) or 3 (clips).

    Call arguments:
        inputs: float `[batch, *sizes, channels]`.

    Returns:
        `[batch, *sizes * 2 ** num_upsamples, output_channels]`.

    Example: 8x8 latents of 64 channels to 32x32 RGB.

    >>> decoder = Decoder(output_channels=3)
    >>> decoder(keras.ops.ones([1, 8, 8, 64])).shape
    TensorShape([1, 32, 32, 3])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.1.
    """

    def __init__(
        self,
        output_channels=3,
        hidden_channels=256,
        num_upsamples=2,
        stage_channels=None,
        num_residual_layers=2,
        residual_channels=None,
        kernel_size=4,
        rank=2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.hidden_channels = hidden_channels
        self.num_upsamples = num_upsamples
        self.stage_channels = stages(
            stage_channels, num_upsamples - 1, hidden_channels
        )
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self.rank = rank
        dtype = self.dtype_policy
        self.conv_in = convolution(
            rank, hidden_channels, 3, dtype=dtype, name="conv_in"
        )
        self.residuals = ResidualStack(
            num_residual_layers,
            hidden_channels,
            residual_channels,
            rank=rank,
            dtype=dtype,
            name="residuals",
        )
        widths = (*self.stage_channels, output_channels)
        self.upsamples = [
            transposed_convolution(
                rank, width, kernel_size, strides=2, dtype=dtype, name=f"up_{i}"
            )
            for i, width in enumerate(widths if num_upsamples else ())
        ]
        if not num_upsamples:
            self.upsamples = [
                convolution(
                    rank, output_channels, 1, dtype=dtype, name="conv_out"
                )
            ]

    @property
    def upsampling(self) -> int:
        """The stride product: output size over latent size."""
        return 2**self.num_upsamples

    def build(self, input_shape):
        check_axes(self.rank, input_shape)
        shape = input_shape
        for layer in self._layers_in_order():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, inputs):
        x = self.residuals(self.conv_in(inputs))
        for layer in self.upsamples[:-1]:
            x = keras.ops.relu(layer(x))
        return self.upsamples[-1](x)

    def _layers_in_order(self):
        return [self.conv_in, self.residuals, *self.upsamples]

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        for layer in self._layers_in_order():
            shape = layer.compute_output_shape(shape)
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
            "hidden_channels": self.hidden_channels,
            "num_upsamples": self.num_upsamples,
            "stage_channels": self.stage_channels,
            "num_residual_layers": self.num_residual_layers,
            "residual_channels": self.residual_channels,
            "kernel_size": self.kernel_size,
            "rank": self.rank,
        }
