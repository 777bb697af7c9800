"""A density of codes made of an embedding, a causal network and a head."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_density import CodeDensity
from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.densities.conditioning import (
    broadcast_batch,
    check_context,
    check_grid,
    check_same_batch,
    size_of,
)
from vqvae_tf.layers.dropout import Dropout
from vqvae_tf.layers.local_upsampling import LocalUpsampling
from vqvae_tf.utils.checks import check_positive, check_rate
from vqvae_tf.utils.code_sizes import as_argument, check_code_sizes, first_rows


class CodeNetwork(CodeDensity):
    """The base of PixelCNN, PixelSNAIL, WaveNet and the Transformers.

    Codes are embedded, mapped to features by a network, causal but for that of
    `MaskedCodeTransformer`, and to logits by a head. Constructors of subclasses
    call `_make_inputs`, then create `blocks`, then `_make_outputs` or `drop` (a
    `Dropout`) and `head` (a `CodeHead`). Subclasses also implement `features`,
    and `visit` where codes are drawn in order.

    Args:
        num_embeddings, event_shape, num_codebooks, hidden_channels,
        head_channels, dropout, global_channels, local_channels,
        local_upsampling: see the subclasses.
    """

    # The part of the upsampling that is repetition, left to the blocks, and
    # the number of convolutions of the local context before upsampling.
    local_repeat = 1
    local_layers = 0

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...],
        num_codebooks: int,
        hidden_channels: int,
        head_channels: int,
        dropout: float,
        global_channels: int | None,
        local_channels: int | None,
        local_upsampling: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._num_codes = check_code_sizes(num_embeddings, num_codebooks)
        self.num_embeddings = max(self._num_codes)
        self.event_shape = self._check_event_shape(event_shape)
        self.num_codebooks = check_positive("num_codebooks", num_codebooks)
        self.hidden_channels = check_positive(
            "hidden_channels", hidden_channels
        )
        self.head_channels = check_positive("head_channels", head_channels)
        self.dropout = check_rate("dropout", dropout)
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

    @property
    def num_codes(self) -> tuple[int, ...]:
        return self._num_codes

    def _make_inputs(self):
        """Creates the layers before the blocks.

        Returns:
            The channels of the local context for the blocks, or None.
        """
        dtype, channels = self.dtype_policy, self.hidden_channels
        self.embedding = keras.layers.Embedding(
            sum(self.num_codes),
            channels,
            # The sum over codebooks has variance 1.
            keras.initializers.RandomNormal(stddev=self.num_codebooks**-0.5),
            dtype=dtype,
            name="embedding",
        )
        self.upsampling = None
        factor = self.local_upsampling // self.local_repeat
        if not self.local_channels or (factor == 1 and not self.local_layers):
            return self.local_channels
        self.upsampling = LocalUpsampling(
            factor,
            channels,
            self.local_channels,
            rank=len(self.grid_axes),
            num_layers=self.local_layers,
            dtype=dtype,
            name="upsampling",
        )
        return channels

    def _make_outputs(self):
        """Creates dropout and the head, of features of hidden_channels."""
        dtype = self.dtype_policy
        self.drop = Dropout(self.dropout, dtype=dtype)
        self.head = CodeHead(
            self.num_codes,
            self.num_codebooks,
            self.head_channels,
            self.hidden_channels,
            dtype=dtype,
            name="head",
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Creates all variables; the shape of the data is not needed."""
        self.embedding.build()
        for part in (self.upsampling, *self.blocks, self.head):
            if part is not None:
                part.build(None)
        self.built = True

    def compute_output_spec(
        self, value: keras.KerasTensor, *args: Any, **kwargs: Any
    ) -> keras.KerasTensor:
        # Models built without data have no context for a symbolic call.
        return keras.KerasTensor((value.shape[0],), "float32")

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> tf.Tensor:
        """Applies the causal network.

        Args:
            embedded: `[batch, *grid, G, hidden_channels]`.
            global_context: `[batch, global_channels]`, or None.
            local_context: `[batch, *grid, channels]`, or None.
            drop: dropout, or None.

        Returns:
            `[batch, *grid, channels]`; a position's features depend only on
            the codes of earlier positions.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement features."
        )

    # The probability --------------------------------------------------------

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        codes = self._codes(value)
        seen = self._corrupted(codes) if training else codes
        embedded = self.embed(seen)
        features = self._features(embedded, context, training)
        log_prob = self.head.log_prob(features, embedded, codes)
        log_prob = tf.reduce_sum(log_prob, axis=-1)
        if mask is not None:
            log_prob *= self._check_mask("mask", mask, tf.float32, codes)
        axes = range(1, 1 + len(self.grid_axes))
        return tf.reduce_sum(log_prob, axis=list(axes))

    def _corrupted(self, codes):
        """Returns the codes that the network sees in training."""
        return codes

    def logits(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns each position's logits given the earlier codes.

        Args:
            value: integers `[batch, *grid]`, or `[..., G]`.
            context: as for `call`.
            training: whether to apply dropout.

        Returns:
            float32 `[batch, *grid, K]`, or `[..., G, K]` with G > 1
            codebooks; -1e38 for codes that a codebook does not have.
        """
        if not self.built:
            self.build()
        embedded = self.embed(self._codes(value))
        logits = self.of_embedded(embedded, context, training)
        return logits if self.num_codebooks > 1 else logits[..., 0, :]

    def embed(self, codes: tf.Tensor) -> tf.Tensor:
        """Embeds int32 codes `[..., G]` as `[..., G, hidden_channels]`."""
        # The gradient of reshape is dense. Clipping would treat repeated rows
        # of a sparse gradient as different ones.
        table = tf.reshape(
            self.embedding.embeddings, [-1, self.hidden_channels]
        )
        rows = tf.gather(table, codes + first_rows(self.num_codes))
        return tf.cast(rows, self.compute_dtype)

    def of_embedded(
        self,
        embedded: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns logits `[batch, *grid, G, K]`.

        Args:
            embedded: float `[batch, *grid, G, hidden_channels]`.
            context, training: as for `call`.
        """
        features = self._features(embedded, context, training)
        return self.head(features, embedded)

    def _features(self, embedded, context, training, **options):
        axes = range(1, 1 + len(self.grid_axes))
        grid = tuple(size_of(embedded, axis) for axis in axes)
        contexts = self.prepare_context(context, grid)
        for name, entry in zip(("global", "local"), contexts):
            check_same_batch(f'context["{name}"]', entry, "the codes", embedded)
        drop = None
        if training and self.dropout:
            # Said here, since only a call of a model would tell its layers.
            drop = functools.partial(self.drop, training=True)
        return self.features(embedded, *contexts, drop, **options)

    def known_context(
        self, context: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        if self.global_channels is not None:
            return context
        return {k: v for k, v in context.items() if k != "global"}

    def check_entries(
        self, context: dict[str, tf.Tensor] | None
    ) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Returns the context's entries; see `conditioning.check_context`."""
        return check_context(
            context,
            self.global_channels,
            self.local_channels,
            len(self.grid_axes),
        )

    def prepare_context(
        self,
        context: dict[str, tf.Tensor] | None,
        grid: Sequence[int | tf.Tensor],
    ) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Checks the context and upsamples its local entry to the blocks' grid.

        Args:
            context: as for `call`.
            grid: the sizes, integers or int32 scalar tensors.

        Returns:
            The global entry `[batch, channels]` and the local one `[batch,
            *grid / local_repeat, channels]`, or None for absent entries.
        """
        global_context, local = self.check_entries(context)
        if local is not None:
            local = check_grid(local, self.local_upsampling, grid)
            if self.upsampling is not None:
                local = self.upsampling(local)
        return global_context, local

    def _contexts(self, context, grid, num_samples):
        """Returns the prepared contexts, with a row for each sample."""
        return [
            broadcast_batch(f'context["{name}"]', entry, num_samples)
            for name, entry in zip(
                ("global", "local"), self.prepare_context(context, grid)
            )
        ]

    def get_config(self) -> dict[str, Any]:
        sizes = as_argument(self.num_codes)
        return {**super().get_config(), "num_embeddings": sizes}


def _check_optional(name, value):
    return None if value is None else check_positive(name, value)
