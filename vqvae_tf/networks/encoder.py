"""The encoder: strided convolutions, then residual blocks."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.batch_norm import BatchNorm
from vqvae_tf.networks.stack import ConvStack, stages


@keras.saving.register_keras_serializable("vqvae_tf")
class Encoder(ConvStack):
    """Maps data to latents on a 2 ** num_downsamples times smaller grid.

    The default is the paper's encoder (section 4.1): two convolutions of
    stride 2 and window 4, two residual blocks, all of 256 channels. The
    paper does not say how 256 channels are mapped to embeddings of size D;
    here by a convolution of window 1, as in the authors' Sonnet code.

    Args:
        output_channels: int, channels of the latents: D, or G * D for G
            codebooks; 64 by default. None omits the last projection.
        hidden_channels: int, channels of the residual blocks.
        num_downsamples: int, the number of convolutions of stride 2.
        stage_channels: channels of each strided convolution but the last,
            for instance `(64,)` with two; `hidden_channels` by default.
        num_residual_layers: int, the number of residual blocks.
        residual_channels: int, channels inside a block; `hidden_channels` by
            default.
        kernel_size: int, window of the strided convolutions.
        rank: 1 (waveforms), 2 (images, the default) or 3 (clips).
        batch_norm: bool, whether to normalize each channel of the latents to
            mean 0 and variance 1 over the global batch (outside training, by
            moving averages). The codes are then used from the start; otherwise
            an autoregressive decoder may learn to ignore them.

    Call arguments:
        inputs: float `[batch, *sizes, channels]`. Sizes may be unknown; one
            that is not a multiple of 2 ** num_downsamples is rounded up.
        training: bool, whether to normalize by the batch's own statistics.
        weight: float `[batch, *latent sizes]` or `[batch]`, 0 for padded
            latents, which are excluded from these; or None.

    Returns:
        `[batch, *sizes / 2 ** num_downsamples, output_channels]`.

    Raises:
        ValueError: for the wrong rank or length of `stage_channels`.

    Example: 32x32 RGB images to 8x8 latents of 64 channels.

    >>> encoder = Encoder(output_channels=64)
    >>> encoder(keras.ops.ones([1, 32, 32, 3])).shape
    TensorShape([1, 8, 8, 64])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.1.
        Lancucki et al. 2020, arXiv:2005.08520 (`batch_norm`).
    """

    def __init__(
        self,
        output_channels: int | None = 64,
        hidden_channels: int = 256,
        num_downsamples: int = 2,
        stage_channels: tuple[int, ...] | None = None,
        num_residual_layers: int = 2,
        residual_channels: int | None = None,
        kernel_size: int = 4,
        rank: int = 2,
        batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        widths = stages(stage_channels, num_downsamples - 1, hidden_channels)
        sizes = (num_residual_layers, residual_channels, kernel_size, rank)
        super().__init__(hidden_channels, widths, *sizes, **kwargs)
        self.output_channels = output_channels
        self.num_downsamples = num_downsamples
        self.batch_norm = bool(batch_norm)
        widths = (*self.stage_channels, hidden_channels)
        self.downsamples = [
            self.make_conv(width, kernel_size, f"down_{i}", strides=2)
            for i, width in enumerate(widths if num_downsamples else ())
        ]
        if not num_downsamples:
            self.downsamples = [self.make_conv(hidden_channels, 3, "conv")]
        self.residuals = self.make_residuals()
        self.projection = self.norm = None
        if output_channels is not None:
            self.projection = self.make_conv(
                output_channels,
                1,
                "projection",
                use_bias=not batch_norm,  # which would subtract it again
            )
        if batch_norm:
            self.norm = BatchNorm(dtype=self.dtype_policy, name="norm")

    @property
    def downsampling(self) -> int:
        """The stride product: ratio of input to latent size."""
        return 2**self.num_downsamples

    def in_order(self) -> list[keras.layers.Layer]:
        tail = [part for part in (self.projection, self.norm) if part]
        return [*self.downsamples, self.residuals, *tail]

    def call(
        self,
        inputs: tf.Tensor,
        training: bool = False,
        weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = inputs
        last = len(self.downsamples) - 1
        for i, layer in enumerate(self.downsamples):
            # The residual blocks start with a ReLU of their own.
            x = layer(x) if i == last else keras.ops.relu(layer(x))
        x = self.residuals(x)
        if self.projection is not None:
            x = self.projection(x)
        if self.norm is None:
            return x
        return self.norm(x, training=training, weight=weight)
