"""Perplexity and usage of a codebook over an epoch."""

from typing import Any

import keras
import tensorflow as tf


def perplexity(counts: tf.Tensor) -> tf.Tensor:
    """Returns exp of the entropy of the code distribution, in 1..K.

    Args:
        counts: float32 `[G, K]`, how often each code was used.

    Returns:
        A scalar, the mean over the G codebooks; 1 if nothing was counted.
    """
    p = tf.math.divide_no_nan(
        counts, tf.reduce_sum(counts, axis=-1, keepdims=True)
    )
    entropy = -tf.reduce_sum(tf.math.xlogy(p, p), axis=-1)
    return tf.reduce_mean(tf.exp(entropy))


def usage(counts: tf.Tensor) -> tf.Tensor:
    """Returns the share of codes used at least once, a scalar in 0..1."""
    return tf.reduce_mean(tf.cast(counts > 0, tf.float32))


@keras.saving.register_keras_serializable("vqvae_tf")
class CodebookUsage(keras.metrics.Metric):
    """Counts codes over an epoch; results are `perplexity` and `usage`.

    The perplexity of a batch depends on its size (see Sonnet issue 257), so
    counts are summed over all batches and replicas since the last reset before
    taking exp(entropy).

    Args:
        num_embeddings: K.
        num_codebooks: G.
        prefix: prepended to the names of the two results.
    """

    def __init__(
        self,
        num_embeddings: int,
        num_codebooks: int = 1,
        prefix: str = "",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or f"{prefix}codebook_usage")
        self.num_embeddings = num_embeddings
        self.num_codebooks = num_codebooks
        self.prefix = prefix
        self.counts = self.add_weight(
            shape=(num_codebooks, num_embeddings),
            initializer="zeros",
            name="counts",
        )

    def update_state(self, counts: tf.Tensor) -> None:
        """Adds `counts`, float32 `[G, K]`, of one batch."""
        self.counts.assign_add(counts)

    def result(self) -> dict[str, tf.Tensor]:
        counts = tf.convert_to_tensor(self.counts)
        return {
            f"{self.prefix}perplexity": perplexity(counts),
            f"{self.prefix}usage": usage(counts),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "num_embeddings": self.num_embeddings,
            "num_codebooks": self.num_codebooks,
            "prefix": self.prefix,
            "name": self.name,
        }
