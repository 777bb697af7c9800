"""Vector quantization with a codebook of exponential moving averages."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.codebook import given_counts
from vqvae_tf.quantizers.gradients import mean_squares
from vqvae_tf.quantizers.initialization import Candidates
from vqvae_tf.quantizers.vector_quantizer import VectorQuantizer
from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import check_number, check_positive

# Sums and counts of a long unused code drift apart by rounding and finally
# underflow; assigned values differ by more.
_ROUNDING, _NOTHING = 1e-3, 1e-30


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizerEMA(VectorQuantizer):
    r"""`VectorQuantizer` whose codebook is a moving average of its latents.

    With n_i the number of latents of code i in a step, and s_i their sum,
    both over all replicas, and gamma the `decay`:

    .. math::

        N_i &\leftarrow \gamma N_i + (1 - \gamma) \, n_i \\
        m_i &\leftarrow \gamma m_i + (1 - \gamma) \, s_i \\
        e_i &\leftarrow m_i / N_i \quad \text{where } n_i > 0

    Counts start at 1 and sums at the codebook, so the embedding of an unused
    code stays the same, bit for bit. Assigning embeddings resets their sums,
    with counts of at least 1, and training continues from there. Loss and
    codes of a step use the codebook before its update. The loss is the
    commitment term alone. A step with a NaN or infinite latent, on any
    replica, changes none of the three.

    An optimizer with `gradient_accumulation_steps=n` changes the weights once
    in n steps. With `accumulation_steps=n` the codebook does the same: counts
    and sums of n steps are added up, and only the last one updates averages and
    codebook, as one step with all n batches would. In between neither moves,
    and no code is restarted. A batch with a latent that is not finite is left
    out and is none of the n, as with a `LossScaleOptimizer`. Counts and sums in
    between are part of the layer's state: resumed training continues exactly.

    Args:
        num_embeddings: int, K, the number of embeddings per codebook.
        embedding_dim: int, D, the size of an embedding.
        commitment_cost: float, beta of eq. 3; 0.25 as in the paper.
        decay: float, gamma of appendix A.1, in [0, 1); 0.99 as in the paper.
        num_codebooks: int, G, the number of channel groups; 1 by default.
        accumulation_steps: int, n, 1 by default: the training steps for one
            update. `restart_after` then counts updates, and a code is used if
            any of the n batches used it; the latents for restarts are the last
            batch's. Initial values still come from the first steps.
        restart_below: float or None, the default (never): after an update, each
            code whose averaged count N_i is below this is replaced by a latent
            of the current batch. N_i is in latents per update: of all replicas,
            positions and groups that share the codebook, weighted by the mask.
            On average a code has N / K of N latents, so choose a number well
            below that, such as a tenth. A new code, initially or by a restart,
            has twice this count, and at least 1, so that there is time to find
            it: with a decay of 0.99 it is replaced after 69 updates without a
            latent. Not together with `restart_after`. This and the one before
            are given by name.
        restart_after: as for `VectorQuantizer`. A restart resets the code, its
            count and its sum together.
        codebook_dim: as for `VectorQuantizer`. The projections are trained by
            gradient descent.
        initialization, initialize_from_data, seed: as for `VectorQuantizer`.
        gradient, distance, shared_codebook: as for `VectorQuantizer`.
        regularizers, sampling: as for `VectorQuantizer`, but without
            `Orthogonality`.

    Call arguments, returns and raises: as for `VectorQuantizer`; also a
    ValueError for `restart_below` together with `restart_after`.

    Example:

    >>> layer = VectorQuantizerEMA(num_embeddings=512, embedding_dim=64)
    >>> latents = tf.random.normal([16, 32, 32, 64])
    >>> quantized = layer(latents, training=True)
    >>> quantized.shape
    TensorShape([16, 32, 32, 64])
    >>> layer.encode(latents).shape
    TensorShape([16, 32, 32])

    For an optimizer that adds up the gradients of four batches, with restarts
    of codes that get less than one of some thirty latents:

    >>> layer = VectorQuantizerEMA(
    ...     64, 16, accumulation_steps=4, restart_below=1.0
    ... )
    >>> latents = tf.random.normal([8, 8, 8, 16])
    >>> before = layer.codebook
    >>> for _ in range(3):
    ...     _ = layer(latents, training=True)
    >>> bool(tf.reduce_all(layer.codebook == before))
    True
    >>> _ = layer(latents, training=True)
    >>> bool(tf.reduce_all(layer.codebook == before))
    False

    References:
        van den Oord et al. 2017, arXiv:1711.00937, appendix A.1. Restarts by
        the averaged count: Dhariwal et al. 2020, Jukebox, arXiv:2005.00341,
        section 3.1.
    """

    _trains_codebook = False

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        decay: float = 0.99,
        num_codebooks: int = 1,
        *,
        accumulation_steps: int = 1,
        restart_below: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            commitment_cost,
            num_codebooks=num_codebooks,
            **kwargs,
        )
        self.decay = check_number(
            "decay", decay, 0, np.nextafter(1, 0), "a number in [0, 1)"
        )
        self.accumulation_steps = check_positive(
            "accumulation_steps", accumulation_steps
        )
        self.restart_below = _check_threshold(restart_below, self.restart_after)
        if restart_below is not None:
            self._count_restarts()
        for term in self.regularizers:
            if term.of_codebook:
                raise ValueError(
                    "A codebook of moving averages has no gradient that could "
                    "follow a loss of the codebook alone; use a "
                    f"VectorQuantizer. Received: regularizers with {term!r}."
                )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        shape = self.embeddings.shape
        self.ema_counts = self._add_state(
            "ema_counts",
            shape[:2],
            keras.initializers.Constant(self._count_of_new),
        )
        self.ema_sums = self._add_state("ema_sums", shape, self._initial_sums)
        if self.accumulation_steps > 1:
            self.pending_counts = self._add_state(
                "pending_counts", shape[:2], "zeros"
            )
            self.pending_sums = self._add_state("pending_sums", shape, "zeros")
            self.pending_steps = self._add_state(
                "pending_steps", (), "zeros", dtype="int32"
            )

    def _initial_sums(self, shape, dtype=None):
        # The same seed, so the sums start at the codebook times its counts.
        return self._count_of_new * self._initializer()(shape, dtype)

    @property
    def _restarts(self):
        return super()._restarts or self.restart_below is not None

    @property
    def _count_of_new(self):
        """The count of an embedding that is new: its weight in the average."""
        return max(1.0, 2.0 * (self.restart_below or 0.0))

    def loss(
        self,
        z: tf.Tensor,
        quantized: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
    ) -> tf.Tensor:
        commitment = mean_squares(z - tf.stop_gradient(quantized), weights)
        return self._regularized(self.commitment_cost * commitment, z, weights)

    def _given_counts(self, counts):
        if counts is None:
            return None
        return given_counts(counts, self.ema_counts.shape)

    def _put_counts(self, counts):
        if counts is not None:
            self.ema_counts.assign(counts)
            self.ema_sums.assign(self.embeddings * counts[..., tf.newaxis])

    def _follow_assigned(self, before, after):
        super()._follow_assigned(before, after)
        changed = tf.reduce_any(tf.not_equal(before, after), axis=-1)
        counts, sums = self._averages_of(changed, after)
        self.ema_counts.assign(counts)
        self.ema_sums.assign(sums)
        self._forget_pending(changed)

    def _averages_of(self, where, embeddings):
        """Returns counts and sums that match `embeddings` at `where`.

        Args:
            where: bool `[G, K]`.
            embeddings: float32 `[G, K, D]`.
        """
        counts = tf.convert_to_tensor(self.ema_counts)
        counts = tf.where(where, tf.maximum(counts, self._count_of_new), counts)
        sums = embeddings * counts[..., tf.newaxis]
        return counts, tf.where(where[..., tf.newaxis], sums, self.ema_sums)

    def _averages(self):
        """Returns counts and sums that match the embeddings.

        `set_weights`, for example, sets one variable after the other, and may
        leave sums that do not match the embeddings.
        """
        embeddings = tf.convert_to_tensor(self.embeddings)
        counts = self.ema_counts[..., tf.newaxis]
        error = tf.abs(self.ema_sums - counts * embeddings)
        size = tf.reduce_max(tf.abs(embeddings), axis=-1, keepdims=True)
        apart = (error > _ROUNDING * counts * size) & (counts > _NOTHING)
        return self._averages_of(tf.reduce_any(apart, axis=-1), embeddings)

    def learn(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        counts: tf.Tensor,
        weights: tf.Tensor | None,
        prepared: Candidates | None,
    ) -> None:
        z, weights = self._pooled(tf.stop_gradient(z), weights)
        codes, counts = self._pooled_codes(codes), self._pooled_counts(counts)
        sums = lookup.code_sums(z, codes, self.num_embeddings, weights)
        counts, sums = replicas.sum_over_replicas([counts, sums])
        if self.accumulation_steps > 1:
            counts += self.pending_counts
            sums += self.pending_sums
        # A latent that is not finite shows in its code's sum, which is the
        # same on all replicas.
        due = finite = tf.reduce_all(tf.math.is_finite(sums))
        if self.accumulation_steps > 1:
            due = self._accumulate(counts, sums, finite)
        self._average(counts, sums, due)
        if self.restart_after is not None:
            counted = prepared.usable
            if self.accumulation_steps > 1:
                counted = due & tf.reduce_any(counts > 0)
            self._restart_unused(counts, prepared, counted)
        if self.restart_below is not None:
            self._restart(
                (self.ema_counts < self.restart_below) & due, prepared
            )
        self._count_step(prepared)

    def _accumulate(self, counts, sums, finite):
        """Keeps counts and sums of all batches since the last update.

        Returns:
            bool, whether there are enough of them for an update.
        """
        steps = self.pending_steps + tf.cast(finite, tf.int32)
        due = steps >= self.accumulation_steps
        self.pending_steps.assign(tf.where(due, 0, steps))
        for pending, value in (
            (self.pending_counts, counts),
            (self.pending_sums, sums),
        ):
            value = tf.where(finite, value, pending)
            pending.assign(tf.where(due, 0.0, value))
        return due

    def _average(self, counts, sums, due):
        """Updates the averages and the codebook, if an update is due."""
        step = 1.0 - self.decay
        old_counts, old_sums = self._averages()
        ema_counts = self.decay * old_counts + step * counts
        ema_sums = self.decay * old_sums + step * sums
        self.ema_counts.assign(tf.where(due, ema_counts, self.ema_counts))
        self.ema_sums.assign(tf.where(due, ema_sums, self.ema_sums))
        means = ema_sums / ema_counts[..., tf.newaxis]
        used = (counts[..., tf.newaxis] > 0) & due
        self.embeddings.move(tf.where(used, means, self.embeddings))

    def _forget_pending(self, where):
        """Forgets latents that were assigned to embeddings now replaced."""
        if self.accumulation_steps > 1:
            counts, sums = self.pending_counts, self.pending_sums
            counts.assign(tf.where(where, 0.0, counts))
            sums.assign(tf.where(where[..., tf.newaxis], 0.0, sums))

    def _replace(self, where, vectors, counts=1.0):
        super()._replace(where, vectors)
        counts = tf.broadcast_to(counts, tf.shape(where))
        counts = tf.maximum(counts, self._count_of_new)
        self.ema_counts.assign(tf.where(where, counts, self.ema_counts))
        self._forget_pending(where)
        where, sums = where[..., tf.newaxis], vectors * counts[..., tf.newaxis]
        self.ema_sums.assign(tf.where(where, sums, self.ema_sums))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "decay": self.decay}
        # Written only where needed: older versions do not know these keys.
        if self.accumulation_steps > 1:
            config["accumulation_steps"] = self.accumulation_steps
        if self.restart_below is not None:
            config["restart_below"] = self.restart_below
        return config


def _check_threshold(below, after):
    """Returns `restart_below`, given `restart_after` as well."""
    if below is None:
        return None
    low, high = np.finfo(np.float32).tiny, 1e30
    expected = "None or a finite number above 0"
    below = float(check_number("restart_below", below, low, high, expected))
    if after is not None:
        raise ValueError(
            "restart_below and restart_after are two rules for the same: give "
            f"only one of them. Received: restart_below={below}, "
            f"restart_after={after}."
        )
    return below
