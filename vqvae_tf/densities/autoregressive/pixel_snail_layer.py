"""The layers of PixelSNAIL: gated residual convolutions, then attention."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.causal_conv import (
    CausalConv1D,
    DownRightConv2D,
    VerticalConv2D,
)
from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.self_attention import SelfAttention, flat_grid


@keras.saving.register_keras_serializable("vqvae_tf")
class ShiftedConv(Configured):
    """What a position knows of the codes above and to its left.

    The sum of a convolution of the rows above and one of the columns to the
    left in its own row; neither sees the position itself.

    Args:
        channels: of the output.
        kernel_size: odd; `kernel_size // 2` rows above, as many columns to the
            left, and in the rows above kernel_size columns.

    Call arguments:
        embedded: float `[batch, height, width, channels]`.

    Returns:
        A tensor of the same shape.
    """

    def __init__(self, channels: int, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        past, options = kernel_size // 2, dict(dtype=self.dtype_policy)
        self.above = VerticalConv2D(
            channels, (past, kernel_size), False, name="above", **options
        )
        self.left = CausalConv1D(
            channels, past, include_current=False, name="left", **options
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (None, None, None, self.channels)
        self.above.build(shape)
        self.left.build(shape)
        self.built = True

    def call(self, embedded: tf.Tensor) -> tf.Tensor:
        return self.above(embedded) + self.left(embedded)


@keras.saving.register_keras_serializable("vqvae_tf")
class GatedResidual(Configured):
    """`x + a * sigmoid(b)`, where two convolutions of x make a and b.

    Args:
        channels: of x.
        hidden_channels: between the two convolutions.
        kernel_size: rows and columns of both, up to the position itself.
        extra_channels: channels of `extra`, or None.
        global_channels, local_channels: channels of the contexts, or None.

    Call arguments:
        x: float `[batch, height, width, channels]`.
        extra: `[batch, height, width, extra_channels]`, seen by the second
            convolution; or None.
        global_context: `[batch, global_channels]`, or None.
        local_context: `[batch, height, width, local_channels]`, or None.
        dropout: applied between the convolutions, or None.

    Returns:
        A tensor of the shape of x.

    References:
        Salimans et al. 2017, arXiv:1701.05517, section 2.4.
        Chen et al. 2017, arXiv:1712.09763, figure 3 (the residual block).
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int,
        kernel_size: int = 2,
        extra_channels: int | None = None,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.extra_channels = extra_channels
        self.global_channels = global_channels
        self.local_channels = local_channels
        window, options = (kernel_size,) * 2, dict(dtype=self.dtype_policy)
        self.first = DownRightConv2D(
            hidden_channels, window, name="first", **options
        )
        self.second = DownRightConv2D(
            2 * channels, window, name="second", **options
        )
        self.of_extra = self.of_global = self.of_local = None
        options["use_bias"] = False
        if extra_channels:
            self.of_extra = keras.layers.Dense(
                hidden_channels, name="of_extra", **options
            )
        if global_channels:
            self.of_global = keras.layers.Dense(
                2 * channels, name="of_global", **options
            )
        if local_channels:
            self.of_local = keras.layers.Dense(
                2 * channels, name="of_local", **options
            )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        parts = [
            (self.first, self.channels),
            (self.second, self.hidden_channels),
            (self.of_extra, self.extra_channels),
            (self.of_global, self.global_channels),
            (self.of_local, self.local_channels),
        ]
        for part, channels in parts:
            if part is not None:
                part.build((None, None, None, channels))
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        extra: tf.Tensor | None = None,
        global_context: tf.Tensor | None = None,
        local_context: tf.Tensor | None = None,
        dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        hidden = self.first(tf.nn.elu(x))
        if extra is not None:
            hidden += self.of_extra(tf.nn.elu(extra))
        hidden = tf.nn.elu(hidden)
        if dropout is not None:
            hidden = dropout(hidden)
        gates = self.second(hidden)
        if global_context is not None:
            gates += self.of_global(global_context)[:, None, None]
        if local_context is not None:
            gates += self.of_local(local_context)
        return gated_sum(x, gates)


def gated_sum(x: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
    """Returns `x + a * sigmoid(b)` for the halves a, b of the last axis."""
    a, b = tf.split(gates, 2, axis=-1)
    return x + a * tf.sigmoid(b)


@keras.saving.register_keras_serializable("vqvae_tf")
class SnailBlock(Configured):
    """Gated residual layers, and attention to all earlier positions.

    Keys and values are made of the codes, the features and the place of a
    position, queries of its features and place alone. Since codes are not
    shifted, a position must not see its own key: the attention is strict.

    Args:
        channels: of the features and of the embedded codes.
        num_layers: gated residual layers before the attention.
        hidden_channels, kernel_size: of these layers.
        num_heads, key_channels: of the attention; its values have half of
            `channels` in all. 0 heads for a block without attention.
        global_channels, local_channels: channels of the contexts, or None.

    Call arguments:
        x: features, float `[batch, height, width, channels]`.
        embedded: codes, `[batch, height, width, channels]`.
        places: `[height * width, 2]`, from `positions.background`.
        global_context: `[batch, global_channels]`, or None.
        local_context: `[batch, height, width, local_channels]`, or None.
        dropout: applied in each residual layer, or None.

    Returns:
        A tensor of the shape of x.

    References:
        Chen et al. 2017, arXiv:1712.09763, section 3 and figure 3.
    """

    def __init__(
        self,
        channels: int,
        num_layers: int,
        hidden_channels: int,
        kernel_size: int = 2,
        num_heads: int = 1,
        key_channels: int = 16,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.num_layers = num_layers
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.num_heads = num_heads
        self.key_channels = key_channels
        self.global_channels = global_channels
        self.local_channels = local_channels
        self.residuals = [
            GatedResidual(
                channels,
                hidden_channels,
                kernel_size,
                global_channels=global_channels,
                local_channels=local_channels,
                dtype=self.dtype_policy,
                name=f"residual_{i}",
            )
            for i in range(num_layers)
        ]
        self.attention = None
        if num_heads:
            self._make_attention()

    def _make_attention(self):
        channels, heads = self.channels, self.num_heads
        for_keys, for_queries = 2 * channels + 2, channels + 2
        of_head = channels // (2 * heads)

        def mixing(size, name, **options):
            return GatedResidual(
                size,
                channels,
                kernel_size=1,
                dtype=self.dtype_policy,
                name=name,
                **options,
            )

        self.for_keys = mixing(for_keys, "for_keys")
        self.for_queries = mixing(for_queries, "for_queries")
        self.attention = SelfAttention(
            heads,
            self.key_channels,
            of_head,
            for_queries,
            for_keys,
            mask="strict",
            dtype=self.dtype_policy,
            name="attention",
        )
        self.merge = mixing(channels, "merge", extra_channels=heads * of_head)

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """All layers."""
        if self.attention is None:
            return self.residuals
        attending = [self.for_keys, self.for_queries, self.attention]
        return [*self.residuals, *attending, self.merge]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for part in self.parts:
            part.build(None)
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        embedded: tf.Tensor,
        places: tf.Tensor,
        global_context: tf.Tensor | None = None,
        local_context: tf.Tensor | None = None,
        dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        for layer in self.residuals:
            x = layer(x, None, global_context, local_context, dropout=dropout)
        if self.attention is None:
            return x
        shape = tf.shape(x)
        places = tf.reshape(places, [1, shape[1], shape[2], 2])
        places = tf.broadcast_to(places, [*tf.unstack(shape[:3]), 2])
        keys = self.for_keys(tf.concat([embedded, x, places], axis=-1))
        queries = self.for_queries(tf.concat([x, places], axis=-1))
        seen = self.attention(flat_grid(queries), flat_grid(keys))
        seen = tf.reshape(seen, [*tf.unstack(shape[:3]), seen.shape[-1]])
        return self.merge(x, seen, dropout=dropout)
