"""Sampled discrete latents, trained by VIMCO."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Draw
from vqvae_tf.bottlenecks.stochastic import Stochastic
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class IndependentCategorical(Stochastic):
    """Embedded codes, each sampled from a softmax; p(codes) is uniform.

    The codes are those of a VQ-VAE, `[batch, *grid]` in 0..K-1 for each of G
    codebooks, but have a posterior distribution, trained with VIMCO's
    multi-sample bound. The encoder outputs the logits, G * K channels.

    Args:
        num_embeddings: int, K.
        embedding_dim: int, D, channels of a code's embedding.
        num_codebooks: int, G, 1 by default; z has G * D channels.
        num_samples: int, S, the samples of the bound, at least 2; 10 by
            default.
        estimator, seed, resample: as for `Stochastic`; "vimco" only.

    Metrics: `kl`, nats for each example.

    Raises:
        ValueError: for latents that do not have G * K channels.

    Example: 8x8 latents of three codes in 0..15.

    >>> bottleneck = IndependentCategorical(16, 8, num_codebooks=3)
    >>> bottleneck.build()
    >>> latents = tf.zeros([2, 8, 8, 3 * 16])
    >>> z, log_ratio = bottleneck.sample(latents, num_samples=5)
    >>> z.shape, log_ratio.shape
    (TensorShape([5, 2, 8, 8, 24]), TensorShape([5, 2]))

    References:
        Mnih and Rezende 2016, arXiv:1602.06725; van den Oord et al. 2017,
        arXiv:1711.00937, section 4.1.
    """

    metric_names = ("kl",)
    estimators = ("vimco",)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        num_codebooks: int = 1,
        num_samples: int = 10,
        estimator: str = "vimco",
        seed: int | None = None,
        resample: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(estimator, num_samples, seed, resample, **kwargs)
        self.num_embeddings = check_positive("num_embeddings", num_embeddings)
        self.embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.num_codebooks = check_positive("num_codebooks", num_codebooks)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (self.num_codebooks, self.num_embeddings, self.embedding_dim)
        self.embeddings = self.add_weight(
            name="embeddings", shape=shape, initializer="random_normal"
        )
        self.built = True

    def num_channels(self, channels: int) -> int:
        wanted = self.num_codebooks * self.num_embeddings
        if channels != wanted:
            raise ValueError(
                f"The encoder's output_channels must be num_codebooks * "
                f"num_embeddings = {wanted}. Received: {channels} channels."
            )
        return self.num_codebooks * self.embedding_dim

    def log_probs(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns log q(code | x), float32 `[B, *grid, G, K]`."""
        self.num_channels(latents.shape[-1])
        shape = [self.num_codebooks, self.num_embeddings]
        shape = tf.concat([tf.shape(latents)[:-1], shape], 0)
        logits = tf.reshape(tf.cast(latents, tf.float32), shape)
        return tf.nn.log_softmax(logits)

    def codes(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns the most probable codes, int32 `[B, *grid, G]`."""
        return tf.argmax(self.log_probs(latents), -1, tf.int32)

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns the embedding of the most probable codes."""
        return self.embed(self.codes(latents))

    def embed(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns float32 `[..., G * D]` of codes `[..., G]`."""
        offset = self.num_embeddings * tf.range(self.num_codebooks)
        table = tf.reshape(self.embeddings, [-1, self.embedding_dim])
        rows = tf.gather(table, codes + offset)
        size = self.num_codebooks * self.embedding_dim
        return tf.reshape(rows, tf.concat([tf.shape(codes)[:-1], [size]], 0))

    def noise_shape(self, shape: list) -> list:
        return [*shape[1:-1], self.num_codebooks]

    def draw_from_noise(self, latents: tf.Tensor, noise: tf.Tensor) -> Draw:
        log_probs = self.log_probs(latents)
        rank = len(log_probs.shape)
        draws_last = [*range(1, rank), 0]
        codes = _inverse_cdf(log_probs, tf.transpose(noise, draws_last))
        chosen = tf.gather(log_probs, codes, batch_dims=rank - 1)
        log_q = tf.transpose(tf.reduce_sum(chosen, range(1, rank - 1)))
        count = tf.reduce_prod(tf.shape(log_probs)[1:-1])
        log_p = -tf.cast(count, tf.float32) * math.log(self.num_embeddings)
        draws_first = [rank - 1, *range(rank - 1)]
        z = self.embed(tf.transpose(codes, draws_first))
        return Draw(z, log_p - log_q)

    def kl_divergence(self, latents: tf.Tensor) -> tf.Tensor:
        log_q = self.log_probs(latents)
        kl = tf.exp(log_q) * (log_q + math.log(self.num_embeddings))
        return tf.reduce_sum(kl, range(1, len(kl.shape)))

    def prior_sample(
        self,
        shape: Sequence[int | tf.Tensor],
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        tensor_checks.temperature(temperature)  # the prior is uniform
        shape = [*shape[:-1], self.num_codebooks]
        drawn = random.uniform(shape, seed) * self.num_embeddings
        return self.embed(tf.cast(drawn, tf.int32))


def _inverse_cdf(log_probs, noise):
    """Draws codes `[*shape, S]` from `[*shape, K]` and uniforms `[*shape, S]`.

    It needs one random number per code; the Gumbel-max trick needs K.
    """
    upto = tf.cumsum(tf.exp(tf.stop_gradient(log_probs)), axis=-1)
    # Without the last sum, which rounding may make less than a number.
    upto = tf.reshape(upto[..., :-1], [-1, upto.shape[-1] - 1])
    values = tf.reshape(noise, [-1, noise.shape[-1]])
    codes = tf.searchsorted(upto, values, side="right")
    return tf.reshape(codes, tf.shape(noise))
