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
from vqvae_tf.utils.checks import check_number

# Sums and counts of a long unused code drift apart by rounding and finally
# underflow; assigned values differ by more.
_ROUNDING, _NOTHING = 1e-3, 1e-30


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizerEMA(VectorQuantizer):
    """`VectorQuantizer` whose codebook is a moving average of its latents.

    With n_i the number of latents of code i in a step, and s_i their sum,
    both over all replicas:

        N_i <- decay * N_i + (1 - decay) * n_i
        m_i <- decay * m_i + (1 - decay) * s_i
        e_i <- m_i / N_i   where n_i > 0

    Counts start at 1 and sums at the codebook, so the embedding of an unused
    code stays the same, bit for bit. Assigning embeddings resets their sums,
    with counts of at least 1, and training continues from there. Loss and
    codes of a step use the codebook before its update. The loss is the
    commitment term alone. A step with a NaN or infinite latent, on any
    replica, changes none of the three.

    Args:
        num_embeddings: int, K, the number of embeddings per codebook.
        embedding_dim: int, D, the size of an embedding.
        commitment_cost: float, beta of eq. 3; 0.25 as in the paper.
        decay: float, gamma of appendix A.1, in [0, 1); 0.99 as in the paper.
        num_codebooks: int, G, the number of channel groups; 1 by default.
        initialize_from_data, restart_after, seed, gradient, distance,
        initialization, codebook_dim, shared_codebook, regularizers, sampling:
            as for `VectorQuantizer`, but without `Orthogonality`. A restart
            resets the code, its count and its sum together. A projection is
            trained by gradient descent.

    Call arguments, returns and raises: as for `VectorQuantizer`.

    Example:

    >>> layer = VectorQuantizerEMA(num_embeddings=512, embedding_dim=64)
    >>> latents = tf.random.normal([16, 32, 32, 64])
    >>> quantized = layer(latents, training=True)
    >>> quantized.shape
    TensorShape([16, 32, 32, 64])
    >>> layer.encode(latents).shape
    TensorShape([16, 32, 32])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, appendix A.1.
    """

    _trains_codebook = False

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        decay: float = 0.99,
        num_codebooks: int = 1,
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
        self.ema_counts = self._add_state("ema_counts", shape[:2], "ones")
        # The same seed, so the sums start at the codebook itself.
        self.ema_sums = self._add_state("ema_sums", shape, self._initializer())

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

    def _averages_of(self, where, embeddings):
        """Returns counts and sums that match `embeddings` at `where`.

        Args:
            where: bool `[G, K]`.
            embeddings: float32 `[G, K, D]`.
        """
        counts = tf.convert_to_tensor(self.ema_counts)
        counts = tf.where(where, tf.maximum(counts, 1.0), counts)
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
        step = 1.0 - self.decay
        old_counts, old_sums = self._averages()
        ema_counts = self.decay * old_counts + step * counts
        ema_sums = self.decay * old_sums + step * sums
        # A latent that is not finite shows in its code's sum, which is the
        # same on all replicas.
        finite = tf.reduce_all(tf.math.is_finite(sums))
        self.ema_counts.assign(tf.where(finite, ema_counts, self.ema_counts))
        self.ema_sums.assign(tf.where(finite, ema_sums, self.ema_sums))
        means = ema_sums / ema_counts[..., tf.newaxis]
        used = (counts[..., tf.newaxis] > 0) & finite
        self.embeddings.move(tf.where(used, means, self.embeddings))
        if self.restart_after is not None:
            self._restart_unused(counts, prepared, prepared.usable)
        self._count_step(prepared)

    def _replace(self, where, vectors, counts=1.0):
        super()._replace(where, vectors)
        counts = tf.broadcast_to(counts, tf.shape(where))
        self.ema_counts.assign(tf.where(where, counts, self.ema_counts))
        where, sums = where[..., tf.newaxis], vectors * counts[..., tf.newaxis]
        self.ema_sums.assign(tf.where(where, sums, self.ema_sums))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}
