"""A decoder-only Transformer: an autoregressive density of grids of codes."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive import stepping
from vqvae_tf.densities.autoregressive.loops import normalization
from vqvae_tf.densities.autoregressive.transformer_layer import (
    TransformerSteps,
)
from vqvae_tf.densities.autoregressive.transformer_network import (
    TransformerNetwork,
)
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.utils.checks import check_rate


@keras.saving.register_keras_serializable("vqvae_tf")
class CodeTransformer(TransformerNetwork):
    """Decoder-only Transformer over grids of codes.

    `log p(x | c) = sum_t log p(x_t | x_{<t}, c)` over the positions of a grid
    in raster order and, at each position, over its codebooks in order. Every
    position sees all earlier ones, at a cost that grows with the square of
    their number. The logits of a position are computed from its place, the
    contexts, and the codes before it, the first of which is a learned start.

    Args:
        num_embeddings: K, codes are in 0..K-1; or a sequence of G numbers, one
            for each codebook.
        event_shape: the grid, (height, width), that `sample` draws by default.
            With rotary positions other grids can be evaluated and sampled
            too, with learned ones smaller grids.
        num_codebooks: G; codes have a last axis G if it is > 1.
        hidden_channels: channels of the residual stream.
        num_layers: the number of layers.
        num_heads: of each layer's attention; divides hidden_channels, and with
            rotary positions a quarter of it.
        mlp_channels: hidden units of each layer's perceptron; by default four
            times hidden_channels.
        head_channels: channels of each codebook's hidden layer in the head.
        dropout: the rate on the inputs and on both branches of each layer, in
            training.
        positions: `"rotary"`, turned queries and keys, and added waves over
            the grid; or `"learned"`, added embeddings of rows and columns.
        global_channels: channels of `context["global"]`, a projection of
            which is added at each position; None for no such context.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: ratio of the grid's size to that of the local
            context, which is upsampled by transposed convolutions.
        local_layers: convolutions of the local context before that, which see
            codes around it.
        code_corruption: the share of the codes that are replaced by random
            ones in training, in [0, 1), where the network sees them; 0 by
            default. Samples then depend less on the errors before them, and
            training takes longer. It is 1 - pkeep of the paper's code.

    Call arguments, Returns:
        As for `PixelCNN`.

    Raises:
        ValueError: for codes of the wrong shape or (eagerly) outside 0..K-1,
            for grids beyond learned positions (`InvalidArgumentError` where
            sizes are known only when a graph runs), and for missing,
            unexpected or misshapen context entries.

    Example: a class-conditional prior over 8x8 codes.

    >>> prior = CodeTransformer(
    ...     512, (8, 8), hidden_channels=32, num_layers=2, global_channels=10
    ... )
    >>> codes, label = tf.zeros([2, 8, 8], tf.int32), tf.one_hot([3, 5], 10)
    >>> prior.log_prob(codes, {"global": label}).shape
    TensorShape([2])
    >>> prior.sample(context={"global": label}, seed=0).shape
    TensorShape([2, 8, 8])

    References:
        Vaswani et al. 2017, arXiv:1706.03762.
        Esser et al. 2021, arXiv:2012.09841, section 3.2 (over codes).
        Su et al. 2021, arXiv:2104.09864 (rotary positions).
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        *args: Any,
        code_corruption: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_embeddings, *args, **kwargs)
        self.code_corruption = check_rate("code_corruption", code_corruption)
        self.corruption = None
        if code_corruption:
            self.corruption = RowNoise(name="corruption")
            self.corruption.built = True

    def _corrupted(self, codes):
        if self.corruption is None:
            return codes
        noise = self.corruption.uniform(
            tf.concat([tf.shape(codes), [2]], 0), self.corruption.next_seed()
        )
        sizes = tf.constant(self.num_codes, tf.float32)
        others = tf.cast(noise[..., 1] * sizes, tf.int32)
        others = tf.minimum(others, tf.constant(self.num_codes) - 1)
        return tf.where(noise[..., 0] < self.code_corruption, others, codes)

    def visit(
        self,
        num_samples: int | tf.Tensor,
        grid: Sequence[int | tf.Tensor],
        context: dict[str, tf.Tensor] | None,
        choose: Callable[..., tf.Tensor],
        record: bool = False,
    ) -> tf.Tensor:
        contexts = self._contexts(context, grid, num_samples)
        steps = _Steps(self, num_samples, grid, contexts)
        return stepping.run(self, steps, num_samples, grid, choose, record)


class _Steps(stepping.Steps):
    """The layers, a position at a time, with keys and values that are kept."""

    def __init__(self, density, num_samples, grid, contexts):
        self.inputs = density.entry
        self.norm = normalization(density.norm, density.compute_dtype)
        self.num_samples, self.positions = num_samples, grid[0] * grid[1]
        self.layers = [
            TransformerSteps(layer, num_samples) for layer in density.stack
        ]
        self.rotation = density.rotation(*grid)
        self.biases = self.inputs.biases(*grid, *contexts)

    def settled(self):
        return [
            layer.attention.no_blocks(self.positions) for layer in self.layers
        ]

    def empty(self):
        pairs = [layer.attention.empty() for layer in self.layers]
        return [self.inputs.first(self.num_samples), pairs]

    def features(self, settled, state, t):
        newest, pairs = state
        x = newest + tf.gather(self.biases, t, axis=1)
        rotate = None
        if self.rotation is not None:
            rotate = functools.partial(self.rotation, t=t)
        added = []
        for layer, blocks, block in zip(self.layers, settled, pairs):
            x, block = layer.step(x, blocks, block, t, rotate)
            added.append(block)
        return self.norm(x), added

    def finish(self, pending, t, newest):
        return [newest, pending]

    def settle(self, settled, state, t):
        return [
            layer.attention.join(blocks, block, t)
            for layer, blocks, block in zip(self.layers, settled, state[1])
        ]
