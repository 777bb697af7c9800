"""Vector quantization with a codebook trained by gradient descent."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.codebook import Codebook, given_codebook
from vqvae_tf.quantizers.gradients import (
    check_gradient,
    mean_squares,
    with_finite_gradient,
)
from vqvae_tf.quantizers.initialization import Candidates, draw_candidates
from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_not_negative, check_positive, check_seed

_DISTANCES = ("euclidean", "cosine")


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizer(Quantizer):
    """Replaces each latent vector by its nearest codebook embedding.

    The last axis of the latents is the channel axis; all others are
    positions. Latents `[16, 32, 32, 64]` (16 images, a grid of 32x32 latents
    of 64 channels) are 16,384 vectors of size 64, each quantized on its own.
    With `num_codebooks=G` the channel axis has G * `embedding_dim` entries:
    each group of `embedding_dim` channels has its own codebook (product
    quantization, as in the paper's 8x8x10 latents of CIFAR-10).

    The layer adds the last two terms of the paper's eq. 3,
    `|sg(z) - e|^2 + commitment_cost * |z - sg(e)|^2`, each a mean over
    latents and channels, with `add_loss`, and copies gradients straight from
    its output to its input. It reports two metrics over the epoch, prefixed
    with the layer's name: `perplexity` (1..K, exp of the entropy of the code
    counts) and `usage` (0..1, share of codes used).

    Distances are computed in float32 under any dtype policy, and inputs are
    not autocast.

    A training step with a NaN or infinite latent (say, a float16 overflow) on
    any replica leaves the codebook unchanged: it enters no average, restart or
    initial value, and the gradient of the codebook is 0 on that replica. The
    loss is then not finite, so a `keras.optimizers.LossScaleOptimizer` skips
    the step for the weights as well.

    `set_codebook` sets embeddings from k-means or another model. After a plain
    `embeddings.assign(...)`, too, training continues from the assigned values,
    and `initialize_from_data` no longer overwrites them.

    Args:
        num_embeddings: int, K, the number of embeddings per codebook.
        embedding_dim: int, D, the size of an embedding.
        commitment_cost: float, beta of eq. 3; 0.25 as in the paper.
        num_codebooks: int, G, the number of channel groups; 1 by default.
        initialize_from_data: bool, whether to take the initial codebook from
            the latents of the first training batch (of all replicas) instead
            of U(-1/K, 1/K), the default. Latents are not reused, so with fewer
            than K of them some codes keep their random values.
        restart_after: int or None, the default (never): a code unused for this
            many training steps is replaced by a latent of the current batch.
            Restarts are counted in the metric `restarts`.
        seed: int or None, of the initial values and the latents drawn for
            restarts; 0 by default. None draws a seed, which differs between
            processes: with several workers, give a number.
        gradient: "straight_through", the default, copies the gradient of the
            quantized latent to the latent; "rotation" rotates and rescales it
            as the code is to the latent (`gradients.rotation`).
        distance: "euclidean", the default, or "cosine": latents and embeddings
            are divided by their norms, so that directions alone are compared,
            and quantized latents have norm 1. With few channels, say 8, it
            keeps many codes in use (arXiv:2110.04627, section 3.2).

    Attributes:
        codebook: float32 `[K, D]`, or `[G, K, D]` with G > 1; of norm 1 for the
            cosine distance.
        channels: int, G * D.

    Call arguments:
        latents: float `[batch, ..., G * D]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.

    Raises:
        ValueError: if the channel axis is not G * D, or an argument is out of
            range.

    Example:

    >>> inputs = keras.Input((28, 28, 1))
    >>> x = keras.layers.Conv2D(16, 4, strides=2, padding="same")(inputs)
    >>> x = VectorQuantizer(num_embeddings=64, embedding_dim=16)(x)
    >>> x = keras.layers.Conv2DTranspose(1, 4, 2, padding="same")(x)
    >>> model = keras.Model(inputs, x)
    >>> model.compile("adam", "mse")  # and model.fit(images, images)

    A model that returns its codes as well:

    >>> quantizer = VectorQuantizer(num_embeddings=64, embedding_dim=16)
    >>> latents = keras.Input((7, 7, 16))
    >>> model = keras.Model(latents, quantizer(latents, return_codes=True))
    >>> [(x.shape, x.dtype) for x in model.outputs]
    [((None, 7, 7, 16), 'float32'), ((None, 7, 7), 'int32')]

    References:
        van den Oord et al. 2017, Neural Discrete Representation Learning,
        arXiv:1711.00937, section 3, eq. 1-3.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        num_codebooks: int = 1,
        initialize_from_data: bool = False,
        restart_after: int | None = None,
        seed: int | None = 0,
        gradient: str = "straight_through",
        distance: str = "euclidean",
        **kwargs: Any,
    ) -> None:
        dim = check_positive("embedding_dim", embedding_dim)
        groups = check_positive("num_codebooks", num_codebooks)
        super().__init__(num_embeddings, groups * dim, groups, **kwargs)
        self.embedding_dim = dim
        self.commitment_cost = check_not_negative(
            "commitment_cost", commitment_cost
        )
        self.initialize_from_data = initialize_from_data
        if restart_after is not None:
            restart_after = check_positive("restart_after", restart_after)
        self.restart_after = restart_after
        # Fixed here, since several draws must use the same seed.
        seed = check_seed(seed)
        self.seed = np.random.randint(2**31) if seed is None else seed
        self.gradient = check_gradient(gradient)
        if distance not in _DISTANCES:
            raise ValueError(
                f"distance must be one of {', '.join(_DISTANCES)}. Received: "
                f"distance={distance!r}."
            )
        self.distance = distance
        if restart_after is not None:
            self.restart_metric = keras.metrics.Sum(f"{self.name}_restarts")

    # State ------------------------------------------------------------------

    _trains_codebook = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        shape = (self.num_codebooks, self.num_embeddings, self.embedding_dim)
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
        if self.initialize_from_data or self.restart_after is not None:
            self.steps = self._add_state("steps", (), "zeros", dtype="int32")
        if self.restart_after is not None:
            self.unused_steps = self._add_state(
                "unused_steps", shape[:2], "zeros", dtype="int32"
            )

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
        """Sets the codebook, such as to k-means centres, to train it further.

        `initialize_from_data` no longer overwrites it, and all codes count as
        just used.

        Args:
            embeddings: finite numbers `[K, D]`, or `[G, K, D]`.
            counts: None, or for a `VectorQuantizerEMA` the number of latents
                assigned to each embedding, `[K]` or `[G, K]`: its weight in
                the moving average. By default an embedding inherits the weight
                of the one it replaces, but at least 1.

        Raises:
            ValueError: for the wrong shape, values that are not finite, or
                counts for a codebook without them.

        Example:

        >>> layer = VectorQuantizer(num_embeddings=3, embedding_dim=2)
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

    @property
    def codebook(self) -> tf.Tensor:
        """The embeddings, float32 `[K, D]`, or `[G, K, D]` with G > 1."""
        self._ensure_built()
        embeddings = self._table()
        return embeddings[0] if self.num_codebooks == 1 else embeddings

    def _table(self):
        """The embeddings as they are searched, `[G, K, D]`."""
        return self._scaled(tf.convert_to_tensor(self.embeddings))

    def _scaled(self, vectors):
        if self.distance == "euclidean":
            return vectors
        return tf.math.l2_normalize(vectors, axis=-1)

    # Search and loss --------------------------------------------------------

    def to_search_space(self, z: tf.Tensor) -> tf.Tensor:
        """`[N, G * D]` to `[G, N, D]`."""
        if self.num_codebooks == 1:
            return self._scaled(z[tf.newaxis])
        z = tf.reshape(z, [-1, self.num_codebooks, self.embedding_dim])
        return self._scaled(tf.transpose(z, [1, 0, 2]))

    def from_search_space(self, quantized: tf.Tensor) -> tf.Tensor:
        if self.num_codebooks == 1:
            return quantized
        return tf.transpose(quantized, [1, 0, 2])

    def search(self, z: tf.Tensor) -> tf.Tensor:
        return lookup.nearest_codes(z, tf.stop_gradient(self._table()))

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        table = with_finite_gradient(self._table())
        rows = lookup.flat_indices(codes, self.num_embeddings)
        return tf.gather(tf.reshape(table, [-1, self.embedding_dim]), rows)

    def loss(
        self,
        z: tf.Tensor,
        quantized: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
    ) -> tf.Tensor:
        codebook = mean_squares(tf.stop_gradient(z) - quantized, weights)
        commitment = mean_squares(z - tf.stop_gradient(quantized), weights)
        return codebook + self.commitment_cost * commitment

    def _channels_explained(self):
        return (
            "num_codebooks * embedding_dim = "
            f"{self.num_codebooks} * {self.embedding_dim} = {self.channels}"
        )

    # Updates of state -------------------------------------------------------

    def prepare(
        self, z: tf.Tensor, weights: tf.Tensor | None
    ) -> Candidates | None:
        """Returns candidates for new embeddings, or None if never needed."""
        if not self.initialize_from_data and self.restart_after is None:
            return None
        seed = random.fold_in(random.make_seed(self.seed), self.steps)
        candidates = draw_candidates(
            tf.stop_gradient(z), self.num_embeddings, seed, weights
        )
        if self.initialize_from_data:
            self._initialize(candidates)
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

    def _replace(self, where, vectors):
        """Replaces embeddings where `where`, bool `[G, K]`, by `vectors`."""
        where = where[..., tf.newaxis]
        self.embeddings.move(tf.where(where, vectors, self.embeddings))

    # Configuration ----------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "commitment_cost": self.commitment_cost,
            "num_codebooks": self.num_codebooks,
            "initialize_from_data": self.initialize_from_data,
            "restart_after": self.restart_after,
            "seed": self.seed,
            "gradient": self.gradient,
            "distance": self.distance,
        }
