"""SimVQ: a frozen codebook behind one learned linear map."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers import lookup
from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.gradients import (
    check_gradient,
    mean_squares,
    with_finite_gradient,
)
from vqvae_tf.quantizers.parts import check_one_codebook
from vqvae_tf.utils.checks import check_not_negative, check_positive, check_seed


@keras.saving.register_keras_serializable("vqvae_tf")
class SimVQ(Quantizer):
    """Vector quantization whose codebook moves as a whole.

    The codebook is C W: C `[K, D]` is drawn from N(0, 1 / D) and stays as it
    is, W `[D, D]` is learned. Each step so moves all embeddings, also those
    that no latent has chosen, and few codes die even of many thousands.

    The loss is that of `VectorQuantizer`, with e a row of C W:
    `|sg(z) - e|^2 + commitment_cost * |z - sg(e)|^2`.

    Args:
        num_embeddings: int, K.
        embedding_dim: int, D.
        commitment_cost: float, 0.25 by default.
        seed: int, of C and of W's initial values; 0 by default.
        gradient: as for `VectorQuantizer`.

    Attributes:
        codebook: C W, float32 `[K, D]`.
        channels: D.

    Call arguments:
        latents: float `[batch, ..., D]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.

    Raises:
        ValueError: for channels that do not fit, or an argument out of range.

    Example:

    >>> quantizer = SimVQ(num_embeddings=4096, embedding_dim=16)
    >>> quantized = quantizer(tf.random.normal([16, 8, 8, 16]))
    >>> quantized.shape, quantizer.codebook.shape
    (TensorShape([16, 8, 8, 16]), TensorShape([4096, 16]))

    References:
        Zhu et al. 2024, Addressing Representation Collapse in Vector Quantized
        Models with One Linear Layer, arXiv:2411.02038.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        seed: int = 0,
        gradient: str = "straight_through",
        **kwargs: Any,
    ) -> None:
        check_one_codebook("SimVQ", kwargs)
        dim = check_positive("embedding_dim", embedding_dim)
        super().__init__(num_embeddings, dim, **kwargs)
        self.embedding_dim = dim
        self.commitment_cost = check_not_negative(
            "commitment_cost", commitment_cost
        )
        self.seed = check_seed(seed)
        self.gradient = check_gradient(gradient)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        size = self.embedding_dim**-0.5
        options = dict(dtype="float32", autocast=False)
        self.coefficients = self.add_weight(
            name="coefficients",
            shape=(self.num_embeddings, self.embedding_dim),
            initializer=keras.initializers.RandomNormal(0.0, size, self.seed),
            trainable=False,
            **options,
        )
        self.basis = self.add_weight(
            name="basis",
            shape=(self.embedding_dim, self.embedding_dim),
            initializer=keras.initializers.RandomUniform(
                -size, size, self.seed
            ),
            **options,
        )

    @property
    def codebook(self) -> tf.Tensor:
        """The embeddings C W, float32 `[K, D]`."""
        self._ensure_built()
        return tf.matmul(self.coefficients, self.basis)

    def search(self, z: tf.Tensor) -> tf.Tensor:
        table = tf.stop_gradient(self.codebook)
        return lookup.nearest_codes(z[tf.newaxis], table[tf.newaxis])

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        return tf.gather(with_finite_gradient(self.codebook), codes[0])

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
        return f"embedding_dim = {self.channels}"

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "commitment_cost": self.commitment_cost,
            "seed": self.seed,
            "gradient": self.gradient,
        }
