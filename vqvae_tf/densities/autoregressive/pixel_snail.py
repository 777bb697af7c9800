"""PixelSNAIL: causal convolutions and self-attention over grids of codes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive import stepping
from vqvae_tf.densities.autoregressive.code_network import CodeNetwork
from vqvae_tf.densities.autoregressive.pixel_snail_layer import (
    GatedResidual,
    ShiftedConv,
    SnailBlock,
)
from vqvae_tf.densities.autoregressive.pixel_snail_sampling import SnailSteps
from vqvae_tf.densities.autoregressive.positions import background
from vqvae_tf.utils.checks import (
    check_integer,
    check_odd,
    check_positive,
)


@keras.saving.register_keras_serializable("vqvae_tf")
class PixelSNAIL(CodeNetwork):
    """PixelSNAIL over grids of codes, or over pixels.

    `log p(x | c) = sum_t log p(x_t | x_{<t}, c)` over the positions of a grid
    in raster order and, at each position, over its codebooks in order. Blocks
    of gated residual convolutions see what is near, above and to the left;
    attention after each block sees all earlier positions.

    Args:
        num_embeddings: K, codes are in 0..K-1; or a sequence of G numbers, one
            for each codebook.
        event_shape: the grid, (height, width), that `sample` draws by default.
            Other grids can be evaluated and sampled too.
        num_codebooks: G; codes have a last axis G if it is > 1.
        hidden_channels: channels of the features.
        num_blocks: blocks of residual layers, each followed by attention.
        num_layers: gated residual layers of each block.
        residual_channels: hidden channels of these; by default
            hidden_channels.
        kernel_size: rows and columns that each convolution sees, its own
            position included.
        first_kernel_size: odd, of the first convolution, as in `PixelCNN`.
        num_heads: of each attention; 0 for none, as in the lower levels of
            VQ-VAE-2.
        key_channels: channels of each head's keys and queries. Values have
            half of hidden_channels in all.
        num_output_layers: gated residual layers of 1x1 after the blocks.
        head_channels: channels of each codebook's hidden layer in the head.
        dropout: the rate between the two convolutions of each residual layer,
            in training.
        global_channels: channels of `context["global"]`, which is projected
            into the gates of the blocks' residual layers; None for no such
            context.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: ratio of the grid's size to that of the local
            context, which is upsampled by transposed convolutions.
        local_layers: convolutions of the local context before that, which see
            codes around it.

    Call arguments, Returns, Raises:
        As for `PixelCNN`.

    Example: a class-conditional prior over 8x8 codes.

    >>> prior = PixelSNAIL(
    ...     512,
    ...     (8, 8),
    ...     hidden_channels=16,
    ...     num_blocks=2,
    ...     num_layers=1,
    ...     global_channels=10,
    ... )
    >>> codes, label = tf.zeros([2, 8, 8], tf.int32), tf.one_hot([3, 5], 10)
    >>> prior.log_prob(codes, {"global": label}).shape
    TensorShape([2])
    >>> prior.sample(context={"global": label}, seed=0).shape
    TensorShape([2, 8, 8])

    References:
        Chen et al. 2017, arXiv:1712.09763.
        Razavi et al. 2019, arXiv:1906.00446, appendix A (as a prior).
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...] = (32, 32),
        num_codebooks: int = 1,
        hidden_channels: int = 128,
        num_blocks: int = 4,
        num_layers: int = 4,
        *,
        residual_channels: int | None = None,
        kernel_size: int = 2,
        first_kernel_size: int = 5,
        num_heads: int = 1,
        key_channels: int = 16,
        num_output_layers: int = 0,
        head_channels: int = 256,
        dropout: float = 0.0,
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
        self.num_blocks = check_positive("num_blocks", num_blocks)
        self.num_layers = check_positive("num_layers", num_layers)
        self.residual_channels = check_positive(
            "residual_channels",
            hidden_channels if residual_channels is None else residual_channels,
        )
        self.kernel_size = check_positive("kernel_size", kernel_size)
        self.first_kernel_size = check_odd(
            "first_kernel_size", first_kernel_size, 3
        )
        self.num_heads = check_integer("num_heads", num_heads, 0)
        if num_heads and hidden_channels % (2 * num_heads):
            raise ValueError(
                "hidden_channels must be a multiple of twice num_heads, since "
                "values have half of the channels. Received: hidden_channels="
                f"{hidden_channels}, num_heads={num_heads}."
            )
        self.key_channels = check_positive("key_channels", key_channels)
        self.num_output_layers = check_integer(
            "num_output_layers", num_output_layers, 0
        )
        self.local_layers = check_integer("local_layers", local_layers, 0)
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        local_channels = self._make_inputs()
        self.first = ShiftedConv(
            channels, self.first_kernel_size, dtype=dtype, name="first"
        )
        self.middle = [
            SnailBlock(
                channels,
                self.num_layers,
                self.residual_channels,
                self.kernel_size,
                self.num_heads,
                self.key_channels,
                self.global_channels,
                local_channels,
                dtype=dtype,
                name=f"block_{i}",
            )
            for i in range(self.num_blocks)
        ]
        self.after = [
            GatedResidual(
                channels,
                self.residual_channels,
                kernel_size=1,
                dtype=dtype,
                name=f"after_{i}",
            )
            for i in range(self.num_output_layers)
        ]
        self.blocks = [self.first, *self.middle, *self.after]
        self._make_outputs()

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> tf.Tensor:
        """Applies the blocks; see `CodeNetwork.features`."""
        shape = tf.shape(embedded)
        embedded = tf.reduce_sum(embedded, axis=-2)
        places = background(shape[1], shape[2], self.compute_dtype)
        x = self.first(embedded)
        for block in self.middle:
            x = block(
                x,
                embedded,
                places,
                global_context,
                local_context,
                dropout=drop,
            )
        for layer in self.after:
            x = layer(x, dropout=drop)
        return x

    def visit(
        self,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        context: dict[str, tf.Tensor] | None,
        choose: Callable[..., tf.Tensor],
        record: bool = False,
    ) -> tf.Tensor:
        contexts = self._contexts(context, grid, num_samples)
        steps = SnailSteps(self, num_samples, grid, contexts)
        return stepping.run(self, steps, num_samples, grid, choose, record)
