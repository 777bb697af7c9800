"""Vector quantisation with a codebook trained by gradient."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import random, replicas
from vqvae_tf.checks import check_positive
from vqvae_tf.layers import lookup
from vqvae_tf.layers.candidates import draw_candidates
from vqvae_tf.layers.usage import CodebookUsage


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizer(keras.layers.Layer):
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
            changes only where this is true and the layer is trainable.
        mask: optional bool or float, `[batch, ...]` without the channel axis,
            or `[batch]`. Latents masked out (0) are quantised but count
            neither in the loss nor in any statistics.

    Returns:
        Quantized latents, of the shape and dtype of `latents`.

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
        check_positive("num_embeddings", num_embeddings)
        check_positive("embedding_dim", embedding_dim)
        check_positive("num_codebooks", num_codebooks)
        if restart_after is not None:
            check_positive("restart_after", restart_after)
        if commitment_cost < 0:
            raise ValueError(
                "commitment_cost weighs a squared distance and must not be "
                f"negative. Received: commitment_cost={commitment_cost}."
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.num_codebooks = num_codebooks
        self.initialize_from_data = initialize_from_data
        self.restart_after = restart_after
        # A number of its own, since several draws must agree on it.
        self.seed = np.random.randint(2**31) if seed is None else seed
        self.supports_masking = True
        self.usage_metric = CodebookUsage(
            num_embeddings, num_codebooks, prefix=f"{self.name}_"
        )
        if restart_after is not None:
            self.restart_metric = keras.metrics.Sum(f"{self.name}_restarts")
        self._loss_replicas = []

    # State ------------------------------------------------------------------

    _trains_codebook = True

    def build(self, input_shape):
        self._check_channels(input_shape)
        shape = (self.num_codebooks, self.num_embeddings, self.embedding_dim)
        self.embeddings = self._add_state(
            "embeddings",
            shape,
            self._initializer(),
            trainable=self._trains_codebook,
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

    @property
    def codebook(self):
        """The embeddings, float32 `[K, D]`, or `[G, K, D]` with G > 1."""
        if not self.built:
            self.build((None, self.num_codebooks * self.embedding_dim))
        embeddings = tf.convert_to_tensor(self.embeddings)
        return embeddings[0] if self.num_codebooks == 1 else embeddings

    # Look-up --------------------------------------------------------------

    def call(self, latents, training=False, mask=None):
        z = self._group(latents)
        weights = self._position_weights(latents, mask)
        update = bool(training) and self.trainable
        candidates = self._candidates(z, weights) if update else None
        if candidates is not None and self.initialize_from_data:
            self._initialize(candidates)
        embeddings = _with_finite_gradient(
            tf.convert_to_tensor(self.embeddings)
        )
        codes = lookup.nearest_codes(
            tf.stop_gradient(z), tf.stop_gradient(embeddings)
        )
        quantized = self._gather(embeddings, codes)
        counts = lookup.code_counts(codes, self.num_embeddings, weights)
        if update:
            self._update(z, codes, counts, weights, candidates)
        self.usage_metric.update_state(counts)
        self.add_loss(self._loss(z, quantized, weights))
        return _straight_through(latents, self._ungroup(quantized, latents))

    def encode(self, latents):
        """Returns the codes of latents.

        Args:
            latents: float `[batch, ..., G * D]`.

        Returns:
            int32 `[batch, ...]`, with a last axis G where G > 1.
        """
        latents = tf.convert_to_tensor(latents)
        if not self.built:
            self.build(latents.shape)
        codes = lookup.nearest_codes(
            self._group(latents), tf.convert_to_tensor(self.embeddings)
        )
        shape = tf.shape(latents)[:-1]
        if self.num_codebooks == 1:
            codes = tf.reshape(codes, shape)
            return tf.ensure_shape(codes, latents.shape[:-1])
        codes = tf.transpose(codes)
        codes = tf.reshape(codes, tf.concat([shape, [self.num_codebooks]], 0))
        return tf.ensure_shape(
            codes, latents.shape[:-1] + (self.num_codebooks,)
        )

    def decode(self, codes):
        """Returns the embeddings of codes.

        Args:
            codes: integers `[batch, ...]`, with a last axis G where G > 1.

        Returns:
            float32 `[batch, ..., G * D]`.

        Raises:
            ValueError: in eager mode, if a code is not in 0..K-1.
        """
        codes = self.check_codes(codes)
        if not self.built:
            self.build((None, self.num_codebooks * self.embedding_dim))
        if self.num_codebooks == 1:
            codes = codes[..., tf.newaxis]
        rows = codes + tf.range(self.num_codebooks) * self.num_embeddings
        table = tf.reshape(self.embeddings, [-1, self.embedding_dim])
        quantized = tf.gather(table, rows)
        channels = self.num_codebooks * self.embedding_dim
        shape = tf.concat([tf.shape(codes)[:-1], [channels]], axis=0)
        quantized = tf.reshape(quantized, shape)
        return tf.ensure_shape(quantized, codes.shape[:-1] + (channels,))

    def check_codes(self, codes):
        """Returns codes as int32 after the checks that `decode` makes."""
        codes = tf.convert_to_tensor(codes)
        if not codes.dtype.is_integer:
            raise ValueError(
                "Codes are integers. Received: codes of dtype "
                f"{codes.dtype.name}; decode latents by calling the layer."
            )
        codes = tf.cast(codes, tf.int32)
        groups = self.num_codebooks
        if groups > 1 and codes.shape[-1] != groups:
            raise ValueError(
                f"With num_codebooks={groups} the last axis of codes has "
                f"{groups} entries. Received: codes of shape {codes.shape}."
            )
        if tf.executing_eagerly() and tf.size(codes) > 0:
            low, high = int(tf.reduce_min(codes)), int(tf.reduce_max(codes))
            if low < 0 or high >= self.num_embeddings:
                raise ValueError(
                    f"Codes must be in 0..{self.num_embeddings - 1} "
                    f"(num_embeddings={self.num_embeddings}). "
                    f"Received: codes in {low}..{high}."
                )
        return codes

    def _gather(self, embeddings, codes):
        rows = lookup.flat_indices(codes, self.num_embeddings)
        return tf.gather(tf.reshape(embeddings, [-1, self.embedding_dim]), rows)

    def _group(self, latents):
        """`[batch, ..., G * D]` to float32 `[G, N, D]`."""
        self._check_channels(latents.shape)
        if not latents.dtype.is_floating:
            raise ValueError(
                "Latents are floating-point vectors. Received: latents of "
                f"dtype {latents.dtype.name}; `decode` looks codes up."
            )
        z = tf.cast(latents, tf.float32)
        z = tf.reshape(z, [-1, self.num_codebooks, self.embedding_dim])
        if self.num_codebooks == 1:
            return tf.reshape(z, [1, -1, self.embedding_dim])
        return tf.transpose(z, [1, 0, 2])

    def _ungroup(self, quantized, like):
        if self.num_codebooks > 1:
            quantized = tf.transpose(quantized, [1, 0, 2])
        quantized = tf.reshape(quantized, tf.shape(like))
        quantized = tf.ensure_shape(quantized, like.shape)
        return tf.cast(quantized, like.dtype)

    def _position_weights(self, latents, mask):
        """Returns float32 [N], what each position counts, or None for all 1."""
        if mask is None:
            return None
        mask = tf.cast(mask, tf.float32)
        shape = tf.shape(latents)[:-1]
        missing = len(latents.shape) - 1 - len(mask.shape)
        for _ in range(missing):
            mask = mask[..., tf.newaxis]
        return tf.reshape(tf.broadcast_to(mask, shape), [-1])

    # Loss -------------------------------------------------------------------

    def _loss(self, z, quantized, weights):
        commitment = _mean_squares(z - tf.stop_gradient(quantized), weights)
        codebook = _mean_squares(tf.stop_gradient(z) - quantized, weights)
        return codebook + self.commitment_cost * commitment

    # With a collective in `call`, the threads of a MirroredStrategy take turns
    # inside it and share this layer's one list of losses: each replica must
    # see, and clear, only its own.
    def add_loss(self, loss):
        before = len(self._losses)
        super().add_loss(loss)
        added = len(self._losses) - before
        self._loss_replicas.extend([replicas.replica_id()] * added)

    def _clear_losses(self):
        own = replicas.replica_id()
        pairs = zip(self._losses, self._loss_replicas)
        others = [(loss, number) for loss, number in pairs if number != own]
        super()._clear_losses()
        self._losses.extend(loss for loss, _ in others)
        self._loss_replicas[:] = [number for _, number in others]

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        if len(losses) != len(self._loss_replicas):
            return losses
        own = replicas.replica_id()
        return [x for x, r in zip(losses, self._loss_replicas) if r == own]

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
        self.embeddings.assign(tf.where(where, vectors, self.embeddings))

    def _candidates(self, z, weights):
        """Returns latents that may become codes, or None if none need to."""
        if not self.initialize_from_data and self.restart_after is None:
            return None
        seed = random.fold_in(random.make_seed(self.seed), self.steps)
        return draw_candidates(
            tf.stop_gradient(z), self.num_embeddings, seed, weights
        )

    # Shapes and configuration -----------------------------------------------

    def _check_channels(self, shape):
        expected = self.num_codebooks * self.embedding_dim
        if shape[-1] != expected:
            raise ValueError(
                f"The last axis of latents must have num_codebooks * "
                f"embedding_dim = {self.num_codebooks} * "
                f"{self.embedding_dim} = {expected} channels. Received: "
                f"latents of shape {tuple(shape)}. Put a 1x1 convolution (or "
                f"Dense) with {expected} outputs before the quantizer."
            )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_output_spec(self, latents, training=False, mask=None):
        return keras.KerasTensor(latents.shape, latents.dtype)

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


@tf.custom_gradient
def _with_finite_gradient(x):
    """Returns x, whose gradient is 0 where it would not be finite."""

    def gradient(dy):
        return tf.where(tf.reduce_all(tf.math.is_finite(dy)), dy, 0.0)

    return tf.identity(x), gradient


@tf.custom_gradient
def _straight_through(latents, quantized):
    """Returns `quantized`; its gradient goes to `latents`, unchanged."""
    return tf.identity(quantized), lambda gradient: (gradient, None)


def _mean_squares(difference, weights):
    """Mean of squares over `[G, N, D]`, row n weighted by `weights[n]`."""
    if weights is None:
        size = tf.cast(tf.size(difference), tf.float32)
        # l2_loss is half the sum, in one pass.
        return tf.math.divide_no_nan(2 * tf.nn.l2_loss(difference), size)
    squares = tf.reduce_mean(difference**2, axis=[0, 2])
    return tf.math.divide_no_nan(
        tf.reduce_sum(squares * weights), tf.reduce_sum(weights)
    )
