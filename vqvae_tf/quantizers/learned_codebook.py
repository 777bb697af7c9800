"""A codebook that is learned: its options and variables."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers.codebook import Codebook, given_codebook
from vqvae_tf.quantizers.codebook_steps import CodebookSteps
from vqvae_tf.quantizers.initialization import check_initialization
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.quantizers.projection import GroupProjection
from vqvae_tf.utils.checks import check_positive, check_seed


class LearnedCodebook(CodebookSteps):
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
        size = check_positive("num_embeddings", num_embeddings)
        super().__init__(size, groups * dim, groups, **kwargs)
        self.embedding_dim = dim
        self.initialization = check_initialization(
            initialization, self.num_embeddings
        )
        if restart_after is not None:
            restart_after = check_positive("restart_after", restart_after)
        self.restart_after = restart_after
        # Fixed here, since several draws must use the same seed.
        seed = check_seed(seed)
        self.seed = np.random.randint(2**31) if seed is None else seed
        if restart_after is not None:
            self._count_restarts()
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

    def _count_restarts(self):
        self.restart_metric = keras.metrics.Sum(f"{self.name}_restarts")

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
        if self._draws_latents:
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
