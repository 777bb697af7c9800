"""A codebook that is learned: its variables, initial values and restarts."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers import initialization as initial
from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.codebook import Codebook, given_codebook
from vqvae_tf.quantizers.initialization import Candidates, draw_candidates
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.quantizers.projection import GroupProjection
from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_positive, check_seed

# Streams of the seed for k-means; those of training steps are 0 and above.
_GATHERING, _CLUSTERING = -2, -3


class LearnedCodebook(Quantizer):
    """Base of quantizers whose embeddings are variables.

    Subclasses say how a code is found and how embeddings move. Embeddings are
    `[B, K, d]`: B codebooks, which is G or, if shared, 1, and d channels, which
    are D unless there is a projection. The search space is `[G, N, d]`.

    Args:
        num_embeddings: int, K, the number of embeddings per codebook.
        embedding_dim: int, D, the channels of a group.
        num_codebooks: int, G, the number of groups.
        initialization: "uniform", "data", "kmeans" or a `KMeans`.
        restart_after: int or None, the steps after which an unused code is
            replaced.
        seed: int or None, of initial values and restarts.
        codebook_dim: int or None, d, if D channels are projected to d.
        shared_codebook: bool, whether all groups have one codebook.
        **kwargs: as for `keras.layers.Layer`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        num_codebooks: int = 1,
        *,
        initialization: str | KMeans = "uniform",
        restart_after: int | None = None,
        seed: int | None = 0,
        codebook_dim: int | None = None,
        shared_codebook: bool = False,
        **kwargs: Any,
    ) -> None:
        dim = check_positive("embedding_dim", embedding_dim)
        groups = check_positive("num_codebooks", num_codebooks)
        super().__init__(num_embeddings, groups * dim, groups, **kwargs)
        self.embedding_dim = dim
        self.initialization = initial.check_initialization(
            initialization, self.num_embeddings
        )
        if restart_after is not None:
            restart_after = check_positive("restart_after", restart_after)
        self.restart_after = restart_after
        # Fixed here, since several draws must use the same seed.
        seed = check_seed(seed)
        self.seed = np.random.randint(2**31) if seed is None else seed
        if restart_after is not None:
            self.restart_metric = keras.metrics.Sum(f"{self.name}_restarts")
        self.shared_codebook = bool(shared_codebook)
        self.codebook_dim = None
        if codebook_dim is not None:
            size = check_positive("codebook_dim", codebook_dim)
            self.codebook_dim = size
            self.project_in = GroupProjection(
                groups, dim, size, self.seed, name="project_in"
            )
            self.project_out = GroupProjection(
                groups, size, dim, self.seed + 1, name="project_out"
            )

    @property
    def initialize_from_data(self) -> bool:
        """Whether the initial embeddings are latents of the first batch."""
        return self.initialization == "data"

    # State ------------------------------------------------------------------

    _trains_codebook = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        groups, depth = self.num_codebooks, self.embedding_dim
        if self.codebook_dim is not None:
            self.project_in.build((groups, None, depth))
            depth = self.codebook_dim
            self.project_out.build((groups, None, depth))
        codebooks = 1 if self.shared_codebook else groups
        shape = (codebooks, self.num_embeddings, depth)
        with keras.name_scope(self.name, caller=self):
            self.embeddings = Codebook(
                self._initializer(),
                shape,
                "float32",
                trainable=self._trains_codebook,
                autocast=False,
                name="embeddings",
                on_assign=self._follow_assigned,
            )
        if self.initialization != "uniform" or self.restart_after is not None:
            self.steps = self._add_state("steps", (), "zeros", dtype="int32")
        if self.restart_after is not None:
            self.unused_steps = self._add_state(
                "unused_steps", shape[:2], "zeros", dtype="int32"
            )
        if self._clusters:
            size = self.initialization.size(self.num_embeddings)
            self.gathered = self._add_state(
                "gathered", (shape[0], size, shape[2]), "zeros"
            )
            self.num_gathered = self._add_state(
                "num_gathered", (), "zeros", dtype="int32"
            )

    @property
    def _clusters(self):
        return isinstance(self.initialization, KMeans)

    def _initializer(self):
        limit = 1.0 / self.num_embeddings
        return keras.initializers.RandomUniform(-limit, limit, seed=self.seed)

    def _add_state(self, name, shape, initializer, trainable=False, **kwargs):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            autocast=False,
            **{"dtype": "float32", **kwargs},
        )

    def set_codebook(
        self,
        embeddings: tf.Tensor | np.ndarray,
        counts: tf.Tensor | np.ndarray | None = None,
    ) -> None:
        """Sets the codebook, such as to that of another model.

        `initialization` no longer overwrites it, and all codes count as just
        used.

        Args:
            embeddings: finite numbers, of the shape of `codebook`.
            counts: None, or for a `VectorQuantizerEMA` the number of latents
                assigned to each embedding, `[K]` or `[G, K]`: its weight in
                the moving average. By default an embedding inherits the weight
                of the one it replaces, but at least 1.

        Raises:
            ValueError: for the wrong shape, values that are not finite, or
                counts for a codebook without them.

        Example:

        >>> layer = vqvae_tf.VectorQuantizer(num_embeddings=3, embedding_dim=2)
        >>> layer.set_codebook([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> layer.encode(tf.constant([[0.9, 0.2]])).numpy()
        array([1], dtype=int32)
        """
        self._ensure_built()
        values = given_codebook(embeddings, self.embeddings.shape)
        weights = self._given_counts(counts)
        self.embeddings.assign(values)
        if self.restart_after is not None:
            self.unused_steps.assign(tf.zeros_like(self.unused_steps))
        self._put_counts(weights)

    def _given_counts(self, counts):
        if counts is not None:
            raise ValueError(
                "A codebook trained by gradient descent has no counts; use a "
                f"VectorQuantizerEMA. Received: counts={counts!r}."
            )

    def _put_counts(self, counts):
        """Sets counts returned by `_given_counts`; here there are none."""

    def _follow_assigned(self, before, after):
        """Updates the state to match assigned embeddings."""
        del before, after
        if self.initialize_from_data:
            self.steps.assign(tf.maximum(self.steps, 1))
        if self._clusters:
            self.num_gathered.assign(self.gathered.shape[1])

    @property
    def codebook(self) -> tf.Tensor:
        """The embeddings as they are searched, float32.

        `[K, D]`, or `[G, K, D]` for several codebooks; with a projection to
        `codebook_dim`, that instead of D.
        """
        self._ensure_built()
        embeddings = self._table()
        return embeddings[0] if embeddings.shape[0] == 1 else embeddings

    def _table(self):
        """The embeddings as they are searched, `[B, K, d]`."""
        return self._scaled(tf.convert_to_tensor(self.embeddings))

    def _scaled(self, vectors):
        """Vectors `[..., d]` as they are compared."""
        return vectors

    # All groups of a shared codebook ------------------------------------------

    @property
    def _pools(self):
        return self.shared_codebook and self.num_codebooks > 1

    def _pooled(self, z, weights):
        """Latents `[G, N, d]`, weights `[N]` to those of each codebook.

        Groups of a position stay together: the latents of all replicas, one
        after the other, are then in the order of one device.
        """
        if not self._pools:
            return z, weights
        z = tf.reshape(tf.transpose(z, [1, 0, 2]), [1, -1, z.shape[2]])
        if weights is not None:
            weights = tf.repeat(weights, self.num_codebooks)
        return z, weights

    def _pooled_codes(self, codes):
        if not self._pools:
            return codes
        return tf.reshape(tf.transpose(codes), [1, -1])

    def _pooled_counts(self, counts):
        if not self._pools:
            return counts
        return tf.reduce_sum(counts, axis=0, keepdims=True)

    # Updates ----------------------------------------------------------------

    def prepare(
        self, z: tf.Tensor, weights: tf.Tensor | None
    ) -> Candidates | None:
        """Returns candidates for new embeddings, or None if never needed."""
        if self.initialization == "uniform" and self.restart_after is None:
            return None
        z, weights = self._pooled(tf.stop_gradient(z), weights)
        seed = random.make_seed(self.seed)
        of_step = random.fold_in(seed, self.steps)
        candidates = draw_candidates(z, self.num_embeddings, of_step, weights)
        if self.initialize_from_data:
            self._initialize(candidates)
        if self._clusters:
            self._gather(z, weights, random.fold_in(of_step, _GATHERING))
        return candidates

    def learn(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        counts: tf.Tensor,
        weights: tf.Tensor | None,
        prepared: Candidates | None,
    ) -> None:
        if self.restart_after is not None:
            counts = self._pooled_counts(counts)
            counts = replicas.sum_over_replicas(counts)
            self._restart(counts, prepared)
        self._count_step(prepared)

    def _count_step(self, candidates):
        if candidates is not None:
            self.steps.assign_add(tf.cast(candidates.usable, tf.int32))

    def _restart(self, counts, candidates):
        unused = tf.where(counts > 0, 0, self.unused_steps + 1)
        # A step without usable latents does not count for any code.
        unused = tf.where(candidates.usable, unused, self.unused_steps)
        dead = (unused >= self.restart_after) & candidates.exist
        self.unused_steps.assign(tf.where(dead, 0, unused))
        self._replace(dead, candidates.vectors)
        restarts = tf.reduce_sum(tf.cast(dead, tf.float32))
        # All replicas count the same restarts, and metrics are summed.
        self.restart_metric.update_state(restarts / replicas.num_replicas())

    def _initialize(self, candidates):
        first = tf.equal(self.steps, 0) & candidates.usable
        shape = candidates.vectors.shape[:2]
        self._replace(
            tf.fill(shape, first) & candidates.exist, candidates.vectors
        )

    def _gather(self, z, weights, seed):
        """Adds to the latents of k-means; once there are enough, runs it."""
        size = self.gathered.shape[1]
        before = tf.convert_to_tensor(self.num_gathered)
        shape = self.embeddings.shape
        latents, count = initial.gather(self.gathered, before, z, seed, weights)
        ready = (before < size) & (count >= size)
        seed = random.fold_in(random.make_seed(self.seed), _CLUSTERING)
        # Branches only return values; variables of replicas are assigned
        # outside of them.
        vectors, counts = tf.cond(
            ready,
            lambda: self.initialization.fit(
                latents, shape[1], seed, self._scaled
            ),
            lambda: (tf.zeros(shape), tf.ones(shape[:2])),
        )
        self.num_gathered.assign(count)
        # Not needed any more, and zeros make small files.
        self.gathered.assign(tf.where(count >= size, 0.0, latents))
        self._replace(tf.fill(shape[:2], ready), vectors, counts)
        if self.restart_after is not None:
            self.unused_steps.assign(tf.where(ready, 0, self.unused_steps))

    def _replace(self, where, vectors, counts=1.0):
        """Replaces embeddings where `where` is true by `vectors`.

        Args:
            where: bool `[B, K]`.
            vectors: float32 `[B, K, d]`.
            counts: how many latents each stands for, `[B, K]` or a number.
        """
        del counts
        where = where[..., tf.newaxis]
        self.embeddings.move(tf.where(where, vectors, self.embeddings))

    # Configuration ----------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "num_codebooks": self.num_codebooks,
            "initialize_from_data": self.initialize_from_data,
            "restart_after": self.restart_after,
            "seed": self.seed,
        }
        # Written only where needed: older versions do not know these keys.
        if self.codebook_dim is not None:
            config["codebook_dim"] = self.codebook_dim
        if self.shared_codebook:
            config["shared_codebook"] = True
        if self._clusters:
            config["initialization"] = keras.saving.serialize_keras_object(
                self.initialization
            )
        return config
