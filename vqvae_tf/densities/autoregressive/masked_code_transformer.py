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
from vqvae_tf.densities.base import blank
from vqvae_tf.densities.conditioning import broadcast_batch
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import split_weight, total
from vqvae_tf.utils.checks import (
    check_not_negative,
    check_positive,
    check_rate,
)
from vqvae_tf.utils.units import bits


@keras.saving.register_keras_serializable("vqvae_tf")
class MaskedCodeTransformer(TransformerNetwork):
    """Masked Transformer over grids of codes (MaskGIT).

    It is trained to predict hidden codes from those that are shown; every
    position attends to all positions. Samples start with all codes hidden.
    Each pass predicts them all and keeps those it is most certain of, so a
    grid takes `num_passes` passes whatever its size. Any region can be
    completed, since any codes can be given.

    **`log_prob` is a lower bound**, and an estimate of it: codes can be
    revealed in any order, and the bound is the mean over orders of the
    log-probability of revealing these codes one by one,

        log p(x) >= E_n E_hidden [ N / n  sum_hidden log p(x_i | the others) ]

    with n uniform in 1..N and as many random positions hidden. `bound_draws`
    of n, evenly spread, and of positions are drawn for each example. They are
    a function of its codes, so that an example has one value; those of many
    examples average out. Samples of few passes are of another distribution.

    Args:
        num_embeddings, event_shape, num_codebooks: as for `PixelCNN`.
        num_passes: of the sampler, 8 to 12 in the paper. An attribute that
            can be changed.
        confidence_noise: scale of the Gumbel noise on a code's log-probability
            when the most certain are kept; it falls linearly to 0 over the
            passes, and is multiplied by the temperature. Without it samples
            lack variety. An attribute that can be changed.
        label_smoothing: the share of a uniform distribution in the targets of
            the loss, in [0, 1); not of the bound.
        bound_draws: of `log_prob`, each a forward pass; in training one.
        kwargs: `hidden_channels`, `num_layers`, `num_heads`, `mlp_channels`,
            `head_channels`, `dropout`, `positions`, `global_channels`,
            `local_channels`, `local_upsampling`, `local_layers`, as for
            `CodeTransformer`.

    Call arguments, Raises:
        As for `PixelCNN`, except that positions where the mask is 0 count as
        absent: their codes are never shown.

    Metrics of fit and evaluate: `loss`, in training the mean of -log p of
    smoothed targets over hidden codes, of which `ceil(N cos(pi u / 2))` are
    hidden, u uniform, in evaluation the bound; `bits_per_dim`, the bound,
    which in training is estimated from the same hidden codes.

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
    exact_log_prob = False

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
        self.label_smoothing = check_rate("label_smoothing", label_smoothing)
        self.bound_draws = check_positive("bound_draws", bound_draws)
        self.masking = RowNoise(name="masking")
        self.masking.built = True

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
        known = self._check_mask("known", known, tf.bool, codes)
        logits = self._logits(codes, known, context, training)
        return logits if self.num_codebooks > 1 else logits[..., 0, :]

    def of_embedded(
        self,
        embedded: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool = False,
        known: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns logits `[batch, *grid, G, K]`; see `logits`."""
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
        codes, counted, size = self._counted(self._codes(value), mask)
        draws = 1 if training else self.bound_draws

        def draw(number):
            noise = self._noise(codes, number, training)
            # Each draw has a part of 1..N of its own.
            u = (tf.cast(number, tf.float32) + noise[:, -1]) / draws
            count = tf.minimum(tf.floor(u * size) + 1, size)
            hidden = _chosen(noise[:, :-1], counted, count)
            logits = self._logits(codes, counted & ~hidden, context, training)
            terms = -tf.nn.sparse_softmax_cross_entropy_with_logits(
                codes, logits
            )
            found = _summed(tf.reduce_sum(terms, axis=-1), hidden)
            return found * tf.math.divide_no_nan(size, count)

        if training:
            return draw(0)
        found = tf.map_fn(
            draw,
            tf.range(draws),
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )
        return tf.reduce_mean(found, axis=0)

    def _counted(self, codes, mask):
        """Returns codes, 0 where absent, which count, and how many of each.

        int32 `[batch, h, w, G]`, bool `[batch, h, w]`, float32 `[batch]`.
        """
        if mask is None:
            counted = tf.ones(tf.shape(codes)[:3], tf.bool)
        else:
            mask = self._check_mask("mask", mask, tf.float32, codes)
            counted = mask > 0
        codes = tf.where(counted[..., tf.newaxis], codes, 0)
        size = tf.reduce_sum(tf.cast(counted, tf.float32), axis=[1, 2])
        return codes, counted, size

    def _noise(self, codes, number, training):
        """Returns uniforms `[batch, N + 1]`: in training new ones."""
        shape = tf.shape(codes)
        count = shape[1] * shape[2] + 1
        if training:
            rows = tf.stack([shape[0], count])
            return self.masking.uniform(rows, self.masking.next_seed())
        flat = tf.reshape(codes, [shape[0], -1])
        return random.uniform_of(flat, count, number)

    def _logits(self, codes, known, context, training):
        return self.of_embedded(self.embed(codes), context, training, known)

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
        codes, counted, size = self._counted(self._codes(blank(x, mask)), mask)
        noise = self._noise(codes, 0, training)
        count = masking.hidden_counts(noise[:, -1], size)
        hidden = _chosen(noise[:, :-1], counted, count)
        logits = self._logits(codes, counted & ~hidden, context, training)
        nll, smoothed = (
            _summed(tf.reduce_mean(terms, axis=-1), hidden)
            for terms in _cross_entropies(codes, logits, self.label_smoothing)
        )
        loss = tf.math.divide_no_nan(smoothed, count)
        # The bound's n is uniform, and this one is not.
        bound = nll * masking.importance(count, size)
        return loss, total(self.losses), {"bits_per_dim": bits(bound, count)}

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

    @property
    def graph_options(self) -> tuple[int, float]:
        return self.num_passes, self.confidence_noise

    def _confidence_noise(self, number, shape, sampling):
        left = 1 - tf.cast(number + 1, tf.float32) / self.num_passes
        scale = self.confidence_noise * left
        scale *= tf.cast(sampling.temperature, tf.float32)
        seed = random.fold_in(sampling.seed, number)
        seed = random.fold_in(seed, self.num_codebooks)
        return scale * random.gumbel(shape, seed)


def _chosen(noise, counted, count):
    """Returns which of the counted positions are hidden, bool `[batch, h, w]`.

    Args:
        noise: uniforms `[batch, h * w]`.
        counted: bool `[batch, h, w]`.
        count: how many, float32 `[batch]`.
    """
    scores = tf.where(tf.reshape(counted, tf.shape(noise)), noise, 2.0)
    hidden = masking.lowest(scores, tf.cast(count, tf.int32))
    return tf.reshape(hidden, tf.shape(counted)) & counted


def _summed(terms, hidden):
    """Returns the sum over hidden positions of `[batch, h, w]`."""
    return tf.reduce_sum(tf.where(hidden, terms, 0.0), axis=[1, 2])


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
