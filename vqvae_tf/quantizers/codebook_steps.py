"""What happens to a learned codebook in training steps, however it moves."""

import tensorflow as tf

from vqvae_tf.quantizers import initialization as initial, stage_by_stage
from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.codebook import Codebook
from vqvae_tf.quantizers.initialization import Candidates, draw_candidates
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.runtime import random, replicas

# Streams of the seed for k-means; those of training steps are 0 and above.
_GATHERING, _CLUSTERING = -2, -3


class CodebookSteps(Quantizer):
    """Initial values and restarts: a base of `LearnedCodebook`.

    Attributes:
        embeddings: the `Codebook`, `[B, K, d]`.
        initialization, restart_after, seed, shared_codebook: as for
            `LearnedCodebook`, which makes the variables as well.
    """

    embeddings: Codebook
    initialization: str | KMeans
    restart_after: int | None
    seed: int
    shared_codebook: bool

    @property
    def initialize_from_data(self) -> bool:
        """Whether the initial embeddings are latents of the first batch."""
        return self.initialization == "data"

    @property
    def _clusters(self):
        return isinstance(self.initialization, KMeans)

    @property
    def _restarts(self):
        return self.restart_after is not None

    @property
    def _draws_latents(self):
        return self.initialization != "uniform" or self._restarts

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
        return self.prepare_shared(z, weights, 1)

    def prepare_shared(
        self, z: tf.Tensor, weights: tf.Tensor | None, num_stages: int
    ) -> Candidates | None:
        if not self._draws_latents:
            return None
        candidates = self._candidates(z, weights)
        if self.initialize_from_data:
            self._initialize(candidates, num_stages)
        if self._clusters:
            self._gather(z, weights, num_stages)
        return candidates

    def has_started(self) -> bool | tf.Tensor:
        if not self._clusters or not self.trainable:
            return True
        return self.num_gathered >= self.gathered.shape[1]

    def _candidates(self, z, weights):
        z, weights = self._pooled(tf.stop_gradient(z), weights)
        seed = self._seed_of_step()
        return draw_candidates(z, self.num_embeddings, seed, weights)

    def _seed_of_step(self):
        return random.fold_in(random.make_seed(self.seed), self.steps)

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
            self._restart_unused(counts, prepared, prepared.usable)
        self._count_step(prepared)

    def learn_shared(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        counts: tf.Tensor,
        weights: tf.Tensor | None,
        prepared: Candidates | None,
    ) -> None:
        if self._restarts:
            # From the rests of all stages, not from the latents alone.
            prepared = self._candidates(z, weights)
        self.learn(z, codes, counts, weights, prepared)

    def _count_step(self, candidates):
        if candidates is not None:
            self.steps.assign_add(tf.cast(candidates.usable, tf.int32))

    def _restart_unused(self, counts, candidates, counted):
        """Replaces codes that were not used for `restart_after` steps.

        Args:
            counts: float32 `[B, K]`, how often all replicas used each code.
            candidates: the `Candidates` for restarts.
            counted: bool, whether this step counts.
        """
        unused = tf.where(counts > 0, 0, self.unused_steps + 1)
        unused = tf.where(counted, unused, self.unused_steps)
        dead = (unused >= self.restart_after) & counted
        dead = self._restart(dead, candidates)
        self.unused_steps.assign(tf.where(dead, 0, unused))

    def _restart(self, dead, candidates):
        """Replaces codes for which there are candidates; returns which."""
        dead = dead & candidates.exist & candidates.usable
        self._replace(dead, candidates.vectors)
        restarts = tf.reduce_sum(tf.cast(dead, tf.float32))
        # All replicas count the same restarts, and metrics are summed.
        self.restart_metric.update_state(restarts / replicas.num_replicas())
        return dead

    def _initialize(self, candidates, num_stages):
        first = tf.equal(self.steps, 0) & candidates.usable
        vectors, exist, _ = candidates
        if num_stages > 1:
            vectors, exist = tf.cond(
                first,
                lambda: stage_by_stage.latents(
                    candidates, num_stages, self._scaled
                ),
                lambda: (vectors, exist),
            )
        everywhere = tf.fill(self.embeddings.shape[:2], first)
        self._replace(everywhere & exist, vectors)

    def _gather(self, z, weights, num_stages):
        """Adds to the latents of k-means; once there are enough, runs it."""
        z, weights = self._pooled(tf.stop_gradient(z), weights)
        seed = random.fold_in(self._seed_of_step(), _GATHERING)
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
            lambda: stage_by_stage.clusters(
                self.initialization,
                latents,
                shape[1],
                num_stages,
                seed,
                self._scaled,
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
