"""Dense networks between a whole picture and one latent."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.networks.stack import LayerStack, check_grid, of_grid
from vqvae_tf.utils.checks import check_positive


class DenseStack(LayerStack):
    """Hidden dense layers and a linear one, for grids of a fixed size.

    Subclasses define `kind`, a noun for errors, `grid`, the sizes of their
    inputs, `num_outputs` and `check_size`.
    """

    def __init__(
        self,
        output_channels: int,
        picture_size: int | tuple[int, int],
        hidden_units: tuple[int, ...] = (500, 500),
        activation: str | Callable | None = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_channels = check_positive(
            "output_channels", output_channels
        )
        self.picture_size = self.check_size(picture_size)
        self.hidden_units = _check_units(hidden_units)
        self.activation = keras.activations.get(activation)
        dtype = self.dtype_policy
        self.hidden = [
            InnerDense(units, self.activation, dtype=dtype, name=f"hidden_{i}")
            for i, units in enumerate(self.hidden_units)
        ]
        self.projection = InnerDense(
            self.num_outputs, dtype=dtype, name="projection"
        )

    def in_order(self) -> list[keras.layers.Layer]:
        return [*self.hidden, self.projection]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        check_grid(self.kind, self.grid, input_shape)
        self._features = math.prod(self.grid) * input_shape[-1]
        self.build_in_order((None, self._features))
        self.built = True

    def outputs(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, num_outputs]` of `[batch, *grid, channels]`."""
        inputs = of_grid(self.kind, self.grid, inputs)
        x = keras.ops.reshape(inputs, [-1, self._features])
        for layer in self.in_order():
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}


@keras.saving.register_keras_serializable("vqvae_tf")
class DenseEncoder(DenseStack):
    """Maps a whole picture to one latent, by dense layers alone.

    The encoder of classical autoencoders of digits: 784 pixels, hidden
    layers, a code. The latent is a 1x1 grid, so it can replace the latents of
    an `Encoder`.

    Args:
        output_channels: int, channels of the latent.
        picture_size: int, S, the side of the (square) pictures.
        hidden_units: units of each hidden layer, from the picture on.
        activation: of the hidden layers, as for `keras.layers.Dense`; the
            latent itself is linear.

    Call arguments:
        inputs: float `[batch, S, S, channels]`.

    Returns:
        `[batch, 1, 1, output_channels]`.

    Raises:
        ValueError: for pictures of the wrong size.

    Example: 28x28 grey digits to 32 numbers.

    >>> encoder = DenseEncoder(output_channels=32, picture_size=28)
    >>> encoder(keras.ops.ones([1, 28, 28, 1])).shape
    TensorShape([1, 1, 1, 32])

    References:
        Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data
        with neural networks".
    """

    kind = "encoder"

    @staticmethod
    def check_size(size: int) -> int:
        # One number, since `downsampling` holds for height and width alike.
        return check_positive("picture_size", size)

    @property
    def grid(self) -> tuple[int, int]:
        return (self.picture_size, self.picture_size)

    @property
    def num_outputs(self) -> int:
        return self.output_channels

    @property
    def downsampling(self) -> int:
        """The picture's side, since the whole picture has one latent."""
        return self.picture_size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.outputs(inputs)[:, None, None, :]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], 1, 1, self.output_channels)


@keras.saving.register_keras_serializable("vqvae_tf")
class DenseDecoder(DenseStack):
    """Maps one latent to the parameters of a whole picture.

    The counterpart of `DenseEncoder`.

    Args:
        output_channels: int, channels of the output: as many as the
            likelihood has parameters (`likelihood.num_parameters(1)` for grey
            pictures).
        picture_size: the side of square pictures, or (height, width).
        hidden_units: units of each hidden layer, from the latent on.
        activation: of the hidden layers, as for `keras.layers.Dense`; the
            output itself is linear.

    Call arguments:
        inputs: float `[batch, 1, 1, channels]`.

    Returns:
        `[batch, height, width, output_channels]`.

    Raises:
        ValueError: for more than one latent per picture.

    Example: 32 numbers to the logits of 28x28 black or white pixels.

    >>> decoder = DenseDecoder(output_channels=1, picture_size=28)
    >>> decoder(keras.ops.ones([1, 1, 1, 32])).shape
    TensorShape([1, 28, 28, 1])
    """

    kind = "decoder"
    grid = (1, 1)

    @staticmethod
    def check_size(size: int | tuple[int, int]) -> tuple[int, int]:
        sizes = (size, size) if not hasattr(size, "__len__") else tuple(size)
        if isinstance(size, str) or len(sizes) != 2:
            raise ValueError(
                "picture_size must be a positive integer, or two: (height, "
                f"width). Received: {size!r}."
            )
        return tuple(check_positive("picture_size", n) for n in sizes)

    @property
    def num_outputs(self) -> int:
        return math.prod(self.picture_size) * self.output_channels

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        shape = [-1, *self.picture_size, self.output_channels]
        return keras.ops.reshape(self.outputs(inputs), shape)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], *self.picture_size, self.output_channels)


def _check_units(units):
    if isinstance(units, (str, bytes)) or not hasattr(units, "__iter__"):
        raise ValueError(
            "hidden_units must be a sequence of positive integers, such as "
            f"(500, 500). Received: {units!r}."
        )
    return tuple(check_positive("Each of hidden_units", n) for n in units)
