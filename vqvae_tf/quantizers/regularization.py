"""Additional losses of a codebook: evenly used, and of distinct directions."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import check_not_negative, check_number

_TEMPERATURES = 1e-6, 1e6


class CodebookRegularizer:
    """A loss of latents and codebook that a quantizer adds to its own.

    Subclasses define `value`; to be saved with a layer they need a
    `get_config`, and `keras.saving.register_keras_serializable`.

    Args:
        weight: float, at least 0; multiplies the loss.

    Example: a penalty on long embeddings.

    >>> class Short(CodebookRegularizer):
    ...     def value(self, z, codebooks, weights):
    ...         return tf.reduce_mean(codebooks**2)
    >>> layer = vqvae_tf.VectorQuantizer(16, 4, regularizers=[Short(0.5)])
    """

    def __init__(self, weight: float) -> None:
        self.weight = check_not_negative("weight", weight)

    def __call__(
        self,
        z: tf.Tensor,
        codebooks: tf.Tensor,
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the weighted loss, a scalar; 0 for a batch without latents.

        Args:
            z: float32 `[G, N, d]`, the latents as they are searched.
            codebooks: float32 `[G, K, d]`, or `[1, K, d]` if all groups share
                one.
            weights: float32 `[N]`, of each latent, or None for 1.
        """
        if weights is None:
            weights = tf.ones(tf.shape(z)[1:2])
        value = self.weight * self.value(z, codebooks, weights)
        total = replicas.sum_over_replicas(tf.reduce_sum(weights))
        return tf.where(total > 0, value, 0.0)

    def value(
        self, z: tf.Tensor, codebooks: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the loss before it is weighted; arguments as of a call."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement value."
        )

    # Whether only the codebook's own gradient can lower it.
    of_codebook = False

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CodebookRegularizer":
        return cls(**config)

    def __repr__(self) -> str:
        options = (f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({', '.join(options)})"


@keras.saving.register_keras_serializable("vqvae_tf")
class Diversity(CodebookRegularizer):
    r"""How far a batch is from using all codes alike.

    With p_n the probabilities of the K embeddings for latent n, and p their
    mean over the latents of all replicas,

    .. math::

        p_n = \operatorname{softmax}_k(-\|z_n - e_k\|^2 / \tau),

    the loss is log K - H(p), with tau the `temperature`. It is between 0, if
    all codes are equally probable, and log K; a mean over groups. Latents move
    to codes that are rarely used, and codes of a gradient-trained codebook to
    latents. A `VectorQuantizerEMA` moves its latents only.

    It takes G * N * K probabilities of memory.

    Args:
        weight: float, at least 0; 0.1 by default.
        temperature: float in [1e-6, 1e6], 1 by default: about the difference of
            squared distances between near codes. Far below it, only latents
            between two codes have a gradient; far above, all codes are equally
            probable anyway.

    Example: four latents of one code, then of all four.

    >>> codebook = tf.constant([[[0.0], [10.0], [20.0], [30.0]]])
    >>> for z in (tf.ones([1, 4, 1]), codebook):
    ...     print(f"{Diversity(1.0)(z, codebook):.4f}")
    1.3863
    0.0000

    References:
        Baevski et al. 2020, wav2vec 2.0, arXiv:2006.11477, eq. 4: the same
        entropy, of codes that are drawn by Gumbel noise.
    """

    def __init__(self, weight: float = 0.1, temperature: float = 1.0) -> None:
        super().__init__(weight)
        self.temperature = check_number(
            "temperature",
            temperature,
            *_TEMPERATURES,
            "a number in [1e-6, 1e6]",
        )

    def value(
        self, z: tf.Tensor, codebooks: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        # |z|^2 is the same for all codes.
        norms = tf.reduce_sum(codebooks**2, axis=-1)[:, tf.newaxis]
        scores = 2.0 * tf.matmul(z, codebooks, transpose_b=True) - norms
        p = tf.nn.softmax(scores / self.temperature)
        # An einsum would transpose all N * K probabilities first.
        rows = tf.tile(weights[tf.newaxis, tf.newaxis], [p.shape[0], 1, 1])
        sums = tf.squeeze(tf.matmul(rows, p), axis=1)
        sums, total = replicas.sum_over_replicas([sums, tf.reduce_sum(weights)])
        mean = tf.math.divide_no_nan(sums, total)
        entropy = -tf.reduce_sum(tf.math.xlogy(mean, mean), axis=-1)
        most = tf.math.log(float(codebooks.shape[1]))
        return most - tf.reduce_mean(entropy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("vqvae_tf")
class Orthogonality(CodebookRegularizer):
    r"""How much the directions of embeddings overlap.

    For embeddings E `[K, d]`, divided by their norms,

    .. math::

        \|E E^T - I\|_F^2 / K^2,

    the sum of the squared cosines of all pairs of different embeddings, divided
    by K^2; a mean over codebooks. It is 0 for orthogonal embeddings, of which
    there are at most d; the least for K > d is 1 / d - 1 / K. Only a codebook
    trained by gradient descent can have it.

    Its time grows with K d^2, not K^2, since :math:`E E^T` and :math:`E^T E`
    have the same norm.

    Args:
        weight: float, at least 0; 10 by default.

    Example:

    >>> codebook = tf.constant([[[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]])
    >>> z = tf.zeros([1, 5, 2])
    >>> print(f"{Orthogonality(9.0)(z, codebook):.4f}")
    2.0000

    References:
        Shin et al. 2021, Translation-equivariant Image Quantizer for
        Bi-directional Image-Text Generation, arXiv:2112.00384, eq. 2.
    """

    of_codebook = True

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def value(
        self, z: tf.Tensor, codebooks: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        units = tf.math.l2_normalize(codebooks, axis=-1)
        gram = tf.matmul(units, units, transpose_a=True)
        pairs = tf.reduce_sum(gram**2, axis=[1, 2])
        own = tf.reduce_sum(tf.reduce_sum(units**2, axis=-1) ** 2, axis=-1)
        return tf.reduce_mean(pairs - own) / codebooks.shape[1] ** 2


def check_regularizers(value: Any) -> list[CodebookRegularizer]:
    """Returns a list of `CodebookRegularizer`s.

    Args:
        value: None, one or several of them, or their serialized configs.

    Raises:
        ValueError: for anything else.
    """
    if value is None:
        value = []
    several = value if isinstance(value, (list, tuple)) else [value]
    found = []
    for item in several:
        if isinstance(item, dict) and "class_name" in item:
            item = keras.saving.deserialize_keras_object(item)
        if not isinstance(item, CodebookRegularizer):
            raise ValueError(
                "regularizers must be a CodebookRegularizer, such as "
                "Diversity(0.1) or Orthogonality(10.0), or a list of them. "
                f"Received: regularizers={value!r}."
            )
        found.append(item)
    return found
