"""What Transformers over codes share: their parts, made and built."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_network import CodeNetwork
from vqvae_tf.densities.autoregressive.positions import Rotation
from vqvae_tf.densities.autoregressive.transformer_layer import (
    TransformerInput,
    TransformerLayer,
)
from vqvae_tf.utils.checks import check_choice, check_integer, check_positive


class TransformerNetwork(CodeNetwork):
    """The base of `CodeTransformer` and `MaskedCodeTransformer`.

    Args:
        num_embeddings, event_shape, num_codebooks, hidden_channels,
        num_layers, num_heads, mlp_channels, head_channels, dropout, positions,
        global_channels, local_channels, local_upsampling, local_layers: see
            `CodeTransformer`.
    """

    # Whether positions see only earlier ones.
    causal = True

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...] = (32, 32),
        num_codebooks: int = 1,
        hidden_channels: int = 256,
        num_layers: int = 6,
        num_heads: int = 4,
        *,
        mlp_channels: int | None = None,
        head_channels: int = 256,
        dropout: float = 0.0,
        positions: str = "rotary",
        global_channels: int | None = None,
        local_channels: int | None = None,
        local_upsampling: int = 1,
        local_layers: int = 0,
        **kwargs: Any,
    ) -> None:
        codes = (num_embeddings, event_shape, num_codebooks)
        sizes = (hidden_channels, head_channels, dropout)
        contexts = (global_channels, local_channels, local_upsampling)
        super().__init__(*codes, *sizes, *contexts, **kwargs)
        self.num_layers = check_positive("num_layers", num_layers)
        self.num_heads = check_positive("num_heads", num_heads)
        self.mlp_channels = check_positive(
            "mlp_channels",
            4 * hidden_channels if mlp_channels is None else mlp_channels,
        )
        self.positions = check_choice(
            "positions", positions, ("rotary", "learned")
        )
        self.local_layers = check_integer("local_layers", local_layers, 0)
        self._check_heads()
        self._make_layers()

    def _check_heads(self):
        multiple = self.num_heads * (4 if self.positions == "rotary" else 1)
        if self.hidden_channels % multiple:
            raise ValueError(
                "hidden_channels must be a multiple of num_heads, with rotary "
                "positions of four times num_heads. Received: hidden_channels="
                f"{self.hidden_channels}, num_heads={self.num_heads}, "
                f'positions="{self.positions}".'
            )

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        local_channels = self._make_inputs()
        self.entry = TransformerInput(
            channels,
            self.event_shape if self.positions == "learned" else None,
            self.global_channels,
            local_channels,
            dtype=dtype,
            name="entry",
        )
        self.stack = [
            TransformerLayer(
                channels,
                self.num_heads,
                self.mlp_channels,
                self.causal,
                dtype=dtype,
                name=f"layer_{i}",
            )
            for i in range(self.num_layers)
        ]
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=dtype, name="norm"
        )
        self.blocks = [self.entry, *self.stack]
        self._make_outputs()

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.norm.build((None, None, self.hidden_channels))
        super().build(input_shape)

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: Callable[[tf.Tensor], tf.Tensor] | None,
        known: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Applies the layers.

        Args:
            embedded, global_context, local_context, drop: see
                `CodeNetwork.features`.
            known: of a network that is not causal, bool `[batch, height,
                width]`, which codes are shown; None for none of them.

        Returns:
            `[batch, height, width, channels]`.
        """
        shape = tf.shape(embedded)
        embedded = tf.reduce_sum(embedded, axis=-2)
        if known is None and not self.causal:
            known = tf.zeros(shape[:3], tf.bool)
        x = self.entry(embedded, global_context, local_context, known=known)
        x = x if drop is None else drop(x)
        rotate = self.rotation(shape[1], shape[2])
        for layer in self.stack:
            x = layer(x, rotate=rotate, dropout=drop)
        return tf.reshape(self.norm(x), tf.shape(embedded))

    def rotation(
        self, height: int | tf.Tensor, width: int | tf.Tensor
    ) -> Rotation | None:
        """Returns what turns queries and keys of a grid, or None."""
        if self.positions == "learned":
            return None
        of_head = self.hidden_channels // self.num_heads
        return Rotation(height, width, of_head)
