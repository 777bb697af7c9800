"""Initial embeddings of a codebook that several stages of rests share.

With N stages, one N-th of the embeddings comes from the latents, the next from
what those leave of them, and so on: rests become smaller from stage to stage,
and latents alone would leave late stages nothing of their size.
"""

from collections.abc import Callable

import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.initialization import Candidates
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.runtime import random

Scale = Callable[[tf.Tensor], tf.Tensor]


def latents(
    candidates: Candidates, num_stages: int, scale: Scale
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes embeddings of latents, and of what embeddings leave of others.

    Args:
        candidates: K latents.
        num_stages: int, N.
        scale: maps vectors `[..., d]` to those that are compared.

    Returns:
        Vectors, float32 `[G, K, d]`, and which of them exist, bool `[K]`.
    """
    step = min(num_stages, candidates.vectors.shape[1])
    vectors = _build(
        candidates.vectors,
        step,
        # Every N-th, to take them from the whole batch. No latent is used
        # twice, since it would leave a rest of 0.
        lambda i, rests: rests[:, i::step],
        scale,
    )
    exist = [candidates.exist[i::step] for i in range(step)]
    return vectors, tf.concat(exist, axis=0)


def clusters(
    kmeans: KMeans,
    latents: tf.Tensor,
    num_embeddings: int,
    num_stages: int,
    seed: tf.Tensor,
    scale: Scale,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Clusters latents, then what the centroids leave of them, and so on.

    Args:
        kmeans, latents, num_embeddings, seed: as for `KMeans.fit`.
        num_stages: int, N; with 1 it is `KMeans.fit`.
        scale: as for `latents` of this module.

    Returns:
        Centroids and sizes of clusters, as `KMeans.fit`.
    """
    if num_stages == 1:
        return kmeans.fit(latents, num_embeddings, seed, scale)
    step = min(num_stages, num_embeddings)
    sizes = [len(range(i, num_embeddings, step)) for i in range(step)]
    counts = []

    def fit(i, rests):
        own = random.fold_in(seed, i)
        centroids, count = kmeans.fit(rests, sizes[i], own, scale)
        counts.append(count)
        return centroids

    vectors = _build(latents, step, fit, scale)
    return vectors, tf.concat(counts, axis=1)


def _build(rests, num_stages, make, scale):
    """Joins the embeddings that `make` returns for each stage.

    It is given the stage's number and what the embeddings before leave.
    """
    found = []
    for i in range(num_stages):
        found.append(make(i, rests))
        table = scale(tf.concat(found, axis=1))
        codes = lookup.nearest_codes(rests, table)
        codes = tf.ensure_shape(codes, rests.shape[:2])
        nearest = tf.gather(table, codes, batch_dims=1)
        rests = scale(rests - nearest)
    return tf.concat(found, axis=1)
