"""A Transformer that fills in hidden codes, many in parallel (MaskGIT)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.autoregressive import masking
from vqvae_tf.densities.autoregressive.code_head import NO_CODE_LOGIT
from vqvae_tf.densities.autoregressive.loops import LoopHead, loop
from vqvae_tf.densities.autoregressive.transformer_network import (
    TransformerNetwork,
)
from vqvae_tf.densities.base import blank, counted_size
from vqvae_tf.densities.conditioning import broadcast_batch
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import split_weight, total
from vqvae_tf.utils.checks import (
    check_not_negative,
    check_positive,
    check_share,
)
from vqvae_tf.utils.units import bits


@keras.saving.register_keras_serializable("vqvae_tf")
class MaskedCodeTransformer(TransformerNetwork):
    """Masked Transformer over grids of codes (MaskGIT).

    It is trained to predict codes that are hidden from it, of which every
    position sees all others. Samples start with all codes hidden; each pass
    predicts them all and keeps those it is most certain of, so a grid takes
    `num_passes` passes whatever its size. Any region can be completed, since
    any codes can be given.

    **`log_prob` is a lower bound**, and an estimate of it: codes can be
    revealed in any order, and the bound is the mean over orders of the
    probability of revealing these codes one by one,

        log p(x) >= E_n E_hidden [ N / n  sum_hidden log p(x_i | the others) ]

    with n uniform in 1..N and as many random positions hidden. `bound_draws`
    of n, evenly spread, and of positions are drawn for each example, always
    the same. Samples of few passes are of another distribution.

    Args:
        num_embeddings, event_shape, num_codebooks: as for `PixelCNN`.
        num_passes: of the sampler, 8 to 12 in the paper.
        confidence_noise: scale of the Gumbel noise on a code's log-probability
            when the most certain are kept; it falls linearly to 0 over the
            passes, and is multiplied by the temperature. Without it samples
            are bland.
        label_smoothing: the share of a uniform distribution in the targets of
            the loss; not of the bound.
        bound_draws: of `log_prob`, each a forward pass.
        kwargs: `hidden_channels`, `num_layers`, `num_heads`, `mlp_channels`,
            `head_channels`, `dropout`, `positions`, `global_channels`,
            `local_channels`, `local_upsampling`, as for `CodeTransformer`.

    Call arguments, Raises:
        As for `PixelCNN`.

    Metrics of fit and evaluate: `loss`, in training the mean of -log p over
    hidden codes, of which `ceil(N cos(pi u / 2))` are hidden, u uniform;
    `bits_per_dim`, the bound, in training estimated from the same codes.

    Example:

    >>> prior = MaskedCodeTransformer(
    ...     512, (8, 8), hidden_channels=32, num_layers=2, num_passes=4
    ... )
    >>> codes = tf.zeros([2, 8, 8], tf.int32)
    >>> prior.sample(2, seed=0).shape
    TensorShape([2, 8, 8])
    >>> left = tf.range(8) < tf.fill([2, 8, 1], 4)  # the left half is kept
    >>> prior.sample(given=codes, given_mask=left, seed=0).shape
    TensorShape([2, 8, 8])

    References:
        Chang et al. 2022, arXiv:2202.04200.
        Uria et al. 2014, arXiv:1310.1757, eq. 7; Hoogeboom et al. 2022,
        arXiv:2110.02037, eq. 3 (the bound over orders).
    """

    causal = False

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        event_shape: tuple[int, ...] = (32, 32),
        num_codebooks: int = 1,
        *,
        num_passes: int = 10,
        confidence_noise: float = 4.5,
        label_smoothing: float = 0.1,
        bound_draws: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_embeddings, event_shape, num_codebooks, **kwargs)
        self.num_passes = check_positive("num_passes", num_passes)
        self.confidence_noise = check_not_negative(
            "confidence_noise", confidence_noise
        )
        self.label_smoothing = check_share("label_smoothing", label_smoothing)
        self.bound_draws = check_positive("bound_draws", bound_draws)
        self.masking = RowNoise(name="masking")
        self.masking.built = True

    def features(
        self,
        embedded: tf.Tensor,
        global_context: tf.Tensor | None,
        local_context: tf.Tensor | None,
        drop: keras.layers.Layer | None,
        known: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Applies the layers.

        Args:
            embedded, global_context, local_context, drop: see
                `CodeNetwork.features`.
            known: bool `[batch, height, width]`, which codes are shown; None
                for none of them.

        Returns:
            `[batch, height, width, channels]`.
        """
        shape = tf.shape(embedded)
        embedded = tf.reduce_sum(embedded, axis=-2)
        if known is None:
            known = tf.zeros(shape[:3], tf.bool)
        x = self.entry(embedded, global_context, local_context, known=known)
        x = self.apply_layers(x, (shape[1], shape[2]), drop)
        return tf.reshape(x, tf.shape(embedded))

    def logits(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
        known: tf.Tensor | np.ndarray | None = None,
    ) -> tf.Tensor:
        """Returns each position's logits given the codes that are known.

        Args:
            value: integers `[batch, height, width]`, or `[..., G]`.
            context: as for `call`.
            training: whether to apply dropout.
            known: bool `[batch, height, width]`; None for no code.

        Returns:
            float32 `[batch, height, width, K]`, or `[..., G, K]` with G > 1
            codebooks, each given the codes before it at its own position.
        """
        if not self.built:
            self.build()
        codes = self._codes(value)
        if known is None:
            known = tf.zeros(tf.shape(codes)[:3], tf.bool)
        known = self._check_mask("known", known, tf.bool)
        logits = self._logits(codes, known, context, training)
        return logits if self.num_codebooks > 1 else logits[..., 0, :]

    def _logits(self, codes, known, context, training):
        embedded = self.embed(codes)
        features = self._features(embedded, context, training, known=known)
        return self.head(features, embedded)

    # The bound ----------------------------------------------------------------

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        codes = self._codes(value)
        if mask is not None:
            mask = self._check_mask("mask", mask, tf.float32)
        size = self._positions(codes)

        def draw(number):
            seed = random.fold_in(tf.zeros([2], tf.int32), number)
            noise = self._noise(codes, seed)
            # Each draw has a part of 1..N of its own.
            u = (tf.cast(number, tf.float32) + noise[:, -1]) / self.bound_draws
            count = tf.cast(tf.floor(u * size), tf.int32) + 1
            hidden = self._hidden(codes, noise[:, :-1], count)
            terms = self._hidden_log_prob(codes, hidden, context, training)
            terms = terms if mask is None else terms * mask
            found = tf.reduce_sum(terms, axis=[1, 2])
            return found * size / tf.cast(count, tf.float32)

        draws = tf.map_fn(
            draw, tf.range(self.bound_draws), fn_output_signature=tf.float32
        )
        return tf.reduce_mean(draws, axis=0)

    def _positions(self, codes):
        return tf.cast(tf.reduce_prod(tf.shape(codes)[1:3]), tf.float32)

    def _noise(self, codes, seed):
        """Returns uniforms `[batch, N + 1]` of this replica's rows."""
        shape = tf.shape(codes)
        rows = tf.stack([shape[0], shape[1] * shape[2] + 1])
        return self.masking.uniform(rows, seed)

    def _hidden(self, codes, noise, count):
        """Returns as many random positions, bool `[batch, h, w]`."""
        hidden = masking.lowest(noise, count)
        return tf.reshape(hidden, tf.shape(codes)[:3])

    def _hidden_log_prob(self, codes, hidden, context, training):
        """Returns log p of hidden codes, 0 elsewhere, `[batch, h, w]`."""
        logits = self._logits(codes, ~hidden, context, training)
        log_prob = -tf.nn.sparse_softmax_cross_entropy_with_logits(
            codes, logits
        )
        return tf.where(hidden, tf.reduce_sum(log_prob, axis=-1), 0.0)

    # Training -----------------------------------------------------------------

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        if not training:
            return super().compute_losses(x, context, weight, training)
        mask, _ = split_weight(weight)
        codes = self._codes(blank(x, mask))
        noise = self._noise(codes, self.masking.next_seed())
        size = self._positions(codes)
        count = masking.hidden_counts(noise[:, -1], size)
        hidden = self._hidden(codes, noise[:, :-1], count)
        logits = self._logits(codes, ~hidden, context, training)
        if mask is not None:
            hidden &= mask > 0
        nll, smoothed = _cross_entropies(codes, logits, self.label_smoothing)

        def summed(terms):
            terms = tf.where(hidden, tf.reduce_mean(terms, axis=-1), 0.0)
            return tf.reduce_sum(terms, axis=[1, 2])

        found = tf.reduce_sum(tf.cast(hidden, tf.float32), axis=[1, 2])
        loss = tf.math.divide_no_nan(summed(smoothed), found)
        # The bound's n is uniform, and this one is not.
        share = size / tf.cast(count, tf.float32)
        share *= masking.importance(count, size) * self.num_codebooks
        bound = tf.math.divide_no_nan(
            summed(nll) * share, counted_size(x, weight)
        )
        return loss, total(self.losses), {"bits_per_dim": bits(bound)}

    # Samples ------------------------------------------------------------------

    def _draw(self, grid, arguments, **options):
        count, sampling = arguments["num_samples"], arguments["sampling"]
        shape = tf.stack([count, *grid])
        books = self.num_codebooks
        start = tf.zeros([count, *grid, books], tf.int32)
        known = tf.zeros(shape, tf.bool)
        if sampling.given is not None:
            start = broadcast_batch("given", sampling.given, count)
            known = broadcast_batch("given_mask", sampling.given_mask, count)
        contexts = self._contexts(arguments["context"], grid, count)
        head = LoopHead(self.head, self.compute_dtype)
        table = tf.cast(self.embedding.embeddings, self.compute_dtype)
        at_first = _hidden_in(known)

        def step(number, codes, known):
            embedded = self.embed(codes)
            features = self.features(embedded, *contexts, None, known)
            drawn, log_prob = self._drawn(
                head, table, features, sampling, number
            )
            codes = tf.where(known[..., tf.newaxis], codes, drawn)
            left = masking.left_hidden(
                number, self.num_passes, at_first, _hidden_in(known)
            )
            log_prob += self._confidence_noise(number, shape, sampling)
            scores = tf.where(known, np.inf, log_prob)
            scores = tf.reshape(scores, [count, -1])
            again = tf.reshape(masking.lowest(scores, left), shape)
            return number + 1, codes, ~again

        variables = [tf.constant(0), start, known]
        codes = loop(self.num_passes, step, variables)[1]
        return codes if books > 1 else codes[..., 0]

    def _drawn(self, head, table, features, sampling, number):
        """Draws all codes at once, one codebook after another.

        Returns:
            int32 `[batch, h, w, G]`, and their log-probabilities `[batch, h,
            w]` without temperature and filters.
        """
        shape = tf.shape(features)
        flat = tf.reshape(features, [-1, features.shape[-1]])
        codes, logits, _ = head.choose(
            flat, table, lambda logits, g: sampling.choose(logits, number, g)
        )
        log_prob = -tf.nn.sparse_softmax_cross_entropy_with_logits(
            codes, logits
        )
        return (
            tf.reshape(codes, [*tf.unstack(shape[:3]), self.num_codebooks]),
            tf.reshape(tf.reduce_sum(log_prob, axis=-1), shape[:3]),
        )

    def _confidence_noise(self, number, shape, sampling):
        left = 1 - tf.cast(number + 1, tf.float32) / self.num_passes
        scale = self.confidence_noise * left
        scale *= tf.cast(sampling.temperature, tf.float32)
        seed = random.fold_in(sampling.seed, number)
        seed = random.fold_in(seed, self.num_codebooks)
        return scale * random.gumbel(shape, seed)


def _hidden_in(known):
    """Returns how many positions are not known, int32 `[batch]`."""
    return tf.reduce_sum(tf.cast(~known, tf.int32), axis=[1, 2])


def _cross_entropies(codes, logits, smoothing):
    """Returns -log p, and that of smoothed targets, `[batch, h, w, G]`.

    Only codes that a codebook has take part in the smoothing.
    """
    log_prob = tf.nn.log_softmax(logits)
    nll = -tf.gather(log_prob, codes, axis=-1, batch_dims=len(codes.shape))
    if not smoothing:
        return nll, nll
    exist = logits > NO_CODE_LOGIT / 2
    others = tf.where(exist, log_prob, 0.0)
    count = tf.reduce_sum(tf.cast(exist, tf.float32), axis=-1)
    uniform = -tf.reduce_sum(others, axis=-1) / count
    return nll, (1 - smoothing) * nll + smoothing * uniform
