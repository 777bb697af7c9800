"""Perplexity and usage of a codebook over an epoch."""

from typing import Any

import keras
import tensorflow as tf


def perplexities(counts: tf.Tensor) -> tf.Tensor:
    """Returns exp of the entropy of each codebook's codes, in 1..K.

    Args:
        counts: float32 `[G, K]`, how often each code was used.

    Returns:
        float32 `[G]`; 1 if nothing was counted.
    """
    p = tf.math.divide_no_nan(
        counts, tf.reduce_sum(counts, axis=-1, keepdims=True)
    )
    entropy = -tf.reduce_sum(tf.math.xlogy(p, p), axis=-1)
    return tf.exp(entropy)


def perplexity(counts: tf.Tensor) -> tf.Tensor:
    """Returns the mean of `perplexities` over the codebooks, a scalar."""
    return tf.reduce_mean(perplexities(counts))


def usage(counts: tf.Tensor) -> tf.Tensor:
    """Returns the share of codes used at least once, a scalar in 0..1."""
    return tf.reduce_mean(tf.cast(counts > 0, tf.float32))


@keras.saving.register_keras_serializable("vqvae_tf")
class CodebookUsage(keras.metrics.Metric):
    """Counts codes over an epoch; results are `perplexity` and `usage`.

    They are means over the codebooks; `per_codebook()` gives those of each.

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

    def per_codebook(self) -> dict[str, tf.Tensor]:
        """Returns `perplexity` and `usage` of each codebook, float32 `[G]`.

        They are of all codes since the last reset. `fit` resets at the start
        of an epoch, and before validation: read them in a callback's
        `on_epoch_end`, or after `fit`, and with validation data they are of
        these.

        Example:

        >>> metric = CodebookUsage(num_embeddings=4, num_codebooks=2)
        >>> metric.update_state(tf.constant([[5.0, 5, 0, 0], [1, 1, 1, 1]]))
        >>> figures = metric.per_codebook()
        >>> figures["perplexity"].numpy(), figures["usage"].numpy()
        (array([2., 4.], dtype=float32), array([0.5, 1. ], dtype=float32))
        """
        counts = tf.convert_to_tensor(self.counts)
        used = tf.cast(counts > 0, tf.float32)
        return {
            "perplexity": perplexities(counts),
            "usage": tf.reduce_mean(used, axis=-1),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "num_embeddings": self.num_embeddings,
            "num_codebooks": self.num_codebooks,
            "prefix": self.prefix,
            "name": self.name,
        }
