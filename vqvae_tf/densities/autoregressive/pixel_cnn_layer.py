"""One layer of the gated PixelCNN."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.causal_conv import CausalConv1D, VerticalConv2D, gate
from vqvae_tf.layers.configured import Configured


@keras.saving.register_keras_serializable("vqvae_tf")
class GatedLayer(Configured):
    """A vertical and a horizontal gated convolution (figure 2 of the paper).

    The vertical stack sees the rows above, the horizontal stack the columns to
    the left and, through a 1x1 convolution, the vertical stack of its own row.
    Only the horizontal stack has residual and skip connections.

    Args:
        channels: of both stacks.
        kernel_size: odd; the stacks see the current position, and
            `kernel_size // 2` rows above or columns to the left.
        first: whether this is the first layer, whose inputs are the codes
            themselves: it sees neither the current row (vertical) nor the
            current column (horizontal), and has no residual connection.
        global_channels, local_channels: channels of the contexts, or None.

    Call arguments:
        vertical, horizontal: float `[batch, height, width, channels]`; the
            same embedded codes where `first`.
        global_context: `[batch, global_channels]`, or None.
        local_context: `[batch, height, width, local_channels]`, or None.
        dropout: applied to the gated horizontal stack, or None.

    Returns:
        vertical, horizontal and skip, `[batch, height, width, channels]` each.

    References:
        van den Oord et al. 2016, arXiv:1606.05328, eqs. 2, 4, 5 and figure 2.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        first: bool = False,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.first = first
        self.global_channels = global_channels
        self.local_channels = local_channels
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.channels
        past = self.kernel_size // 2
        seen = past if self.first else past + 1
        self.vertical = VerticalConv2D(
            2 * channels,
            (seen, self.kernel_size),
            include_current=not self.first,
            dtype=dtype,
            name="vertical",
        )
        self.horizontal = CausalConv1D(
            2 * channels,
            seen,
            include_current=not self.first,
            dtype=dtype,
            name="horizontal",
        )
        self.across = _dense(2 * channels, "across", dtype)
        self.out = _dense(2 * channels, "out", dtype, use_bias=True)
        # Both stacks' gates at once: 2 * channels for each.
        self.of_global = self.of_local = None
        if self.global_channels:
            self.of_global = _dense(4 * channels, "of_global", dtype)
        if self.local_channels:
            self.of_local = _dense(4 * channels, "of_local", dtype)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (None, None, None, self.channels)
        self.vertical.build(shape)
        self.horizontal.build(shape)
        self.across.build((*shape[:-1], 2 * self.channels))
        self.out.build(shape)
        if self.of_global:
            self.of_global.build((None, self.global_channels))
        if self.of_local:
            self.of_local.build((*shape[:-1], self.local_channels))
        self.built = True

    def call(
        self,
        vertical: tf.Tensor,
        horizontal: tf.Tensor,
        global_context: tf.Tensor | None = None,
        local_context: tf.Tensor | None = None,
        dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        to_vertical, to_horizontal = self.biases(global_context, local_context)
        above = self.vertical(vertical)
        left = self.horizontal(horizontal) + self.across(above)
        gated = gate(left + to_horizontal)
        if dropout is not None:
            gated = dropout(gated)
        residual, skip = tf.split(self.out(gated), 2, axis=-1)
        if not self.first:
            residual += horizontal
        return gate(above + to_vertical), residual, skip

    def biases(
        self, global_context: tf.Tensor | None, local_context: tf.Tensor | None
    ) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        """Returns the contexts' contributions to the two gates, 0.0 without.

        They are V^T h of eq. 4 and V * s of eq. 5, for both stacks:
        `[batch, height or 1, width or 1, 2 * channels]`.
        """
        parts = []
        if global_context is not None:
            parts.append(self.of_global(global_context)[:, None, None, :])
        if local_context is not None:
            parts.append(self.of_local(local_context))
        return tf.split(sum(parts), 2, axis=-1) if parts else (0.0, 0.0)


def _dense(units, name, dtype, use_bias=False):
    return keras.layers.Dense(units, use_bias=use_bias, dtype=dtype, name=name)
