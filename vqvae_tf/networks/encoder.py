"""The encoder: strided convolutions, then residual blocks."""

import keras

from vqvae_tf.layers.batch_norm import BatchNorm
from vqvae_tf.layers.convolution import check_axes, convolution
from vqvae_tf.layers.residual import ResidualStack
from vqvae_tf.runtime.freezing import Composite


@keras.saving.register_keras_serializable("vqvae_tf")
class Encoder(Composite):
    """Maps data to a grid of latents, smaller by 2 ** num_downsamples.

    The default is the paper's encoder (section 4.1): two convolutions of
    stride 2 and window 4, two residual blocks, all of 256 channels. The
    paper does not say how 256 channels become an embedding of size D; as in
    the authors' Sonnet code, a convolution of window 1 does it.

    Args:
        output_channels: channels of the latents: D, or G * D for G
            codebooks. None leaves out the last projection.
        hidden_channels: channels of the residual blocks.
        num_downsamples: the number of convolutions of stride 2.
        stage_channels: channels of each strided convolution but the last,
            for instance `(64,)` with two; `hidden_channels` by default.
        num_residual_layers: the number of residual blocks.
        residual_channels: channels inside a block; hidden_channels by
            default.
        kernel_size: window of the strided convolutions.
        rank: 1 (waveforms), 2 (images) or 3 (clips).
        batch_norm: whether each channel of the latents has mean 0 and variance
            1 over the global batch (and outside of training by moving
            averages of these). A codebook is used from the start then, where
            an autoregressive decoder would else learn to do without.

    Call arguments:
        inputs: float `[batch, *sizes, channels]`. Sizes may be unknown; a
            size that 2 ** num_downsamples does not divide is rounded up.
        training: whether the batch's own mean and variance are taken.
        weight: float `[batch, *sizes]` of the output, or `[batch]`, 0 at
            padding, which counts in neither; or None.

    Returns:
        `[batch, *sizes / 2 ** num_downsamples, output_channels]`.

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
        output_channels=64,
        hidden_channels=256,
        num_downsamples=2,
        stage_channels=None,
        num_residual_layers=2,
        residual_channels=None,
        kernel_size=4,
        rank=2,
        batch_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.hidden_channels = hidden_channels
        self.num_downsamples = num_downsamples
        self.stage_channels = stages(
            stage_channels, num_downsamples - 1, hidden_channels
        )
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self.rank = rank
        dtype = self.dtype_policy
        widths = (*self.stage_channels, hidden_channels)
        self.downsamples = [
            convolution(
                rank,
                width,
                kernel_size,
                strides=2,
                dtype=dtype,
                name=f"down_{i}",
            )
            for i, width in enumerate(widths if num_downsamples else ())
        ]
        if not num_downsamples:
            self.downsamples = [
                convolution(rank, hidden_channels, 3, dtype=dtype, name="conv")
            ]
        self.residuals = ResidualStack(
            num_residual_layers,
            hidden_channels,
            residual_channels,
            rank=rank,
            dtype=dtype,
            name="residuals",
        )
        self.projection = None
        if output_channels is not None:
            self.projection = convolution(
                rank,
                output_channels,
                1,
                use_bias=not batch_norm,  # which takes the mean away
                dtype=dtype,
                name="projection",
            )
        self.norm = None
        if batch_norm:
            self.norm = BatchNorm(dtype=dtype, name="norm")

    @property
    def downsampling(self) -> int:
        """The stride product: input size over latent size."""
        return 2**self.num_downsamples

    def build(self, input_shape):
        check_axes(self.rank, input_shape)
        shape = input_shape
        for layer in self._layers_in_order():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, inputs, training=False, weight=None):
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

    def _layers_in_order(self):
        tail = [part for part in (self.projection, self.norm) if part]
        return [*self.downsamples, self.residuals, *tail]

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        for layer in self._layers_in_order():
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
            "hidden_channels": self.hidden_channels,
            "num_downsamples": self.num_downsamples,
            "stage_channels": self.stage_channels,
            "num_residual_layers": self.num_residual_layers,
            "residual_channels": self.residual_channels,
            "kernel_size": self.kernel_size,
            "rank": self.rank,
            "batch_norm": self.norm is not None,
        }


def stages(channels, count, default):
    """Returns `count` stage widths, or raises ValueError."""
    count = max(count, 0)
    if channels is None:
        return (default,) * count
    if len(channels) != count:
        raise ValueError(
            f"stage_channels names the channels of {count} strided layers "
            "(all but the one at the latents' resolution). Received: "
            f"stage_channels={tuple(channels)}."
        )
    return tuple(channels)
