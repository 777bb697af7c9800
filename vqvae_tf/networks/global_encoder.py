"""An encoder from a whole grid to one latent."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.networks.encoder import Encoder
from vqvae_tf.networks.stack import check_grid, of_grid
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class GlobalEncoder(Configured, Composite):
    """Maps a whole grid to one latent.

    An `Encoder` downsamples the grid, and a dense layer maps the result to the
    latent. A quantizer of G codebooks makes it G codes, such as the three of
    the second stage on DeepMind Lab (section 4.2).

    Args:
        grid_size: int, S, the side of the (square) grid.
        output_channels: int, channels of the latent: D, or G * D for G
            codebooks; 64 by default.
        hidden_channels, num_downsamples, stage_channels: as for `Encoder`.
        num_residual_layers, residual_channels, kernel_size: as for `Encoder`.

    Call arguments:
        inputs: float `[batch, S, S, channels]`.

    Returns:
        `[batch, 1, 1, output_channels]`.

    Raises:
        ValueError: for a grid of the wrong size.

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
        grid_size: int,
        output_channels: int = 64,
        hidden_channels: int = 256,
        num_downsamples: int = 2,
        stage_channels: tuple[int, ...] | None = None,
        num_residual_layers: int = 2,
        residual_channels: int | None = None,
        kernel_size: int = 4,
        **kwargs: Any,
    ) -> None:
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
        """The grid's side, since the whole grid has one latent."""
        return self.grid_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        check_grid("encoder", self._sizes, input_shape)
        grid = (None, *self._sizes, input_shape[-1])
        self.encoder.build(grid)
        coarse = self.encoder.compute_output_shape(grid)
        self._features = coarse[1] * coarse[2] * coarse[3]
        self.projection.build((None, self._features))
        self.built = True

    @property
    def _sizes(self):
        return (self.grid_size, self.grid_size)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs = of_grid("encoder", self._sizes, inputs)
        x = keras.ops.reshape(self.encoder(inputs), [-1, self._features])
        return self.projection(x)[:, None, None, :]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], 1, 1, self.output_channels)

    def get_config(self) -> dict[str, Any]:
        config = {**self.encoder.get_config(), **super().get_config()}
        del config["rank"], config["batch_norm"]
        return config
