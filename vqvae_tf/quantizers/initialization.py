"""Draws latents of a batch as new embeddings, initially and for restarts."""

from typing import NamedTuple

import keras
import tensorflow as tf

from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.runtime import random, replicas

_NAMES = ("uniform", "data", "kmeans")


def check_initialization(
    value: str | KMeans | dict, num_embeddings: int
) -> str | KMeans:
    """Returns "uniform", "data" or a `KMeans`.

    Args:
        value: one of these, "kmeans", or the serialized config of a `KMeans`.
        num_embeddings: K.

    Raises:
        ValueError: for anything else, or a `KMeans` of too few latents.
    """
    found = value
    if isinstance(value, dict) and "class_name" in value:
        found = keras.saving.deserialize_keras_object(value)
    if isinstance(found, str) and found == "kmeans":
        found = KMeans()
    if isinstance(found, KMeans):
        found.size(num_embeddings)
    elif not isinstance(found, str) or found not in _NAMES:
        raise ValueError(
            f"initialization must be one of {', '.join(_NAMES)}, or a KMeans. "
            f"Received: initialization={value!r}."
        )
    return found


class Candidates(NamedTuple):
    """A latent for each code, the same on all replicas."""

    vectors: tf.Tensor  # float32 [G, K, D]
    exist: tf.Tensor  # bool [K]: whether this code has a candidate
    usable: tf.Tensor  # bool: whether there are latents, and all are finite


def draw_candidates(
    z: tf.Tensor,
    num_embeddings: int,
    seed: tf.Tensor,
    weights: tf.Tensor | None = None,
    parts: tf.Tensor | None = None,
) -> Candidates:
    """Draws one latent of the global batch for each code.

    The batch is divided into K equal parts, and code k's latent comes from
    part k, so none is drawn twice. With fewer latents than codes, some parts
    are empty.

    Args:
        z: float32 `[G, N, D]`, this replica's latents of each codebook.
        num_embeddings: K.
        seed: int32 `[2]`, the same on all replicas.
        weights: optional `[N]`; latents of weight 0 are not drawn.
        parts: optional int32, in 0..K, to divide the batch into fewer parts;
            the codes after them have no candidate.
    """
    count = tf.shape(z)[1]
    finite = tf.reduce_all(tf.math.is_finite(z))
    if weights is not None:
        # Move masked latents to the end, where they are not drawn.
        masked = tf.cast(tf.equal(weights, 0), tf.int32)
        z = tf.gather(z, tf.argsort(masked, stable=True), axis=1)
        count -= tf.reduce_sum(masked)
    size, start = _global_rows(count)
    rows, exist = _draw_rows([z.shape[0], num_embeddings], size, seed, parts)
    picked = _pick(z, rows - start, exist, count)
    # The sum spreads the NaN to all replicas.
    picked = tf.where(finite, picked, float("nan"))
    vectors = replicas.sum_over_replicas(picked)
    finite = tf.reduce_all(tf.math.is_finite(vectors))
    return Candidates(vectors, exist, (size > 0) & finite)


def gather(
    gathered: tf.Tensor,
    num_gathered: tf.Tensor,
    z: tf.Tensor,
    seed: tf.Tensor,
    weights: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds latents of the global batch to those of earlier steps.

    All of them are taken in order, or if there is room for fewer, a sample of
    the whole batch.

    Args:
        gathered: float32 `[G, M, D]`, the same on all replicas.
        num_gathered: int32, in 0..M, how many of these are latents.
        z, seed, weights: as for `draw_candidates`.

    Returns:
        `gathered` and `num_gathered` with the latents that were added: none
        if any latent of the batch is NaN or infinite.
    """
    size = gathered.shape[1]
    drawn = draw_candidates(z, size, seed, weights, size - num_gathered)
    # Parts may be empty between others.
    order = tf.argsort(tf.cast(~drawn.exist, tf.int32), stable=True)
    count = tf.reduce_sum(tf.cast(drawn.exist, tf.int32))
    count = tf.where(drawn.usable, count, 0)
    place = tf.range(size) - num_gathered
    new = (place >= 0) & (place < count)
    rows = tf.gather(order, tf.clip_by_value(place, 0, size - 1))
    vectors = tf.gather(drawn.vectors, rows, axis=1)
    gathered = tf.where(new[:, tf.newaxis], vectors, gathered)
    return gathered, num_gathered + count


def _draw_rows(shape, size, seed, parts=None):
    """Returns a row in 0..size-1 for each code, and whether it has one."""
    bounds = tf.range(shape[1] + 1, dtype=tf.int64)
    if parts is None:
        parts = shape[1]
    else:
        parts = tf.cast(parts, tf.int64)
        # Those after the last part are as empty as without any.
        bounds, parts = tf.minimum(bounds, parts), tf.maximum(parts, 1)
    bounds = tf.cast(bounds * tf.cast(size, tf.int64) // parts, tf.int32)
    widths = bounds[1:] - bounds[:-1]
    inside = random.uniform(shape, seed) * tf.cast(widths, tf.float32)
    rows = bounds[:-1] + tf.minimum(tf.cast(inside, tf.int32), widths - 1)
    return rows, widths > 0


def _pick(z, rows, exist, count):
    """Returns the rows of z that this replica has, and 0 for the others."""
    here = exist & (rows >= 0) & (rows < count)
    rows = tf.where(here, rows, 0)
    picked = tf.cond(
        count > 0,
        lambda: tf.gather(z, rows, batch_dims=1),
        lambda: tf.zeros([*rows.shape, z.shape[2]]),
    )
    return tf.where(here[..., tf.newaxis], picked, 0.0)


def _global_rows(size):
    """Returns the rows of all replicas, and the index of this one's first."""
    count = replicas.num_replicas()
    if count == 1:
        return size, 0
    context = tf.distribute.get_replica_context()
    own = tf.one_hot(context.replica_id_in_sync_group, count, dtype=size.dtype)
    sizes = replicas.sum_over_replicas(size * own)
    return tf.reduce_sum(sizes), tf.reduce_sum(
        tf.cumsum(sizes, exclusive=True) * own
    )
