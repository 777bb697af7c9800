"""The layers of a Transformer over codes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive.attention_steps import AttentionSteps
from vqvae_tf.densities.autoregressive.loops import linear, normalization
from vqvae_tf.densities.autoregressive.positions import (
    PLACE_FEATURES,
    place_features,
)
from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.self_attention import SelfAttention, flat_grid


@keras.saving.register_keras_serializable("vqvae_tf")
class TransformerInput(Configured):
    """What each position of a Transformer starts from.

    The embedding of the code before it, a learned vector for the first. If
    some codes are `known` instead, their own embeddings, and the learned vector
    at the other positions. The position's place is added, and where configured
    the contexts.

    Args:
        channels: of the embeddings.
        grid: (height, width) of the largest grid with learned places; None
            for a linear map of `positions.place_features`, for any grid.
        global_channels, local_channels: channels of the contexts, or None.

    Call arguments:
        embedded: float `[batch, height, width, channels]`.
        global_context: `[batch, global_channels]`, or None.
        local_context: `[batch, height, width, local_channels]`, or None.
        known: bool `[batch, height, width]`, or None.

    Returns:
        `[batch, height * width, channels]`.
    """

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int] | None = None,
        global_channels: int | None = None,
        local_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.grid = grid
        self.global_channels = global_channels
        self.local_channels = local_channels
        self.of_global = self.of_local = None
        options = dict(use_bias=False, dtype=self.dtype_policy)
        self.of_place = None
        if grid is None:
            self.of_place = keras.layers.Dense(
                channels, name="of_place", **options
            )
        if global_channels:
            self.of_global = keras.layers.Dense(
                channels, name="of_global", **options
            )
        if local_channels:
            self.of_local = keras.layers.Dense(
                channels, name="of_local", **options
            )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        small = keras.initializers.RandomNormal(stddev=0.02)
        channels = self.channels
        self.start = self.add_weight((channels,), small, name="start")
        self.rows = self.columns = None
        if self.grid:
            height, width = self.grid
            self.rows = self.add_weight((height, channels), small, name="rows")
            self.columns = self.add_weight(
                (width, channels), small, name="columns"
            )
        else:
            self.of_place.build((None, PLACE_FEATURES))
        if self.of_global:
            self.of_global.build((None, self.global_channels))
        if self.of_local:
            self.of_local.build((None, None, None, self.local_channels))
        self.built = True

    def call(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None = None,
        local_context: tf.Tensor | None = None,
        known: tf.Tensor | None = None,
    ) -> tf.Tensor:
        shape = tf.shape(embedded)
        x = flat_grid(embedded)
        start = self.first(shape[0])[:, tf.newaxis]
        if known is None:
            x = tf.concat([start, x[:, :-1]], axis=1)
        else:
            x = tf.where(flat_grid(known)[..., tf.newaxis], x, start)
        return x + self.biases(
            shape[1], shape[2], global_context, local_context
        )

    def first(self, batch: int | tf.Tensor) -> tf.Tensor:
        """Returns the learned vector, `[batch, channels]`."""
        start = tf.cast(tf.convert_to_tensor(self.start), self.compute_dtype)
        return tf.broadcast_to(start, [batch, self.channels])

    def biases(
        self,
        height: int | tf.Tensor,
        width: int | tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns what is added to the codes.

        `[batch or 1, height * width, channels]`.
        """
        result = self._places(height, width)
        if global_context is not None:
            result += self.of_global(global_context)[:, tf.newaxis]
        if local_context is not None:
            local = self.of_local(local_context)
            result += tf.reshape(local, [tf.shape(local)[0], -1, self.channels])
        return result

    def _places(self, height, width):
        """Returns what is added for places, `[1, height * width, channels]`."""
        if self.of_place is not None:
            return self.of_place(place_features(height, width))[tf.newaxis]
        message = (
            f"Learned positions are of grids of at most {self.grid}; "
            'positions="rotary" allows any.'
        )
        sizes = tf.get_static_value(tf.stack([height, width]))
        if sizes is not None and np.any(sizes > self.grid):
            raise ValueError(f"{message} Received: a grid of {tuple(sizes)}.")
        check = tf.debugging.assert_less_equal(
            tf.stack([height, width]), tf.constant(self.grid), message
        )
        with tf.control_dependencies([] if check is None else [check]):
            rows = tf.convert_to_tensor(self.rows)[:height, tf.newaxis]
            columns = tf.convert_to_tensor(self.columns)[:width]
        places = tf.reshape(rows + columns, [1, -1, self.channels])
        return tf.cast(places, self.compute_dtype)


@keras.saving.register_keras_serializable("vqvae_tf")
class TransformerLayer(Configured):
    """Self-attention and a perceptron, each after a normalization.

    Args:
        channels: of the residual stream.
        num_heads: of the attention; divides channels.
        mlp_channels: hidden units of the perceptron.
        causal: whether positions see only themselves and earlier ones.

    Call arguments:
        x: float `[batch, positions, channels]`.
        rotate: see `SelfAttention`; or None.
        dropout: applied to both branches, or None.

    Returns:
        A tensor of the shape of x.

    Example:

    >>> layer = TransformerLayer(8, num_heads=2, mlp_channels=16)
    >>> layer(tf.ones([1, 5, 8])).shape
    TensorShape([1, 5, 8])

    References:
        Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2019, "Language
        models are unsupervised multitask learners", section 2.3 (where the
        normalizations are).
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        mlp_channels: int,
        causal: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.num_heads = num_heads
        self.mlp_channels = mlp_channels
        self.causal = causal
        dtype = self.dtype_policy
        of_head = channels // num_heads
        self.attention = SelfAttention(
            num_heads,
            of_head,
            of_head,
            channels,
            channels,
            mask="causal" if causal else None,
            dtype=dtype,
            name="attention",
        )
        self.norms = [
            keras.layers.LayerNormalization(
                epsilon=1e-5, dtype=dtype, name=f"norm_{i}"
            )
            for i in range(2)
        ]
        self.mixed = keras.layers.Dense(channels, dtype=dtype, name="mixed")
        self.hidden = keras.layers.Dense(
            mlp_channels, dtype=dtype, name="hidden"
        )
        self.out = keras.layers.Dense(channels, dtype=dtype, name="out")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (None, None, self.channels)
        for norm in self.norms:
            norm.build(shape)
        self.attention.build()
        self.mixed.build(shape)
        self.hidden.build(shape)
        self.out.build((*shape[:-1], self.mlp_channels))
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None = None,
        dropout: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        drop = dropout or (lambda x: x)
        own = self.norms[0](x)
        x += drop(self.mixed(self.attention(own, own, rotate=rotate)))
        return x + drop(self.out(_gelu(self.hidden(self.norms[1](x)))))


class TransformerSteps:
    """A `TransformerLayer`, a position at a time.

    Args:
        layer: a built layer.
        num_samples: an integer or int32 scalar tensor.
    """

    def __init__(
        self, layer: TransformerLayer, num_samples: int | tf.Tensor
    ) -> None:
        self.attention = AttentionSteps(layer.attention, num_samples)
        self.norms = [
            normalization(norm, layer.compute_dtype) for norm in layer.norms
        ]
        dense = (layer.mixed, layer.hidden, layer.out)
        self.mixed, self.hidden, self.out = (
            linear(each, layer.compute_dtype) for each in dense
        )

    def step(
        self,
        x: tf.Tensor,
        blocks: list[tf.Tensor],
        block: list[tf.Tensor],
        t: tf.Tensor,
        rotate: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the outputs at position t, and the block with its own pair.

        Args:
            x: `[batch, channels]`.
            blocks, block: see `AttentionSteps.attend`.
            t: the position, int32 scalar.
            rotate: encodes this position; or None.
        """
        own = self.norms[0](x)
        block = self.attention.add(block, t, own, rotate)
        x += self.mixed(self.attention.attend(blocks, block, t, own, rotate))
        return x + self.out(_gelu(self.hidden(self.norms[1](x)))), block


def _gelu(x):
    return tf.nn.gelu(x, approximate=True)
