"""Vector quantization with a codebook trained by gradient descent."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.gradients import (
    check_gradient,
    mean_squares,
    with_finite_gradient,
)
from vqvae_tf.quantizers.kmeans import KMeans
from vqvae_tf.quantizers.learned_codebook import LearnedCodebook
from vqvae_tf.quantizers.regularization import check_regularizers
from vqvae_tf.quantizers.sampling import SoftmaxSampling, check_sampling
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_choice, check_not_negative

_DISTANCES = ("euclidean", "cosine")
_SAMPLING = -4  # a stream of the seed; training steps have 0 and above


@keras.saving.register_keras_serializable("vqvae_tf")
class VectorQuantizer(LearnedCodebook):
    r"""Replaces each latent vector by its nearest codebook embedding.

    The last axis of the latents is the channel axis; all others are
    positions. Latents `[16, 32, 32, 64]` (16 images, a grid of 32x32 latents
    of 64 channels) are 16,384 vectors of size 64, each quantized on its own.
    With `num_codebooks=G` the channel axis has G * `embedding_dim` entries:
    each group of `embedding_dim` channels has its own codebook (product
    quantization, as in the paper's 8x8x10 latents of CIFAR-10).

    The layer adds the last two terms of the paper's eq. 3,

    .. math::

        \|\operatorname{sg}(z) - e\|^2
        + \beta \, \|z - \operatorname{sg}(e)\|^2,

    with beta the `commitment_cost`, each a mean over latents and channels, with
    `add_loss`, and copies gradients straight from its output to its input. It
    reports two metrics over the epoch, prefixed with the layer's name:
    `perplexity` (1..K, exp of the entropy of the code counts) and `usage`
    (0..1, share of codes used).

    Distances are computed in float32 under any dtype policy, and inputs are
    not autocast.

    A training step with a NaN or infinite latent (say, a float16 overflow) on
    any replica leaves the codebook unchanged: it enters no average, restart or
    initial value, and the gradient of the codebook is 0 on that replica. The
    loss is then not finite, so a `keras.optimizers.LossScaleOptimizer` skips
    the step for the weights as well.

    `set_codebook` sets embeddings, such as those of another model. After a
    plain `embeddings.assign(...)`, too, training continues from the assigned
    values, and `initialization` no longer overwrites them.

    Args:
        num_embeddings: int, K, the number of embeddings per codebook.
        embedding_dim: int, D, the channels of a group, and the size of an
            embedding unless there is a `codebook_dim`.
        commitment_cost: float, beta of eq. 3; 0.25 as in the paper.
        num_codebooks: int, G, the number of channel groups; 1 by default.
        initialize_from_data: bool, False by default; True is another way to
            say `initialization="data"`.
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
        initialization: of the codebook, in the first training steps.
            "uniform", the default: U(-1/K, 1/K); for a codebook of directions
            that is trained by gradient, N(0, 1/d), since a step turns short
            vectors by any angle. "data": the latents of the
            first training batch (of all replicas). None is used twice, so with
            fewer than K of them some codes keep their random values. "kmeans",
            or a `KMeans` with options of its own: centroids of the latents of
            the first steps. It and those below are given by name.
        codebook_dim: int or None, d. If given, the D channels of each group
            are projected to d by a learned linear map, searched there and
            projected back by another. The loss compares the d channels, and
            embeddings have as many. With d of about 8 and the cosine distance
            these are the factorized codes of ViT-VQGAN.
        shared_codebook: bool, False by default; with True, all groups search
            the same K embeddings. Usage is still reported of each group.
        regularizers: None, one or a list of losses to add: `Diversity`, for
            codes that are used evenly, `Orthogonality`, for embeddings of
            distinct directions, or your own `CodebookRegularizer`.
        sampling: None, the default, for the nearest code always; or
            `SoftmaxSampling` or `GumbelSoftmax`, which draw codes in training.
            Not with `gradient="rotation"`, which diverges where the code is far
            from its latent.

    Attributes:
        codebook: float32 `[K, D]`, or `[G, K, D]` with several codebooks; of
            norm 1 for the cosine distance. With `codebook_dim`, d is in the
            place of D.
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

    Factorized codes, of directions in 8 of 256 dimensions:

    >>> quantizer = VectorQuantizer(
    ...     8192, 256, codebook_dim=8, distance="cosine"
    ... )
    >>> quantizer(tf.zeros([1, 16, 16, 256])).shape, quantizer.codebook.shape
    (TensorShape([1, 16, 16, 256]), TensorShape([8192, 8]))

    References:
        van den Oord et al. 2017, Neural Discrete Representation Learning,
        arXiv:1711.00937, section 3, eq. 1-3. Yu et al. 2021, Vector-quantized
        Image Modeling with Improved VQGAN, arXiv:2110.04627, section 3.2, for
        `codebook_dim` and the cosine distance.
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
        *,
        initialization: str | KMeans = "uniform",
        regularizers: Any = None,
        sampling: SoftmaxSampling | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            num_codebooks,
            initialization=_initialization(
                initialization, initialize_from_data
            ),
            restart_after=restart_after,
            seed=seed,
            **kwargs,
        )
        self.commitment_cost = check_not_negative(
            "commitment_cost", commitment_cost
        )
        self.gradient = check_gradient(gradient)
        self.distance = check_choice("distance", distance, _DISTANCES)
        self.regularizers = check_regularizers(regularizers)
        self.sampling = check_sampling(sampling)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if self.sampling is not None:
            self.draws = self._add_state("draws", (), "zeros", dtype="int32")

    def _initializer(self):
        if self.distance == "euclidean" or not self._trains_codebook:
            return super()._initializer()
        size = (self.codebook_dim or self.embedding_dim) ** -0.5
        return keras.initializers.RandomNormal(0.0, size, self.seed)

    def _scaled(self, vectors):
        if self.distance == "euclidean":
            return vectors
        return tf.math.l2_normalize(vectors, axis=-1)

    # Search and loss --------------------------------------------------------

    def to_search_space(self, z: tf.Tensor) -> tf.Tensor:
        """`[N, G * D]` to `[G, N, d]`."""
        if self.num_codebooks == 1:
            z = z[tf.newaxis]
        else:
            z = tf.reshape(z, [-1, self.num_codebooks, self.embedding_dim])
            z = tf.transpose(z, [1, 0, 2])
        if self.codebook_dim is not None:
            z = self.project_in(z)
        return self._scaled(z)

    def from_search_space(self, quantized: tf.Tensor) -> tf.Tensor:
        if self.codebook_dim is not None:
            quantized = self.project_out(quantized)
        if self.num_codebooks == 1:
            return quantized
        return tf.transpose(quantized, [1, 0, 2])

    def search(self, z: tf.Tensor) -> tf.Tensor:
        table, shape = tf.stop_gradient(self._table()), tf.shape(z)[:2]
        if not self._pools:
            return lookup.nearest_codes(z, table)
        z = tf.reshape(z, [1, -1, z.shape[2]])
        return tf.reshape(lookup.nearest_codes(z, table), shape)

    def quantize_vectors(
        self,
        z: tf.Tensor,
        weights: tf.Tensor | None,
        training: bool | None,
        examples: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        if not self._draws_codes(training):
            return super().quantize_vectors(z, weights, training, examples)
        prepared = self.prepare(z, weights)
        codes, relaxed = self._draw(z)
        quantized, *others = self.finish(z, codes, weights, training, prepared)
        if relaxed is not None:
            # Adds 0, and its gradient.
            quantized = tf.stop_gradient(quantized) + (
                relaxed - tf.stop_gradient(relaxed)
            )
        return quantized, *others

    def pass_gradients(
        self, z: tf.Tensor, quantized: tf.Tensor, training: bool | None
    ) -> tf.Tensor:
        if self._draws_codes(training) and self.sampling.relaxes:
            return quantized  # it has one already
        return super().pass_gradients(z, quantized, training)

    def _draws_codes(self, training):
        """Whether codes are drawn instead of searched."""
        return self.sampling is not None and training and self.trainable

    def choose(
        self, z: tf.Tensor, training: bool | None, stage: int = 0
    ) -> tf.Tensor:
        if self._draws_codes(training):
            return self._draw(z, stage)[0]
        return super().choose(z, training, stage)

    def _draw(self, z, stage=0):
        """Returns drawn codes, and None or vectors with their gradient."""
        seed = random.fold_in(random.make_seed(self.seed), _SAMPLING)
        seed = random.fold_in(seed, self.draws)
        if stage:
            seed = random.fold_in(seed, stage)
        return self.sampling.draw(
            z,
            with_finite_gradient(self._table()),
            seed,
            tf.convert_to_tensor(self.draws),
        )

    def _count_step(self, candidates):
        super()._count_step(candidates)
        if self.sampling is not None:
            self.draws.assign_add(1)

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        table = with_finite_gradient(self._table())
        if not self._pools:
            codes = lookup.flat_indices(codes, self.num_embeddings)
        return tf.gather(tf.reshape(table, [-1, table.shape[2]]), codes)

    def loss(
        self,
        z: tf.Tensor,
        quantized: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
    ) -> tf.Tensor:
        codebook = mean_squares(tf.stop_gradient(z) - quantized, weights)
        commitment = mean_squares(z - tf.stop_gradient(quantized), weights)
        loss = codebook + self.commitment_cost * commitment
        return self._regularized(loss, z, weights)

    def _regularized(self, loss, z, weights):
        """Adds the regularizers' losses."""
        if not self.regularizers:
            return loss
        table = with_finite_gradient(self._table())
        return tf.add_n(
            [loss, *(term(z, table, weights) for term in self.regularizers)]
        )

    def _channels_explained(self):
        return (
            "num_codebooks * embedding_dim = "
            f"{self.num_codebooks} * {self.embedding_dim} = {self.channels}"
        )

    # Configuration ----------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "commitment_cost": self.commitment_cost,
            "gradient": self.gradient,
            "distance": self.distance,
        }
        if self.regularizers:
            config["regularizers"] = [
                keras.saving.serialize_keras_object(term)
                for term in self.regularizers
            ]
        if self.sampling is not None:
            config["sampling"] = keras.saving.serialize_keras_object(
                self.sampling
            )
        return config


def _initialization(initialization, from_data):
    """Returns `initialization`, given its older name as well."""
    if not from_data:
        return initialization
    if initialization not in ("uniform", "data"):
        raise ValueError(
            'initialize_from_data=True means initialization="data"; give only '
            f"one of the two. Received: initialization={initialization!r}, "
            f"initialize_from_data={from_data!r}."
        )
    return "data"
