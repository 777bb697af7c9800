"""One layer of the WaveNet."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.causal_conv import CausalConv1D, gate
from vqvae_tf.layers.configured import Configured


@keras.saving.register_keras_serializable("vqvae_tf")
class WaveNetLayer(Configured):
    """A gated dilated causal convolution with a residual connection.

    `z = tanh(W_f * x + V_f h + U_f * y) sigmoid(W_g * x + V_g h + U_g * y)`
    for the global context h and the local one y, on the grid of x; the next
    layer's input is `x + R z + b`.

    Args:
        channels: of the residual stream and of the gates.
        kernel_size: the number of positions that each output depends on.
        dilation_rate: the distance between two of them.
        last: whether this is the last layer, without residual connection.
        global_channels, local_channels: channels of the contexts, or None.
        local_repeat: the number of successive positions with the same local
            context.

    Call arguments:
        inputs: float `[batch, time, channels]`.
        global_context: `[batch, global_channels]`, or None.
        local_context: `[batch, time / local_repeat, local_channels]`, or None.
        dropout: applied to the gated activations, or None.

    Returns:
        The next layer's input (for the last layer, its own input) and z, both
        `[batch, time, channels]`.

    Example:

    >>> layer = WaveNetLayer(32, dilation_rate=4, global_channels=5)
    >>> stream, gated = layer(tf.zeros([2, 100, 32]), tf.zeros([2, 5]))
    >>> gated.shape
    TensorShape([2, 100, 32])

    References:
        van den Oord et al. 2016, arXiv:1609.03499, section 2.3 (eq. 2), figure
        4, and section 2.5 for the contexts.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 2,
        dilation_rate: int = 1,
        last: bool = False,
        global_channels: int | None = None,
        local_channels: int | None = None,
        local_repeat: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.dilation_rate = dilation_rate
        self.last = last
        self.global_channels = global_channels
        self.local_channels = local_channels
        self.local_repeat = local_repeat
        dtype = self.dtype_policy
        self.conv = CausalConv1D(
            2 * channels, kernel_size, dilation_rate, dtype=dtype, name="conv"
        )
        self.residual = None if last else _dense(channels, "residual", dtype)
        self.of_global = self.of_local = None
        if global_channels:
            self.of_global = _dense(2 * channels, "of_global", dtype, False)
        if local_channels:
            self.of_local = _dense(2 * channels, "of_local", dtype, False)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (None, None, self.channels)
        self.conv.build(shape)
        if self.residual:
            self.residual.build(shape)
        if self.of_global:
            self.of_global.build((None, self.global_channels))
        if self.of_local:
            self.of_local.build((None, None, self.local_channels))
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        global_context: tf.Tensor | None = None,
        local_context: tf.Tensor | None = None,
        dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        gates = self.conv(inputs)
        if global_context is not None:
            gates += self.of_global(global_context)[:, tf.newaxis]
        if local_context is not None:
            gates = _add_repeated(
                gates, self.of_local(local_context), self.local_repeat
            )
        gated = gate(gates)
        if dropout is not None:
            gated = dropout(gated)
        if self.residual is None:
            return inputs, gated
        return inputs + self.residual(gated), gated


def _add_repeated(x, y, times):
    """Adds `[batch, time / times, channels]` to `[batch, time, channels]`."""
    if times == 1:
        return x + y
    shape = tf.shape(x)
    x = tf.reshape(x, [shape[0], -1, times, y.shape[-1]])
    return tf.reshape(x + y[:, :, tf.newaxis], shape)


def _dense(units, name, dtype, use_bias=True):
    return keras.layers.Dense(units, use_bias=use_bias, dtype=dtype, name=name)
