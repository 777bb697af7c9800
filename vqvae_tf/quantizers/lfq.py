"""Look-up-free quantization: a code is the signs of its latents."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.gradients import mean_squares
from vqvae_tf.quantizers.parts import check_implied, check_one_codebook
from vqvae_tf.runtime import replicas
from vqvae_tf.utils.checks import (
    check_not_negative,
    check_number,
    check_positive,
)

# The usage metric has a number for each code.
MAX_BITS = 24
_TEMPERATURES = (1e-6, 1e6)


@keras.saving.register_keras_serializable("vqvae_tf")
class LFQ(Quantizer):
    r"""Look-up-free quantization: each channel becomes one bit, its sign.

    The codebook is implied, the 2^L corners c of {-1, 1}^L, so none is learned.
    What is learned is that latents decide for a corner, and that all corners
    are used. The loss is

    .. math::

        p(c \mid z) &= \operatorname{softmax}_c(2 z \cdot c / \tau) \\
        L &= w \left( \mathbb{E}\, H(p(c \mid z))
        - d \, H(\mathbb{E}\, p(c \mid z)) \right)
        + \beta \, \|z - \operatorname{sg}(\operatorname{sign}(z))\|^2

    with tau the `temperature`, w the `entropy_weight`, d the `diversity` and
    beta the `commitment_cost`, where H is the entropy in nats, E the mean over
    the batch, of all replicas, and sg stops the gradient; the last term is a
    mean over latents and channels. p factorizes into a sigmoid(4 z /
    temperature) per bit, so the first term is a sum over bits, and the second
    needs 2^(L/2) probabilities a latent, not 2^L; both are exact. Gradients
    pass straight through the sign.

    Args:
        num_bits: int, L, at most 24: channels of the latents, and bits of a
            code.
        entropy_weight: float, 0.1 by default.
        diversity: float, 1 by default: the weight of the batch's entropy
            against that of each latent.
        temperature: float in [1e-6, 1e6], 0.01 by default: the smaller, the
            nearer to 0 a latent may be before it counts as undecided.
        commitment_cost: float, 0.25 by default.

    Attributes:
        codebook: the corners in the order of their codes, float32 `[2^L, L]`,
            for up to 20 bits. The first channel is the most significant bit.
        channels: L.
        num_embeddings: K = 2^L.

    Call arguments:
        latents: float `[batch, ..., L]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.

    Raises:
        ValueError: for channels that do not fit, or an argument out of range.

    Example:

    >>> quantizer = LFQ(num_bits=10)
    >>> latents = tf.random.normal([16, 8, 8, 10])
    >>> quantized, codes = quantizer(latents, return_codes=True)
    >>> quantized.shape, codes.shape, quantizer.num_embeddings
    (TensorShape([16, 8, 8, 10]), TensorShape([16, 8, 8]), 1024)

    References:
        Yu et al. 2023, Language Model Beats Diffusion: Tokenizer is Key to
        Visual Generation, arXiv:2310.05737, section 3.1.
    """

    def __init__(
        self,
        num_bits: int,
        entropy_weight: float = 0.1,
        diversity: float = 1.0,
        temperature: float = 0.01,
        commitment_cost: float = 0.25,
        **kwargs: Any,
    ) -> None:
        check_one_codebook(type(self).__name__, kwargs)
        bits = check_positive("num_bits", num_bits)
        check_number("num_bits", bits, 1, MAX_BITS, f"in 1..{MAX_BITS}")
        super().__init__(2**bits, bits, **kwargs)
        self.num_bits = bits
        self.entropy_weight = check_not_negative(
            "entropy_weight", entropy_weight
        )
        self.diversity = check_not_negative("diversity", diversity)
        self.temperature = check_number(
            "temperature",
            temperature,
            *_TEMPERATURES,
            "a number in [1e-6, 1e6]",
        )
        self.commitment_cost = check_not_negative(
            "commitment_cost", commitment_cost
        )

    _corner = 1.0  # the absolute value of each channel of a code

    def search(self, z: tf.Tensor) -> tf.Tensor:
        bits = tf.cast(z > 0, tf.int32)
        return tf.reduce_sum(bits * self._places(), axis=-1)[tf.newaxis]

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        bits = codes[0, :, tf.newaxis] // self._places() % 2
        return self._corner * (2.0 * tf.cast(bits, tf.float32) - 1.0)

    def _places(self):
        return 2 ** tf.range(self.num_bits - 1, -1, -1)

    # Loss -------------------------------------------------------------------

    def loss(
        self,
        z: tf.Tensor,
        quantized: tf.Tensor,
        codes: tf.Tensor,
        weights: tf.Tensor | None,
    ) -> tf.Tensor:
        loss = self.commitment_cost * mean_squares(
            z - tf.stop_gradient(quantized), weights
        )
        if not self.entropy_weight:
            return loss
        if weights is None:
            weights = tf.ones(tf.shape(z)[:1])
        logits = (4.0 * self._corner / self.temperature) * z
        each = tf.math.divide_no_nan(
            tf.reduce_sum(weights * tf.reduce_sum(_bit_entropy(logits), -1)),
            tf.reduce_sum(weights),
        )
        whole = self._batch_entropy(tf.sigmoid(logits), weights)
        return loss + self.entropy_weight * (each - self.diversity * whole)

    def _batch_entropy(self, p, weights):
        """Entropy of the codes' mean probabilities; p `[N, L]` of a 1 bit."""
        half = self.num_bits // 2
        first, last = _joint(p[:, :half]), _joint(p[:, half:])
        sums = tf.matmul(first * weights[:, tf.newaxis], last, transpose_a=True)
        return _entropy(_mean_over_replicas(sums, weights))

    @property
    def codebook(self) -> tf.Tensor:
        """All quantized vectors, float32 `[K, L]`."""
        check_implied(self)
        return self.decode(tf.range(self.num_embeddings))

    def _channels_explained(self):
        return f"num_bits = {self.num_bits}"

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bits": self.num_bits,
            "entropy_weight": self.entropy_weight,
            "diversity": self.diversity,
            "temperature": self.temperature,
            "commitment_cost": self.commitment_cost,
        }


@keras.saving.register_keras_serializable("vqvae_tf")
class BSQ(LFQ):
    """Binary spherical quantization: LFQ of latents on the unit sphere.

    Latents are divided by their norm and become the nearest corner of the cube
    inside the sphere, {-1, 1}^L / sqrt(L). That bounds the distance between
    the two, which `LFQ` leaves to the commitment loss.

    The batch's entropy in the loss is replaced by the sum of the entropies of
    single bits, an upper bound on it that needs no joint probabilities: it is
    equal where bits are independent.

    Args:
        num_bits, entropy_weight, diversity, commitment_cost: as for `LFQ`.
        temperature: as for `LFQ`; 0.1 by default, since latents are shorter.

    Attributes, call arguments, returns and raises: as for `LFQ`.

    Example:

    >>> quantizer = BSQ(num_bits=16)
    >>> quantized = quantizer(tf.random.normal([4, 16]))
    >>> tf.norm(quantized, axis=-1).numpy()
    array([1., 1., 1., 1.], dtype=float32)

    References:
        Zhao et al. 2024, Image and Video Tokenization with Binary Spherical
        Quantization, arXiv:2406.07548, section 4.
    """

    def __init__(
        self,
        num_bits: int,
        entropy_weight: float = 0.1,
        diversity: float = 1.0,
        temperature: float = 0.1,
        commitment_cost: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_bits,
            entropy_weight,
            diversity,
            temperature,
            commitment_cost,
            **kwargs,
        )
        self._corner = self.num_bits**-0.5

    def to_search_space(self, z: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(z, axis=-1)

    def _batch_entropy(self, p, weights):
        sums = tf.reduce_sum(p * weights[:, tf.newaxis], axis=0)
        p = _mean_over_replicas(sums, weights)
        return _entropy(p) + _entropy(1.0 - p)


def _mean_over_replicas(sums, weights):
    """Divides sums over a batch by its weight, both of all replicas."""
    sums, total = replicas.sum_over_replicas([sums, tf.reduce_sum(weights)])
    return tf.math.divide_no_nan(sums, total)


def _bit_entropy(logits):
    """Entropy of each bit, in nats; 0 at both ends without cancellation."""
    a = tf.abs(logits)
    return tf.math.softplus(-a) + a * tf.sigmoid(-a)


def _entropy(p):
    return -tf.reduce_sum(tf.math.xlogy(p, p))


def _joint(p):
    """Probabilities `[N, 2^b]` of all values of b independent bits `[N, b]`."""
    joint = tf.ones([tf.shape(p)[0], 1])
    for bit in tf.unstack(p, axis=1):
        both = tf.stack([1.0 - bit, bit], axis=-1)[:, tf.newaxis]
        size = 2 * joint.shape[1]
        joint = tf.reshape(joint[..., tf.newaxis] * both, [-1, size])
    return joint
