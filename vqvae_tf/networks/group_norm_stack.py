"""The encoder and the decoder of VQGAN."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.attention_block import AttentionBlock
from vqvae_tf.layers.convolution import convolution, transposed_convolution
from vqvae_tf.layers.group_norm_block import GroupNormBlock, group_norm
from vqvae_tf.networks.stack import LayerStack
from vqvae_tf.utils.checks import check_integer, check_positive


class GroupNormStack(LayerStack):
    """Residual blocks with group normalization at several sizes, attention.

    Args:
        output_channels: of the last convolution.
        stage_channels: channels of each size, the largest size first.
        num_residual_layers: blocks of each size.
        attention_stages: numbers of the sizes with attention after each block.
        num_groups: of all normalizations.
        num_heads: of all attention.
        dropout: inside the blocks.
        seed: of the dropout.
        first_stride: of the convolution next to the data.
    """

    def __init__(
        self,
        output_channels: int,
        stage_channels: Sequence[int] = (128, 128, 256, 256, 512),
        num_residual_layers: int = 2,
        attention_stages: Sequence[int] = (),
        num_groups: int = 32,
        num_heads: int = 1,
        dropout: float = 0.0,
        seed: int | None = None,
        first_stride: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_channels = check_positive(
            "output_channels", output_channels
        )
        self.stage_channels = tuple(
            check_positive("Each of stage_channels", n) for n in stage_channels
        )
        self.num_residual_layers = check_integer(
            "num_residual_layers", num_residual_layers, 0
        )
        self.attention_stages = tuple(attention_stages)
        self.num_groups = check_positive("num_groups", num_groups)
        self.num_heads = check_positive("num_heads", num_heads)
        self.dropout, self.seed = dropout, seed
        self.first_stride = check_positive("first_stride", first_stride)
        count = len(self.stage_channels)
        if not count or not set(self.attention_stages) <= set(range(count)):
            raise ValueError(
                "attention_stages are numbers of stage_channels, 0 for the "
                "first, of which there must be at least one. Received: "
                f"attention_stages={self.attention_stages}, stage_channels="
                f"{self.stage_channels}."
            )
        self.conv_in, self.body, self.conv_out = self.made()
        self.norm = group_norm(num_groups, "norm")

    def made(self) -> tuple[keras.Layer, list[keras.Layer], keras.Layer]:
        """Returns the first layer, those after it, and the last one."""
        raise NotImplementedError(f"{type(self).__name__} must implement made.")

    def in_order(self) -> list[keras.Layer]:
        return [self.conv_in, *self.body, self.norm, self.conv_out]

    def conv(self, channels: int, name: str, strides: int = 1) -> keras.Layer:
        """Returns a convolution of window 3."""
        dtype = self.dtype_policy
        return convolution(
            2, channels, 3, strides=strides, dtype=dtype, name=name
        )

    def _factor(self):
        """Returns the ratio of the data's sizes to those of the latents."""
        return self.first_stride * 2 ** (len(self.stage_channels) - 1)

    def stage(
        self, number: int, blocks: int, first_seed: int
    ) -> list[keras.Layer]:
        """Returns the layers of one size."""
        channels, layers = self.stage_channels[number], []
        for i in range(blocks):
            name = f"stage_{number}_{i}"
            layers.append(self.block(channels, name, first_seed + i))
            if number in self.attention_stages:
                layers.append(self.attend(channels, f"{name}_attention"))
        return layers

    def middle(self) -> list[keras.Layer]:
        """Returns the layers of the smallest size that both networks have."""
        channels = self.stage_channels[-1]
        return [
            self.block(channels, "middle_0", 1000),
            self.attend(channels, "middle_attention"),
            self.block(channels, "middle_1", 1001),
        ]

    def block(self, channels: int, name: str, number: int) -> GroupNormBlock:
        """Returns a residual block; its number is added to the seed."""
        return GroupNormBlock(
            channels,
            num_groups=self.num_groups,
            dropout=self.dropout,
            seed=None if self.seed is None else self.seed + number,
            dtype=self.dtype_policy,
            name=name,
        )

    def attend(self, channels: int, name: str) -> AttentionBlock:
        """Returns attention over all positions."""
        return AttentionBlock(
            channels,
            self.num_heads,
            self.num_groups,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = inputs
        for layer in self.in_order():
            if isinstance(layer, GroupNormBlock):
                x = layer(x, training=training)
            elif layer is self.norm:
                x = keras.ops.silu(layer(x))
            else:
                x = layer(x)
        return x


@keras.saving.register_keras_serializable("vqvae_tf")
class GroupNormEncoder(GroupNormStack):
    """VQGAN's encoder: deeper than `Encoder`, with attention.

    A convolution; for each size residual blocks, and between two sizes a
    convolution of stride 2; at the smallest, a block, attention and another
    block; a normalization and a convolution to the latents.

    Args:
        output_channels: int, channels of the latents.
        stage_channels: channels of each size, the largest first; each further
            one halves the sizes. (128, 128, 256, 256, 512), the default, has
            latents of a sixteenth of the sizes.
        num_residual_layers: int, blocks of each size; 2 by default.
        attention_stages: numbers of the sizes with attention after each block,
            0 for the largest; none by default. The paper has it where pictures
            of 256x256 are 16x16, `(4,)`.
        num_groups: int, of all group normalizations; 32 by default. It must
            divide all channels.
        num_heads: int, of all attention; 1 by default.
        dropout: float, inside the blocks; 0 by default.
        seed: int, of the dropout; a random one by default.
        first_stride: int, of the first convolution; 1 by default. With more,
            its window is twice that, and the largest size is that much smaller
            than the data's, which saves most of the time.

    Call arguments:
        inputs: float `[batch, height, width, channels]`. Sizes may be unknown;
            they are multiples of `downsampling`.
        training: bool, whether to drop.

    Returns:
        `[batch, height / downsampling, width / downsampling, output_channels]`.

    Raises:
        ValueError: for channels that are no multiple of the groups, and for
            numbers of sizes that there are not.

    Example:

    >>> encoder = GroupNormEncoder(8, (16, 32), num_groups=8)
    >>> encoder(keras.ops.ones([1, 32, 32, 3])).shape, encoder.downsampling
    (TensorShape([1, 16, 16, 8]), 2)

    References:
        Esser et al. 2021, arXiv:2012.09841, table 7; Ho et al. 2020,
        arXiv:2006.11239 (the blocks).
    """

    def made(self) -> tuple[keras.Layer, list[keras.Layer], keras.Layer]:
        stride, body = self.first_stride, []
        conv_in = convolution(
            2,
            self.stage_channels[0],
            2 * stride + (stride == 1),
            strides=stride,
            dtype=self.dtype_policy,
            name="conv_in",
        )
        for number in range(len(self.stage_channels)):
            if number:
                before = self.stage_channels[number - 1]
                body.append(self.conv(before, f"down_{number}", strides=2))
            body += self.stage(number, self.num_residual_layers, 100 * number)
        last = self.conv(self.output_channels, "conv_out")
        return conv_in, body + self.middle(), last

    @property
    def downsampling(self) -> int:
        """The ratio of input to latent size."""
        return self._factor()


@keras.saving.register_keras_serializable("vqvae_tf")
class GroupNormDecoder(GroupNormStack):
    """VQGAN's decoder: the mirror image of `GroupNormEncoder`.

    Sizes are doubled by repeating positions, with a convolution after it. Each
    size has one block more than the encoder's.

    Args:
        output_channels: int, as many as the likelihood has parameters
            (`likelihood.num_parameters(3)` for RGB).
        stage_channels, num_residual_layers, attention_stages: as for
            `GroupNormEncoder`, the largest size first here too.
        num_groups, num_heads, dropout, seed: as for `GroupNormEncoder`.
        first_stride: int, as the encoder's; here of the last convolution, which
            is transposed if it is more than 1.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.
        training: bool, whether to drop.

    Returns:
        `[batch, height * upsampling, width * upsampling, output_channels]`.

    Raises:
        ValueError: as `GroupNormEncoder`.

    Example:

    >>> decoder = GroupNormDecoder(3, (16, 32), num_groups=8)
    >>> decoder(keras.ops.ones([1, 16, 16, 8])).shape, decoder.upsampling
    (TensorShape([1, 32, 32, 3]), 2)

    References:
        Esser et al. 2021, arXiv:2012.09841, table 7.
    """

    def made(self) -> tuple[keras.Layer, list[keras.Layer], keras.Layer]:
        body = self.middle()
        for number in range(len(self.stage_channels) - 1, -1, -1):
            blocks = self.num_residual_layers + 1
            body += self.stage(number, blocks, 100 * number)
            if number:
                channels = self.stage_channels[number]
                body += [
                    keras.layers.UpSampling2D(
                        dtype=self.dtype_policy, name=f"double_{number}"
                    ),
                    self.conv(channels, f"up_{number}"),
                ]
        conv_in = self.conv(self.stage_channels[-1], "conv_in")
        return conv_in, body, self._last()

    def _last(self):
        stride, channels = self.first_stride, self.output_channels
        if stride == 1:
            return self.conv(channels, "conv_out")
        options = dict(strides=stride, dtype=self.dtype_policy, name="conv_out")
        return transposed_convolution(2, channels, 2 * stride, **options)

    @property
    def upsampling(self) -> int:
        """The ratio of output to latent size."""
        return self._factor()
