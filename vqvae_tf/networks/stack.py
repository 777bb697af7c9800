"""What networks that apply layers one after another share."""

import keras
import tensorflow as tf

from vqvae_tf.layers.convolution import check_axes, convolution
from vqvae_tf.layers.residual import ResidualStack
from vqvae_tf.runtime.freezing import Composite


class LayerStack(Composite):
    """A network of layers that are applied one after another.

    Subclasses create the layers as attributes, in the order in which files
    and optimizers know their variables, and return them from `in_order`.
    """

    rank = 2
    # Constructor arguments that are attributes of the same name.
    arguments = ()

    def in_order(self) -> list[keras.layers.Layer]:
        """Returns the layers in the order in which they are applied."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement in_order."
        )

    def build(self, input_shape):
        check_axes(self.rank, input_shape)
        self.build_in_order(input_shape)
        self.built = True

    def build_in_order(self, shape) -> None:
        """Builds each layer for what the one before it returns."""
        for layer in self.in_order():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        for layer in self.in_order():
            shape = layer.compute_output_shape(shape)
        return tuple(shape)

    def get_config(self):
        own = {name: getattr(self, name) for name in self.arguments}
        return {**super().get_config(), **own}


class ConvStack(LayerStack):
    """Strided convolutions and residual blocks.

    Args:
        hidden_channels: channels of the residual blocks.
        stage_channels: channels of each strided layer but the one at the
            latents' resolution.
        num_residual_layers: the number of residual blocks.
        residual_channels: channels inside a block; hidden_channels if None.
        kernel_size: window of the strided layers.
        rank: 1 (waveforms), 2 (images) or 3 (clips).
    """

    arguments = (
        "hidden_channels",
        "stage_channels",
        "num_residual_layers",
        "residual_channels",
        "kernel_size",
        "rank",
    )

    def __init__(
        self,
        hidden_channels,
        stage_channels,
        num_residual_layers,
        residual_channels,
        kernel_size,
        rank,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_channels = hidden_channels
        self.stage_channels = stage_channels
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self.rank = rank

    def make_conv(
        self, filters, kernel_size, name, make=convolution, **kwargs
    ) -> keras.layers.Layer:
        """Returns a convolution of the network's rank and dtype."""
        dtype = self.dtype_policy
        kwargs = {"dtype": dtype, "name": name, **kwargs}
        return make(self.rank, filters, kernel_size, **kwargs)

    def make_residuals(self) -> ResidualStack:
        """Returns the residual blocks."""
        return ResidualStack(
            self.num_residual_layers,
            self.hidden_channels,
            self.residual_channels,
            rank=self.rank,
            dtype=self.dtype_policy,
            name="residuals",
        )


def stages(channels, count: int, default: int) -> tuple[int, ...]:
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


# Grids of one size ------------------------------------------------------------


def check_grid(network, sizes, shape) -> None:
    """Raises ValueError unless inputs have these sizes, or unknown ones."""
    check_axes(2, shape)
    if any(n not in (None, size) for n, size in zip(shape[1:-1], sizes)):
        raise ValueError(
            f"The {network} was made for inputs of {sizes[0]} x {sizes[1]}, "
            "and its dense layers take no other size. Received: inputs of "
            f"shape {tuple(shape)}."
        )


def of_grid(network, sizes, inputs) -> tf.Tensor:
    """Returns the inputs with static sizes; in a graph, refuses others.

    Without it a larger grid would be read as several.
    """
    check_grid(network, sizes, inputs.shape)
    return tf.ensure_shape(inputs, [None, *sizes, None])
