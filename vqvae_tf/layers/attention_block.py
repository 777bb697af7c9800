"""Attention of all positions of a grid to each other, as a residual block."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.group_norm_block import group_norm
from vqvae_tf.layers.self_attention import SelfAttention, flat_grid
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class AttentionBlock(Configured, Composite):
    """`x + projection(attention(norm(x)))` over the positions of pictures.

    It knows nothing of places, so grids of any size can be given. Scores take
    `4 * num_heads * positions^2` bytes for each example: it is for small grids.

    Args:
        channels: int, of the input and the output; a multiple of `num_heads`
            and of `num_groups`.
        num_heads: int, 1 by default.
        num_groups: int, of the normalization before; 8 by default.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.

    Returns:
        A tensor of the shape of the inputs.

    Raises:
        ValueError: for channels that are no multiple of heads and groups, and
            for inputs of other channels.

    Example:

    >>> block = AttentionBlock(16)
    >>> block(keras.ops.ones([1, 8, 8, 16])).shape
    TensorShape([1, 8, 8, 16])

    References:
        Esser et al. 2021, arXiv:2012.09841, table 7 (the non-local block).
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 1,
        num_groups: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = check_positive("channels", channels)
        self.num_heads = check_positive("num_heads", num_heads)
        self.num_groups = check_positive("num_groups", num_groups)
        if channels % num_heads or channels % num_groups:
            raise ValueError(
                "Channels must be a multiple of num_heads and num_groups. "
                f"Received: channels={channels}, num_heads={num_heads}, "
                f"num_groups={num_groups}."
            )
        each = channels // num_heads
        self.norm = group_norm(num_groups, "norm")
        self.attention = SelfAttention(
            num_heads,
            each,
            each,
            query_inputs=channels,
            key_inputs=channels,
            mask=None,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.projection = keras.layers.Dense(
            channels, dtype=self.dtype_policy, name="projection"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.channels:
            raise ValueError(
                f"The block adds to its input of {self.channels} channels. "
                f"Received: inputs of shape {tuple(input_shape)}."
            )
        self.norm.build(input_shape)
        self.attention.build()
        self.projection.build((None, self.channels))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = tf.cast(self.norm(inputs), self.compute_dtype)
        x = flat_grid(x)
        x = self.projection(self.attention(x, x))
        return inputs + tf.reshape(x, tf.shape(inputs))

    def compute_output_spec(
        self, inputs: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)
