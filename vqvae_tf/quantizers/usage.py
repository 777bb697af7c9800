"""Perplexity and usage of a codebook over an epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.utils.code_sizes import as_argument, check_code_sizes
from vqvae_tf.utils.padding import pad_last


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


def usages(
    counts: tf.Tensor, num_codes: Sequence[int] | None = None
) -> tf.Tensor:
    """Returns the share of each codebook's codes that were used, in 0..1.

    Args:
        counts: float32 `[G, K]`, how often each code was used.
        num_codes: how many codes each codebook has, if not all have K, the
            default.

    Returns:
        float32 `[G]`.

    Example: all four codes of four, and two of two.

    >>> counts = tf.constant([[1.0, 2, 1, 1], [3, 4, 0, 0]])
    >>> usages(counts, num_codes=(4, 2)).numpy()
    array([1., 1.], dtype=float32)
    """
    used = tf.cast(counts > 0, tf.float32)
    if not _differ(counts, num_codes):
        return tf.reduce_mean(used, axis=-1)
    return tf.reduce_sum(used, axis=-1) / tf.cast(num_codes, tf.float32)


def usage(
    counts: tf.Tensor, num_codes: Sequence[int] | None = None
) -> tf.Tensor:
    """Returns the mean of `usages` over the codebooks, a scalar in 0..1.

    A small codebook therefore counts as much as a large one, as it does in
    `perplexity`.

    Args:
        counts, num_codes: as for `usages`.
    """
    if _differ(counts, num_codes):
        return tf.reduce_mean(usages(counts, num_codes))
    # The mean over all codes is the same, but rounded once.
    return tf.reduce_mean(tf.cast(counts > 0, tf.float32))


def _differ(counts, num_codes):
    """Whether some codebook has fewer codes than counts have columns."""
    return num_codes is not None and set(num_codes) != {counts.shape[-1]}


def joined(counts: Sequence[tf.Tensor], num_embeddings: int) -> tf.Tensor:
    """Returns the counts of several quantizers as those of one.

    Args:
        counts: float32 `[G_i, K_i]` each.
        num_embeddings: K, the largest of all K_i.

    Returns:
        float32 `[G, K]`, 0 for codes that a codebook does not have.
    """
    return tf.concat([pad_last(own, num_embeddings) for own in counts], axis=0)


@keras.saving.register_keras_serializable("vqvae_tf")
class CodebookUsage(keras.metrics.Metric):
    """Counts codes over an epoch; results are `perplexity` and `usage`.

    They are means over the codebooks; `per_codebook()` gives those of each.

    The perplexity of a batch depends on its size (see Sonnet issue 257), so
    counts are summed over all batches and replicas since the last reset before
    taking exp(entropy).

    Args:
        num_embeddings: K, or a sequence of G numbers, how many codes each
            codebook has, of which K is the largest.
        num_codebooks: G; 1 by default.
        prefix: prepended to the names of the two results; "" by default.

    Attributes:
        num_embeddings, num_codebooks: K and G.
        num_codes: how many codes each codebook has, a tuple of G ints.
        counts: float32 `[G, K]`.

    Raises:
        ValueError: for numbers that are not positive integers.
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        num_codebooks: int = 1,
        prefix: str = "",
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or f"{prefix}codebook_usage")
        self.num_codes = check_code_sizes(num_embeddings, num_codebooks)
        self.num_embeddings = max(self.num_codes)
        self.num_codebooks = num_codebooks
        self.prefix = prefix
        self.counts = self.add_weight(
            shape=(num_codebooks, self.num_embeddings),
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
            f"{self.prefix}usage": usage(counts, self.num_codes),
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
        return {
            "perplexity": perplexities(counts),
            "usage": usages(counts, self.num_codes),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "num_embeddings": as_argument(self.num_codes),
            "num_codebooks": self.num_codebooks,
            "prefix": self.prefix,
            "name": self.name,
        }
