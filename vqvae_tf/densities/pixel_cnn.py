"""The gated PixelCNN: an autoregressive density of grids of codes."""

import keras
import tensorflow as tf

from vqvae_tf.checks import check_odd, check_positive
from vqvae_tf.densities import cached_sampling
from vqvae_tf.densities.code_density import CodeDensity
from vqvae_tf.densities.code_head import CodeHead
from vqvae_tf.densities.conditioning import (
    LocalUpsampling,
    broadcast_batch,
    check_context,
    check_grid,
    size_of,
)
from vqvae_tf.densities.gated_layer import GatedLayer
from vqvae_tf.layers.dropout import Dropout


@keras.saving.register_keras_serializable("vqvae_tf")
class PixelCNN(CodeDensity):
    """Gated PixelCNN over grids of codes, or over pixels.

    `log p(x | c) = sum_t log p(x_t | x_{<t}, c)` over the positions of a grid
    in raster order and, at a position, over its codebooks in order. A vertical
    stack of convolutions sees the rows above, a horizontal one the columns to
    the left; together they have no blind spot. With `reach =
    first_kernel_size // 2 + (num_layers - 1) * (kernel_size // 2)`, a position
    sees the `reach` rows above it, there `reach` columns to either side, and
    the `reach` columns to the left in its own row.

    Args:
        num_embeddings: K, codes are in 0..K-1 (256 for pixels).
        event_shape: the grid, (height, width), that `sample` draws by default.
            Other grids can be evaluated and drawn too.
        num_codebooks: G; codes have a last axis G where it is > 1 (3 for RGB).
        hidden_channels: channels of both stacks.
        num_layers: the number of gated layers.
        kernel_size: odd, of all layers but the first.
        first_kernel_size: odd, of the first layer.
        head_channels: channels of each codebook's hidden layer in the head.
        dropout: the rate on the gated horizontal activations, in training.
        global_channels: channels of `context["global"]`; None for no such
            context. It is projected into the gates of each layer.
        local_channels: channels of `context["local"]`, or None, likewise.
        local_upsampling: grid size over the size of the local context, which
            the density's own transposed convolutions undo.

    Call arguments:
        value: codes, integers `[batch, height, width]`, or `[batch, height,
            width, G]`; float whole numbers are taken too.
        context: a dict with `"global"` float `[batch, global_channels]` and
            `"local"` float `[batch, height / local_upsampling, width /
            local_upsampling, local_channels]`, as configured.
        mask: bool or float `[batch, height, width]`; positions of 0 count
            nothing (later ones still see their codes).
        training: whether dropout is applied.

    Returns:
        The log-probability, float32 `[batch]`, in nats.

    Raises:
        ValueError: for codes of another shape or (eagerly) outside 0..K-1,
            and for missing, unexpected or ill-shaped context entries.

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

    References:
        van den Oord et al. 2016, arXiv:1606.05328, sections 2.1 to 2.3.
        van den Oord et al. 2016, arXiv:1601.06759, section 3.3 (colours).
    """

    def __init__(
        self,
        num_embeddings,
        event_shape=(32, 32),
        num_codebooks=1,
        hidden_channels=128,
        num_layers=10,
        kernel_size=3,
        first_kernel_size=7,
        head_channels=256,
        dropout=0.0,
        global_channels=None,
        local_channels=None,
        local_upsampling=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_embeddings = check_positive("num_embeddings", num_embeddings)
        self.event_shape = self._check_event_shape(event_shape)
        self.num_codebooks = check_positive("num_codebooks", num_codebooks)
        self.hidden_channels = check_positive(
            "hidden_channels", hidden_channels
        )
        self.num_layers = check_positive("num_layers", num_layers)
        self.kernel_size = check_odd("kernel_size", kernel_size, 3)
        self.first_kernel_size = check_odd(
            "first_kernel_size", first_kernel_size, 3
        )
        self.head_channels = check_positive("head_channels", head_channels)
        self.dropout = _check_rate(dropout)
        self.global_channels = _check_optional(
            "global_channels", global_channels
        )
        self.local_channels = _check_optional("local_channels", local_channels)
        self.local_upsampling = check_positive(
            "local_upsampling", local_upsampling
        )
        if local_upsampling > 1 and local_channels is None:
            raise ValueError(
                "local_upsampling needs local_channels. Received: "
                f"local_upsampling={local_upsampling}, local_channels=None."
            )
        self._make_layers()

    def _make_layers(self):
        dtype, channels = self.dtype_policy, self.hidden_channels
        self.embedding = keras.layers.Embedding(
            self.num_codebooks * self.num_embeddings,
            channels,
            # The sum over codebooks has variance 1.
            keras.initializers.RandomNormal(stddev=self.num_codebooks**-0.5),
            dtype=dtype,
            name="embedding",
        )
        coarse = self.local_channels and self.local_upsampling > 1
        self.upsampling = None
        if coarse:
            self.upsampling = LocalUpsampling(
                self.local_upsampling,
                channels,
                self.local_channels,
                dtype=dtype,
                name="upsampling",
            )
        self.blocks = [
            GatedLayer(
                channels,
                self.kernel_size if i else self.first_kernel_size,
                first=i == 0,
                global_channels=self.global_channels,
                local_channels=channels if coarse else self.local_channels,
                dtype=dtype,
                name=f"layer_{i}",
            )
            for i in range(self.num_layers)
        ]
        self.drop = Dropout(self.dropout, dtype=dtype)
        self.head = CodeHead(
            self.num_embeddings,
            self.num_codebooks,
            self.head_channels,
            channels,
            dtype=dtype,
            name="head",
        )

    def build(self, input_shape=None):
        """Creates every variable; the shape of the data is not needed."""
        self.embedding.build()
        for part in (self.upsampling, *self.blocks, self.head):
            if part is not None:
                part.build(None)
        self.built = True

    # The probability --------------------------------------------------------

    def call(self, value, context=None, mask=None, training=False):
        codes = self._codes(value)
        logits = self._logits(codes, context, training)
        log_prob = -tf.nn.sparse_softmax_cross_entropy_with_logits(
            codes, logits
        )
        log_prob = tf.reduce_sum(log_prob, axis=-1)
        if mask is not None:
            log_prob *= self._check_mask("mask", mask, tf.float32)
        return tf.reduce_sum(log_prob, axis=[1, 2])

    def logits(self, value, context=None, training=False):
        """Returns each position's logits given the codes before it.

        Args:
            value: integers `[batch, height, width]`, or `[..., G]`.
            context: as for `call`.
            training: whether dropout is applied.

        Returns:
            float32 `[batch, height, width, K]`, or `[..., G, K]` with G > 1
            codebooks.
        """
        if not self.built:
            self.build()
        logits = self._logits(self._codes(value), context, training)
        return logits if self.num_codebooks > 1 else logits[..., 0, :]

    def _logits(self, codes, context, training):
        return self.of_embedded(self.embed(codes), context, training)

    def embed(self, codes):
        """Embeds int32 codes `[..., G]` as `[..., G, hidden_channels]`."""
        first = tf.range(self.num_codebooks) * self.num_embeddings
        # The gradient of reshape is dense. Optimizers that clip would take
        # the repeated rows of a sparse gradient for different ones.
        table = tf.reshape(
            self.embedding.embeddings, [-1, self.hidden_channels]
        )
        rows = tf.gather(table, codes + first)
        return tf.cast(rows, self.compute_dtype)

    def of_embedded(self, embedded, context=None, training=False):
        """Returns logits `[batch, height, width, G, K]`.

        Args:
            embedded: float `[batch, height, width, G, hidden_channels]`.
            context, training: as for `call`.
        """
        grid = size_of(embedded, 1), size_of(embedded, 2)
        global_context, local_context = self.prepare_context(context, grid)
        drop = self.drop if training and self.dropout else None
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
        return self.head(tf.add_n(skips) + horizontal, embedded)

    def prepare_context(self, context, grid):
        """Checks the context and brings its local entry to the grid.

        Args:
            context: as for `call`.
            grid: (height, width), integers or int32 scalar tensors.

        Returns:
            The global entry `[batch, channels]` and the local one `[batch,
            height, width, channels]`, each None where there is none.
        """
        global_context, local = check_context(
            context, self.global_channels, self.local_channels, rank=2
        )
        if local is not None:
            check_grid(local, self.local_upsampling, grid)
            if self.upsampling is not None:
                local = self.upsampling(local)
        return global_context, local

    def visit(self, num_samples, grid, context, choose, record=False):
        contexts = [
            broadcast_batch(f'context["{name}"]', entry, num_samples)
            for name, entry in zip(
                ("global", "local"), self.prepare_context(context, grid)
            )
        ]
        return cached_sampling.run(
            self, num_samples, *grid, contexts, choose, record
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "event_shape": self.event_shape,
            "num_codebooks": self.num_codebooks,
            "hidden_channels": self.hidden_channels,
            "num_layers": self.num_layers,
            "kernel_size": self.kernel_size,
            "first_kernel_size": self.first_kernel_size,
            "head_channels": self.head_channels,
            "dropout": self.dropout,
            "global_channels": self.global_channels,
            "local_channels": self.local_channels,
            "local_upsampling": self.local_upsampling,
        }


def _check_rate(rate):
    if not 0 <= rate < 1:
        raise ValueError(
            f"dropout must be a rate in [0, 1). Received: dropout={rate!r}."
        )
    return rate


def _check_optional(name, value):
    return None if value is None else check_positive(name, value)
