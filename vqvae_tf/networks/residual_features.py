"""A residual network from pictures to features."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution
from vqvae_tf.layers.group_norm_block import GroupNormBlock, group_norm
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class ResidualFeatures(Configured, Composite):
    """Maps pictures to a vector of features each.

    A convolution, stages of blocks (`GroupNormBlock`), each but the first of
    half the sizes of the one before, a normalization, and the mean over
    positions.

    Args:
        stage_channels: channels of each stage; the last are the features.
        blocks_per_stage: int, 2 by default.
        first_stride: int, of the first convolution: 1 by default, 2 or 4 for
            larger pictures.
        num_groups: int, as for `GroupNormBlock`.
        dropout: float, inside the blocks; 0 by default.
        seed: int, of the dropout; a random one by default.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.
        training: bool, whether to drop.

    Returns:
        `[batch, stage_channels[-1]]`.

    Example:

    >>> network = ResidualFeatures((16, 32), blocks_per_stage=1)
    >>> network(keras.ops.ones([2, 32, 32, 3])).shape
    TensorShape([2, 32])

    References:
        He et al. 2016, arXiv:1603.05027.
    """

    def __init__(
        self,
        stage_channels: Sequence[int] = (32, 64, 128),
        blocks_per_stage: int = 2,
        first_stride: int = 1,
        num_groups: int = 8,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stage_channels = tuple(
            check_positive("Each of stage_channels", n) for n in stage_channels
        )
        self.blocks_per_stage = check_positive(
            "blocks_per_stage", blocks_per_stage
        )
        self.first_stride = check_positive("first_stride", first_stride)
        self.num_groups = num_groups
        self.dropout = dropout
        self.seed = seed
        dtype = self.dtype_policy
        self.conv_in = convolution(
            2,
            self.stage_channels[0],
            2 * first_stride + 1,
            strides=first_stride,
            dtype=dtype,
            name="conv_in",
        )
        self.blocks = [
            GroupNormBlock(
                channels,
                strides=2 if stage and not block else 1,
                num_groups=num_groups,
                dropout=dropout,
                seed=None if seed is None else seed + block + 100 * stage,
                dtype=dtype,
                name=f"stage_{stage}_block_{block}",
            )
            for stage, channels in enumerate(self.stage_channels)
            for block in range(blocks_per_stage)
        ]
        self.norm = group_norm(num_groups, "norm")

    @property
    def num_features(self) -> int:
        """Channels of the result."""
        return self.stage_channels[-1]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = input_shape
        for layer in (self.conv_in, *self.blocks):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.norm.build(shape)
        self.built = True

    def stages(
        self, inputs: tf.Tensor, training: bool = False
    ) -> list[tf.Tensor]:
        """Returns what each stage makes of the inputs, the largest first."""
        x, found = self.conv_in(inputs), []
        for number, block in enumerate(self.blocks):
            x = block(x, training=training)
            if (number + 1) % self.blocks_per_stage == 0:
                found.append(x)
        return found

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.stages(inputs, training)[-1]
        x = keras.ops.cast(keras.ops.silu(self.norm(x)), "float32")
        return keras.ops.cast(
            keras.ops.mean(x, axis=(1, 2)), self.compute_dtype
        )

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], self.num_features)
