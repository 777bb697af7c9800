"""An encoder of a whole grid to one latent."""

import keras
import tensorflow as tf

from vqvae_tf.layers.convolution import check_axes
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.networks.encoder import Encoder
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class GlobalEncoder(Composite):
    """Maps a whole grid to one latent, which sees all of it.

    An `Encoder` makes the grid coarser, then a dense layer takes all that is
    left. With a quantizer of G codebooks the latent becomes G codes: the three
    of the second stage on DeepMind Lab (section 4.2).

    Args:
        grid_size: S, the sides of the (square) grid.
        output_channels: channels of the latent: D, or G * D for G codebooks.
        hidden_channels, num_downsamples, stage_channels, num_residual_layers,
            residual_channels, kernel_size: as of `Encoder`.

    Call arguments:
        inputs: float `[batch, S, S, channels]`.

    Returns:
        `[batch, 1, 1, output_channels]`.

    Raises:
        ValueError: for a grid of another size.

    Example: three latents of 64 channels for embedded 21x21 codes.

    >>> encoder = GlobalEncoder(21, output_channels=3 * 64, hidden_channels=32)
    >>> encoder(keras.ops.ones([1, 21, 21, 16])).shape
    TensorShape([1, 1, 1, 192])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.2.
    """

    rank = 2

    def __init__(
        self,
        grid_size,
        output_channels=64,
        hidden_channels=256,
        num_downsamples=2,
        stage_channels=None,
        num_residual_layers=2,
        residual_channels=None,
        kernel_size=4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.grid_size = check_positive("grid_size", grid_size)
        self.output_channels = check_positive(
            "output_channels", output_channels
        )
        self.encoder = Encoder(
            None,
            hidden_channels,
            num_downsamples,
            stage_channels,
            num_residual_layers,
            residual_channels,
            kernel_size,
            dtype=self.dtype_policy,
            name="encoder",
        )
        self.projection = InnerDense(
            output_channels, dtype=self.dtype_policy, name="projection"
        )

    @property
    def downsampling(self) -> int:
        """The grid's side: one latent stands for all of it."""
        return self.grid_size

    def build(self, input_shape):
        self._check_grid(input_shape)
        grid = (None, self.grid_size, self.grid_size, input_shape[-1])
        self.encoder.build(grid)
        coarse = self.encoder.compute_output_shape(grid)
        self._features = coarse[1] * coarse[2] * coarse[3]
        self.projection.build((None, self._features))
        self.built = True

    def _check_grid(self, shape):
        check_axes(self.rank, shape)
        sizes = tuple(shape[1:-1])
        if any(size not in (None, self.grid_size) for size in sizes):
            raise ValueError(
                f"The encoder was made for grids of {self.grid_size} x "
                f"{self.grid_size}. Received: inputs of shape {tuple(shape)}."
            )

    def call(self, inputs):
        # Also here: a larger grid would be read as several.
        self._check_grid(inputs.shape)
        grid = [None, self.grid_size, self.grid_size, None]
        inputs = tf.ensure_shape(inputs, grid)
        x = keras.ops.reshape(self.encoder(inputs), [-1, self._features])
        return self.projection(x)[:, None, None, :]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, 1, self.output_channels)

    def get_config(self):
        inner = self.encoder.get_config()
        names = (
            "hidden_channels num_downsamples stage_channels "
            "num_residual_layers residual_channels kernel_size"
        ).split()
        return {
            **super().get_config(),
            "grid_size": self.grid_size,
            "output_channels": self.output_channels,
            **{name: inner[name] for name in names},
        }
