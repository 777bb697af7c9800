"""Vector quantisation with a codebook trained by gradient."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.code_lookup import CodeLookup
from vqvae_tf.quantizers.codebook import Codebook, given_codebook
from vqvae_tf.quantizers.gradients import (
    mean_squares,
    straight_through,
    with_finite_gradient,
)
from vqvae_tf.quantizers.initialization import draw_candidates
from vqvae_tf.quantizers.usage import CodebookUsage
from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_not_negative, check_positive, check_seed


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizer(CodeLookup):
    """Replaces each latent vector by its nearest codebook embedding.

    The last axis of the latents is the channel axis; all others are
    positions. Latents `[16, 32, 32, 64]` (16 images, a grid of 32x32 latents
    of 64 channels) are 16,384 vectors of size 64, each quantised on its own.
    With `num_codebooks=G` the channel axis has G * `embedding_dim` entries:
    each group of `embedding_dim` channels has its own codebook (product
    quantisation, as the paper's 8x8x10 latents of CIFAR-10).

    The layer adds the last two terms of the paper's eq. 3,
    `|sg(z) - e|^2 + commitment_cost * |z - sg(e)|^2`, each a mean over
    latents and channels, by `add_loss`, and copies gradients from its output
    straight to its input. It reports two metrics over the epoch, prefixed by
    the layer's name: `perplexity` (1..K, exp of the entropy of the code
    counts) and `usage` (0..1, share of codes used).

    Distances are computed in float32 whatever the dtype policy, and latents
    are not cast on the way in.

    A training step with a NaN or infinite latent (float16 overflows), on any
    replica, says nothing about the codebook: no average, restart or initial
    value is taken from it. A codebook that is trained by gradient gets a
    gradient of 0 from that replica. The loss is not finite then, so that a
    `keras.optimizers.LossScaleOptimizer` leaves out the step for the weights.

    A codebook of your own, of k-means or of another model, is put by
    `set_codebook`. After a plain `embeddings.assign(...)`, too, training goes
    on from what was assigned, which data do not initialise any more.

    Args:
        num_embeddings: K, the number of embeddings of a codebook.
        embedding_dim: D, the size of an embedding.
        commitment_cost: beta of eq. 3; the paper uses 0.25.
        num_codebooks: G, the number of channel groups.
        initialize_from_data: take the initial codebook from the latents of
            the first training batch (of all replicas) instead of from
            U(-1/K, 1/K). Of fewer latents than K, none becomes two codes.
        restart_after: replace a code that no latent chose for this many
            training steps by a latent of the current batch. None: never.
            Restarts are counted in the metric `restarts`.
        seed: seeds initial values and the choice of latents for restarts.
            None: a random one, which differs between processes: several
            workers need a number.

    Call arguments:
        latents: float `[batch, ..., G * D]`; any rank from 2, any sizes.
        training: the state (restarts, data-dependent initialisation, EMA)
            changes only where this is true and the layer is trainable. In a
            graph the metrics count where it is given, True or False, and not
            where it is left out, as in exported models.
        mask: optional bool or float, `[batch, ...]` without the channel axis,
            or `[batch]`. Latents masked out (0) are quantised but count
            neither in the loss nor in any statistics.
        return_codes: whether to return the codes too, of the same search.
        only: what `encode` ("codes") and `decode` ("embeddings") ask for when
            they are called with symbolic tensors.

    Returns:
        Quantized latents, of the shape and dtype of `latents`; with
        `return_codes` a pair of these and the codes, as of `encode`.

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
        num_embeddings,
        embedding_dim,
        commitment_cost=0.25,
        num_codebooks=1,
        initialize_from_data=False,
        restart_after=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        self.num_embeddings = check_positive("num_embeddings", num_embeddings)
        self.embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.commitment_cost = check_not_negative(
            "commitment_cost", commitment_cost
        )
        self.num_codebooks = check_positive("num_codebooks", num_codebooks)
        self.initialize_from_data = initialize_from_data
        if restart_after is not None:
            restart_after = check_positive("restart_after", restart_after)
        self.restart_after = restart_after
        # A number of its own, since several draws must agree on it.
        seed = check_seed(seed)
        self.seed = np.random.randint(2**31) if seed is None else seed
        self.supports_masking = True
        self.usage_metric = CodebookUsage(
            self.num_embeddings, self.num_codebooks, prefix=f"{self.name}_"
        )
        if restart_after is not None:
            self.restart_metric = keras.metrics.Sum(f"{self.name}_restarts")

    # State ------------------------------------------------------------------

    _trains_codebook = True

    def build(self, input_shape):
        self._check_channels(input_shape)
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
        self.built = True

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

    def set_codebook(self, embeddings, counts=None):
        """Puts a codebook, of k-means for instance; training goes on from it.

        Data do not initialise the codebook afterwards, and all codes count as
        used until now.

        Args:
            embeddings: finite numbers `[K, D]`, or `[G, K, D]`.
            counts: None; of a `VectorQuantizerEMA` how many latents each
                embedding stands for, `[K]` or `[G, K]`: it weighs as much as
                so many latents a step. By default as much as the embedding
                that is replaced, and at least as one.

        Raises:
            ValueError: for another shape, values that are not finite numbers,
                or counts of a codebook that has none.

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
                "A codebook that is trained by gradient has no counts; those "
                "are of a VectorQuantizerEMA. Received: counts="
                f"{counts!r}."
            )

    def _put_counts(self, counts):
        """Takes on counts as `_given_counts` returned them; here none."""

    def _follow_assigned(self, before, after):
        """Makes the state agree with embeddings that someone assigned."""
        del before, after
        if self.initialize_from_data:
            self.steps.assign(tf.maximum(self.steps, 1))

    # Look-up --------------------------------------------------------------

    def call(
        self,
        latents,
        training=None,
        mask=None,
        return_codes=False,
        only=None,
    ):
        if only is not None:
            return self._only(only)(latents)
        z = self._group(latents)
        weights = self._position_weights(latents, mask)
        update = bool(training) and self.trainable
        candidates = self._candidates(z, weights) if update else None
        if candidates is not None and self.initialize_from_data:
            self._initialize(candidates)
        embeddings = with_finite_gradient(tf.convert_to_tensor(self.embeddings))
        codes = lookup.nearest_codes(
            tf.stop_gradient(z), tf.stop_gradient(embeddings)
        )
        quantized = self._gather(embeddings, codes)
        # In a graph whose caller does not say what it is for (an export, say)
        # nobody asks for the metrics, and other runtimes cannot count.
        if training is not None or tf.executing_eagerly():
            counts = lookup.code_counts(codes, self.num_embeddings, weights)
            if update:
                self._update(z, codes, counts, weights, candidates)
            self.usage_metric.update_state(counts)
        self.add_loss(self._loss(z, quantized, weights))
        quantized = straight_through(latents, self._ungroup(quantized, latents))
        if return_codes:
            return quantized, self._positions(codes, latents)
        return quantized

    def _position_weights(self, latents, mask):
        """Returns float32 [N], what each position counts, or None for all 1."""
        if mask is None:
            return None
        mask = tf.cast(mask, tf.float32)
        self._check_mask_shape(mask.shape, latents.shape)
        shape = tf.shape(latents)[:-1]
        missing = len(latents.shape) - 1 - len(mask.shape)
        for _ in range(missing):
            mask = mask[..., tf.newaxis]
        return tf.reshape(tf.broadcast_to(mask, shape), [-1])

    def _check_mask_shape(self, mask, latents):
        """Raises ValueError unless a mask is `[batch]` or `[batch, ...]`."""
        positions = latents[:-1]
        fits = 1 <= len(mask) <= len(positions) and all(
            None in pair or pair[0] in (1, pair[1])
            for pair in zip(mask, positions)
        )
        if not fits:
            raise ValueError(
                f"A mask of latents of shape {tuple(latents)} has their shape "
                f"without the channels, {tuple(positions)}, or only the batch. "
                f"Received: a mask of shape {tuple(mask)}."
            )

    # Loss -------------------------------------------------------------------

    def _loss(self, z, quantized, weights):
        commitment = mean_squares(z - tf.stop_gradient(quantized), weights)
        codebook = mean_squares(tf.stop_gradient(z) - quantized, weights)
        return codebook + self.commitment_cost * commitment

    # Updates of state -------------------------------------------------------

    def _update(self, z, codes, counts, weights, candidates):
        if self.restart_after is not None:
            counts = replicas.sum_over_replicas(counts)
            self._restart(counts, candidates)
        self._count_step(candidates)

    def _count_step(self, candidates):
        if candidates is not None:
            self.steps.assign_add(tf.cast(candidates.usable, tf.int32))

    def _restart(self, counts, candidates):
        unused = tf.where(counts > 0, 0, self.unused_steps + 1)
        # A step without usable latents says nothing about any code.
        unused = tf.where(candidates.usable, unused, self.unused_steps)
        dead = (unused >= self.restart_after) & candidates.exist
        self.unused_steps.assign(tf.where(dead, 0, unused))
        self._replace(dead, candidates.vectors)
        restarts = tf.reduce_sum(tf.cast(dead, tf.float32))
        # Every replica counts the same restarts, and metrics are summed.
        self.restart_metric.update_state(restarts / replicas.num_replicas())

    def _initialize(self, candidates):
        first = tf.equal(self.steps, 0) & candidates.usable
        shape = candidates.vectors.shape[:2]
        self._replace(
            tf.fill(shape, first) & candidates.exist, candidates.vectors
        )

    def _replace(self, where, vectors):
        """Puts `vectors` `[G, K, D]` for the codes with `where` `[G, K]`."""
        where = where[..., tf.newaxis]
        self.embeddings.move(tf.where(where, vectors, self.embeddings))

    def _candidates(self, z, weights):
        """Returns latents that may become codes, or None if none need to."""
        if not self.initialize_from_data and self.restart_after is None:
            return None
        seed = random.fold_in(random.make_seed(self.seed), self.steps)
        return draw_candidates(
            tf.stop_gradient(z), self.num_embeddings, seed, weights
        )

    # Configuration ----------------------------------------------------------

    def get_config(self):
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "commitment_cost": self.commitment_cost,
            "num_codebooks": self.num_codebooks,
            "initialize_from_data": self.initialize_from_data,
            "restart_after": self.restart_after,
            "seed": self.seed,
        }
