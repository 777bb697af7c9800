"""The base of networks that apply layers one after another."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import check_axes, convolution
from vqvae_tf.layers.residual import ResidualStack
from vqvae_tf.runtime.freezing import Composite


class LayerStack(Configured, Composite):
    """A network of layers that are applied one after another.

    Subclasses create the layers as attributes, in the order of their variables
    in files and optimizers, and return them from `in_order`.
    """

    rank = 2

    def in_order(self) -> list[keras.layers.Layer]:
        """Returns the layers in the order of their application."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement in_order."
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        check_axes(self.rank, input_shape)
        self.build_in_order(input_shape)
        self.built = True

    def build_in_order(self, shape: tuple[int | None, ...]) -> None:
        """Builds each layer for the output of the one before it."""
        for layer in self.in_order():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        shape = tuple(input_shape)
        for layer in self.in_order():
            shape = layer.compute_output_shape(shape)
        return tuple(shape)


class ConvStack(LayerStack):
    """Strided convolutions and residual blocks.

    Args:
        hidden_channels: channels of the residual blocks.
        stage_channels: channels of each strided layer except the one next to
            the latents.
        num_residual_layers: the number of residual blocks.
        residual_channels: channels inside a block; hidden_channels if None.
        kernel_size: window of the strided layers.
        rank: 1 (waveforms), 2 (images) or 3 (clips).
    """

    def __init__(
        self,
        hidden_channels: int,
        stage_channels: tuple[int, ...],
        num_residual_layers: int,
        residual_channels: int | None,
        kernel_size: int,
        rank: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_channels = hidden_channels
        self.stage_channels = stage_channels
        self.num_residual_layers = num_residual_layers
        self.residual_channels = residual_channels
        self.kernel_size = kernel_size
        self.rank = rank

    def make_conv(
        self,
        filters: int,
        kernel_size: int,
        name: str,
        make: Callable[..., keras.layers.Layer] = convolution,
        **kwargs: Any,
    ) -> keras.layers.Layer:
        """Returns a convolution of the network's rank and dtype."""
        kwargs = {"dtype": self.dtype_policy, "name": name, **kwargs}
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


def stages(
    channels: Sequence[int] | None, count: int, default: int
) -> tuple[int, ...]:
    """Returns `count` stage widths, or raises ValueError."""
    count = max(count, 0)
    if channels is None:
        return (default,) * count
    if len(channels) != count:
        raise ValueError(
            f"stage_channels names the channels of {count} strided layers "
            "(all except the one next to the latents). Received: "
            f"stage_channels={tuple(channels)}."
        )
    return tuple(channels)


# Grids of a fixed size --------------------------------------------------------


def check_grid(
    network: str, sizes: tuple[int, int], shape: tuple[int | None, ...]
) -> None:
    """Raises ValueError unless inputs have these or unknown sizes."""
    check_axes(2, shape)
    if any(n not in (None, size) for n, size in zip(shape[1:-1], sizes)):
        raise ValueError(
            f"The {network} was made for inputs of {sizes[0]} x {sizes[1]}; "
            "its dense layers support no other size. Received: inputs of "
            f"shape {tuple(shape)}."
        )


def of_grid(
    network: str, sizes: tuple[int, int], inputs: tf.Tensor
) -> tf.Tensor:
    """Returns the inputs with static sizes; graphs reject others.

    Otherwise the reshape would split a larger grid into several.
    """
    check_grid(network, sizes, inputs.shape)
    return tf.ensure_shape(inputs, [None, *sizes, None])
