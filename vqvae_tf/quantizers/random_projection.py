"""Random projections: fixed codes of vectors, as targets of a prediction."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive, check_seed


@keras.saving.register_keras_serializable("vqvae_tf")
class RandomProjectionQuantizer(Quantizer):
    r"""Gives each vector a code by a random projection; nothing is learned.

    With A `[channels, P]` a random matrix and c_k `[P]` random vectors, both
    fixed, the code of z is the nearest of them in direction:

    .. math::

        \operatorname{argmin}_k \left\| \frac{zA}{\|zA\|}
        - \frac{c_k}{\|c_k\|} \right\|

    Such codes are not a bottleneck but targets: a model is shown a part of a
    signal and learns to predict the codes of what was masked (BEST-RQ).

    Normalize the inputs to a mean of 0 and a standard deviation of 1 per
    channel, for instance with `keras.layers.Normalization`. A common offset
    would turn all projections in the same direction, and few codes be used.

    Several codebooks each have a projection of their own, and give as many
    codes, which differ in what they tell apart.

    Args:
        num_embeddings: int, K; 8192 in the paper.
        channels: int, the size of the inputs' last axis.
        projected_channels: int, P, 16 by default, as in the paper.
        num_codebooks: int, G, 1 by default.
        seed: int, of both the projection and the codebook; 0 by default. The
            values are the same on every device, and are saved with the model.

    Attributes:
        projection: A, a variable, float32 `[channels, G * P]`, of Xavier's
            uniform distribution for each codebook.
        codebook: c, a variable, float32 `[G, K, P]`, of the normal
            distribution.
        inverse: the pseudoinverse of A, a variable, float32
            `[G * P, channels]`.

    Call arguments:
        latents: float `[batch, ..., channels]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.
            There is no loss; gradients pass straight through.

    `encode` is what it is for. `decode`, and a call, give the shortest vectors
    whose projections are the code's, its c divided by its norm. What the
    projection drops and the lengths of the inputs are lost.
    `encode(decode(codes))` gives `codes` as long as the G * P projected
    channels are no more than `channels`; beyond that, `decode` gives the
    least-squares solution.

    Raises:
        ValueError: for channels that do not fit, or an argument out of range.

    Example: targets for two seconds of speech, 80 channels every 10 ms.

    >>> quantizer = RandomProjectionQuantizer(8192, channels=80)
    >>> codes = quantizer.encode(tf.random.normal([4, 200, 80]))
    >>> codes.shape, codes.dtype
    (TensorShape([4, 200]), tf.int32)

    References:
        Chiu et al. 2022, Self-supervised Learning with Random-projection
        Quantizer for Speech Recognition, arXiv:2202.01855, section 3.
    """

    def __init__(
        self,
        num_embeddings: int,
        channels: int,
        projected_channels: int = 16,
        num_codebooks: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        size = check_positive("num_embeddings", num_embeddings)
        super().__init__(size, channels, num_codebooks, **kwargs)
        self.projected_channels = check_positive(
            "projected_channels", projected_channels
        )
        self.seed = check_seed(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        groups, size = self.num_codebooks, self.projected_channels
        self.projection = self._frozen(
            "projection", (self.channels, groups * size), self._projection
        )
        self.codebook = self._frozen(
            "codebook", (groups, self.num_embeddings, size), self._normal
        )
        self.inverse = self._frozen(
            "inverse",
            (groups * size, self.channels),
            lambda shape, dtype=None: tf.linalg.pinv(
                self._projection(shape[::-1])
            ),
        )

    def _frozen(self, name, shape, initializer):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype="float32",
            trainable=False,
            autocast=False,
        )

    # Initial values of raw bits: Keras' draws differ between modes and devices.

    def _uniform(self, shape, number):
        seed = random.fold_in(random.make_seed(self.seed), number)
        return random.uniform(shape, seed)

    def _projection(self, shape, dtype=None):
        fans = self.channels + self.projected_channels
        return (2.0 * self._uniform(shape, 0) - 1.0) * (6.0 / fans) ** 0.5

    def _normal(self, shape, dtype=None):
        # Rounded from float64, in which devices differ too little to show.
        u = tf.cast(self._uniform(shape, 1), tf.float64)
        return tf.cast(tf.math.ndtri(u), tf.float32)

    # Codes --------------------------------------------------------------------

    def search(self, z: tf.Tensor) -> tf.Tensor:
        size = [-1, self.num_codebooks, self.projected_channels]
        projected = tf.reshape(tf.matmul(z, self.projection), size)
        projected = _directions(tf.transpose(projected, [1, 0, 2]))
        return lookup.nearest_codes(projected, _directions(self.codebook))

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        # Whole tables, so that a vector does not depend on what it is beside.
        size = [self.num_codebooks, self.projected_channels, self.channels]
        inverse = tf.reshape(self.inverse, size)
        tables = tf.matmul(_directions(self.codebook), inverse)
        return tf.reduce_sum(tf.gather(tables, codes, batch_dims=1), axis=0)

    def _channels_explained(self):
        return f"channels = {self.channels}"

    # Configuration ------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "channels": self.channels,
            "projected_channels": self.projected_channels,
            "num_codebooks": self.num_codebooks,
            "seed": self.seed,
        }


def _directions(vectors):
    return tf.math.l2_normalize(vectors, axis=-1)
