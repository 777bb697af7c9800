"""k-means clustering of latents, for the initial codebook."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive

# Latents per embedding that are gathered by default. With one, every latent
# would be a cluster of its own; more take more steps and memory.
_PER_EMBEDDING = 4
# Seeding this many takes longer in eager mode than tracing a graph.
_MANY = 128


@keras.saving.register_keras_serializable("vqvae_tf")
class KMeans:
    """Initial embeddings from k-means: `VectorQuantizer(initialization=...)`.

    Latents are gathered over training steps, of all replicas and without
    masked ones, until there are `num_latents`; from a larger batch, so many
    are drawn. Until then the codebook keeps its uniform values and trains as
    usual. k-means++ then draws the first centroids, each with a probability
    proportional to its squared distance from the nearest one before it, and
    Lloyd's iterations move them to the means of their clusters. An empty
    cluster moves to the latent that is farthest from its own centroid.

    A `VectorQuantizerEMA` starts with the sizes of the clusters as its counts
    and the sums of their latents as its sums. With `distance="cosine"`,
    directions are clustered (spherical k-means).

    The latents gathered so far are part of the layer's state, `num_latents` * D
    numbers for each codebook, so that resumed training continues exactly; they
    become 0 once the codebook is made.

    Args:
        iterations: int, at least 1, Lloyd's iterations; 10 by default. Seeding
            takes K passes over the latents, each iteration about as long.
        num_latents: int or None, how many latents to gather, at least K; 4 K by
            default.

    Example:

    >>> layer = vqvae_tf.VectorQuantizerEMA(
    ...     16, 8, initialization=KMeans(num_latents=200)
    ... )
    >>> latents = tf.random.normal([2, 8, 8, 8])
    >>> for _ in range(2):  # 128 latents each, of which the last 72 are drawn
    ...     _ = layer(latents, training=True)
    >>> int(layer.num_gathered)
    200

    By itself:

    >>> latents = tf.constant([[[0.0], [1.0], [10.0], [10.0], [13.0]]])
    >>> centroids, counts = KMeans().fit(latents, 2, seed=[0, 0])
    >>> np.sort(np.ravel(centroids)), np.sort(np.ravel(counts))
    (array([ 0.5, 11. ], dtype=float32), array([2., 3.], dtype=float32))

    References:
        Arthur and Vassilvitskii 2007, k-means++: The Advantages of Careful
        Seeding. Zeghidour et al. 2021, SoundStream, arXiv:2107.03312, section
        III-C, where codebooks start from k-means of the first batch.
    """

    def __init__(
        self, iterations: int = 10, num_latents: int | None = None
    ) -> None:
        self.iterations = check_positive("iterations", iterations)
        if num_latents is not None:
            num_latents = check_positive("num_latents", num_latents)
        self.num_latents = num_latents

    def size(self, num_embeddings: int) -> int:
        """Returns how many latents are gathered for K embeddings.

        Raises:
            ValueError: if there are fewer latents than embeddings.
        """
        if self.num_latents is None:
            return _PER_EMBEDDING * num_embeddings
        if self.num_latents < num_embeddings:
            raise ValueError(
                "num_latents of KMeans must be at least num_embeddings = "
                f"{num_embeddings}, one latent for each cluster. Received: "
                f"num_latents={self.num_latents}. Leave it out for "
                f"{_PER_EMBEDDING} * num_embeddings."
            )
        return self.num_latents

    def fit(
        self,
        latents: tf.Tensor,
        num_embeddings: int,
        seed: tf.Tensor,
        normalize: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Clusters latents, separately for each codebook.

        Args:
            latents: float32 `[G, N, D]`, N at least K.
            num_embeddings: K.
            seed: int32 `[2]`.
            normalize: maps centroids `[G, K, D]` to the vectors that latents
                are compared with; the identity by default.

        Returns:
            Centroids, float32 `[G, K, D]`, the means of their clusters; and
            the sizes of these clusters, float32 `[G, K]`, at least 1.
        """
        latents, seed = tf.convert_to_tensor(latents), random.make_seed(seed)

        def run(latents, seed):
            return self._fit(latents, num_embeddings, seed, normalize)

        if tf.executing_eagerly() and num_embeddings > _MANY:
            run = tf.function(run, autograph=False)
        return run(latents, seed)

    def _fit(self, latents, num_embeddings, seed, normalize):
        centroids = _seeds(latents, num_embeddings, seed)
        counts = tf.ones(centroids.shape[:2])
        _, centroids, counts = tf.while_loop(
            lambda i, *_: i < self.iterations,
            lambda i, centroids, _: (
                i + 1,
                *_iterate(latents, normalize(centroids)),
            ),
            (0, centroids, counts),
            parallel_iterations=1,
        )
        return centroids, counts

    def get_config(self) -> dict[str, Any]:
        return {"iterations": self.iterations, "num_latents": self.num_latents}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KMeans":
        return cls(**config)

    def __repr__(self) -> str:
        return (
            f"KMeans(iterations={self.iterations}, "
            f"num_latents={self.num_latents})"
        )


def _squared_distances(latents, centroids):
    """Of latents `[G, N, D]` to those in the same place: `[G, N]`.

    Not by a matrix product, whose rounding leaves chosen latents at a distance
    from themselves.
    """
    return tf.reduce_sum((latents - centroids) ** 2, axis=-1)


def _seeds(latents, num_embeddings, seed):
    """k-means++: K latents `[G, K, D]`, each far from those before it."""
    groups, count, _ = latents.shape

    def body(i, rows, distances):
        # The least of exponential variables with these rates is each one with
        # a probability proportional to its rate. Sums of probabilities would
        # be rounded differently under XLA.
        u = random.uniform([groups, count], random.fold_in(seed, i))
        rates = tf.where(i == 0, 1.0, distances)
        row = tf.argmax(rates / -tf.math.log(u), axis=1, output_type=tf.int32)
        chosen = tf.gather(latents, row[:, tf.newaxis], batch_dims=1)
        found = _squared_distances(latents, chosen)
        return i + 1, rows.write(i, row), tf.minimum(distances, found)

    rows = tf.TensorArray(tf.int32, num_embeddings, element_shape=[groups])
    far = tf.fill([groups, count], latents.dtype.max)
    _, rows, _ = tf.while_loop(
        lambda i, *_: i < num_embeddings,
        body,
        (0, rows, far),
        parallel_iterations=1,
    )
    rows = tf.ensure_shape(rows.stack(), [num_embeddings, groups])
    return tf.gather(latents, tf.transpose(rows), batch_dims=1)


def _iterate(latents, centroids):
    """One of Lloyd's iterations: means and sizes of the nearest latents."""
    size = centroids.shape[1]
    codes = lookup.nearest_codes(latents, centroids)
    counts = lookup.code_counts(codes, size)
    sums = lookup.code_sums(latents, codes, size)
    means = tf.math.divide_no_nan(sums, counts[..., tf.newaxis])
    own = tf.gather(centroids, codes, batch_dims=1)
    _, rows = tf.math.top_k(_squared_distances(latents, own), size)
    far = tf.gather(latents, rows, batch_dims=1)
    empty = counts == 0
    # The first empty cluster gets the farthest latent, and so on.
    place = tf.cumsum(tf.cast(empty, tf.int32), axis=1, exclusive=True)
    far = tf.gather(far, place, batch_dims=1)
    means = tf.where(empty[..., tf.newaxis], far, means)
    return means, tf.maximum(counts, 1.0)
