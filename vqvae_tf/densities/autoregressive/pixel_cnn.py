"""The gated PixelCNN: an autoregressive density of grids of codes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive import (
    pixel_cnn_sampling as cached_sampling,
)
from vqvae_tf.densities.autoregressive.code_network import CodeNetwork
from vqvae_tf.densities.autoregressive.pixel_cnn_layer import GatedLayer
from vqvae_tf.utils.checks import check_odd, check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class PixelCNN(CodeNetwork):
    r"""Gated PixelCNN over grids of codes, or over pixels.

    .. math::

        \log p(x \mid c) = \sum_t \log p(x_t \mid x_{<t}, c)

    over the positions of a grid in raster order and, at each position, over its
    codebooks in order. A vertical stack of convolutions sees the rows above, a
    horizontal one the columns to the left; together they have no blind spot.
    With a reach of `first_kernel_size // 2 + (num_layers - 1) * (kernel_size //
    2)`, a position sees as many columns to its left, and as many rows above it,
    in these as many columns to either side.

    Args:
        num_embeddings: K, codes are in 0..K-1 (256 for pixels); or a sequence
            of G numbers, one for each codebook, such as the `num_codes` of a
            quantizer.
        event_shape: the grid, (height, width), that `sample` draws by default.
            Other grids can be evaluated and sampled too.
        num_codebooks: G; codes have a last axis G if it is > 1 (3 for RGB).
        hidden_channels: channels of both stacks.
        num_layers: the number of gated layers.
        kernel_size: odd, of all layers but the first.
        first_kernel_size: odd, of the first layer.
        head_channels: channels of each codebook's hidden layer in the head.
        dropout: the rate on the gated horizontal activations, in training.
        global_channels: channels of `context["global"]`, which is projected
            into the gates of each layer; None for no such context.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: ratio of the grid's size to that of the local
            context, which is upsampled by transposed convolutions.

    Call arguments:
        value: codes, integers `[batch, height, width]`, or `[batch, height,
            width, G]`; whole numbers of a float dtype are accepted too.
        context: a dict with `"global"` float `[batch, global_channels]` and
            `"local"` float `[batch, height / local_upsampling, width /
            local_upsampling, local_channels]`, as configured.
        mask: bool or float `[batch, height, width]`; positions of 0 are
            excluded (later ones still see their codes).
        training: whether to apply dropout.

    Returns:
        The log-probability, float32 `[batch]`, in nats.

    Raises:
        ValueError: for codes of the wrong shape or (eagerly) outside 0..K-1,
            and for missing, unexpected or misshapen context entries.

    Example: a class-conditional prior over 8x8 codes.

    >>> prior = PixelCNN(
    ...     512, (8, 8), hidden_channels=16, num_layers=3, global_channels=10
    ... )
    >>> codes, label = tf.zeros([2, 8, 8], tf.int32), tf.one_hot([3, 5], 10)
    >>> prior.log_prob(codes, {"global": label}).shape
    TensorShape([2])
    >>> prior.compile("adam")
    >>> history = prior.fit(codes, {"global": label}, verbose=0)
    >>> prior.sample(context={"global": label}, seed=0).shape
    TensorShape([2, 8, 8])

    A prior over the two codes of each position, of 16 and of 4:

    >>> prior = PixelCNN([16, 4], (8, 8), num_codebooks=2, num_layers=3)
    >>> prior.sample(2, seed=0).shape, prior.num_codes
    (TensorShape([2, 8, 8, 2]), (16, 4))

    References:
        van den Oord et al. 2016, arXiv:1606.05328, sections 2.1 to 2.3.
        van den Oord et al. 2016, arXiv:1601.06759, section 3.3 (colours).
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...] = (32, 32),
        num_codebooks: int = 1,
        hidden_channels: int = 128,
        num_layers: int = 10,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        head_channels: int = 256,
        dropout: float = 0.0,
        global_channels: int | None = None,
        local_channels: int | None = None,
        local_upsampling: int = 1,
        **kwargs: Any,
    ) -> None:
        codes = (num_embeddings, event_shape, num_codebooks)
        sizes = (hidden_channels, head_channels, dropout)
        contexts = (global_channels, local_channels, local_upsampling)
        super().__init__(*codes, *sizes, *contexts, **kwargs)
        self.num_layers = check_positive("num_layers", num_layers)
        self.kernel_size = check_odd("kernel_size", kernel_size, 3)
        self.first_kernel_size = check_odd(
            "first_kernel_size", first_kernel_size, 3
        )
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        local_channels = self._make_inputs()
        self.blocks = [
            GatedLayer(
                channels,
                self.kernel_size if i else self.first_kernel_size,
                first=i == 0,
                global_channels=self.global_channels,
                local_channels=local_channels,
                dtype=dtype,
                name=f"layer_{i}",
            )
            for i in range(self.num_layers)
        ]
        self._make_outputs()

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> tf.Tensor:
        """Applies the two stacks; see `CodeNetwork.features`."""
        vertical = horizontal = tf.reduce_sum(embedded, axis=-2)
        skips = []
        for layer in self.blocks:
            vertical, horizontal, skip = layer(
                vertical,
                horizontal,
                global_context,
                local_context,
                dropout=drop,
            )
            skips.append(skip)
        # The last residual stream is one more skip connection.
        return tf.add_n(skips) + horizontal

    def visit(
        self,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        context: dict[str, tf.Tensor] | None,
        choose: Callable[..., tf.Tensor],
        record: bool = False,
    ) -> tf.Tensor:
        contexts = self._contexts(context, grid, num_samples)
        return cached_sampling.run(
            self, num_samples, *grid, contexts, choose, record
        )
