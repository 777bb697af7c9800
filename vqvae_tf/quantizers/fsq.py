"""Finite scalar quantization: each channel is rounded to a few levels."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.parts import check_implied, check_one_codebook
from vqvae_tf.quantizers.projection import GroupProjection
from vqvae_tf.utils.checks import check_choice, check_positive, check_seed

# How latents are scaled before tanh: 2 sigmoid(1.6 z) - 1 is tanh(0.8 z).
_BOUNDS = {"tanh": 1.0, "sigmoid": 0.8}
# The usage metric has a number for each code.
MAX_CODES = 2**24


@keras.saving.register_keras_serializable("vqvae_tf")
class FSQ(Quantizer):
    r"""Finite scalar quantization: no codebook, no auxiliary loss.

    Channel i is bounded to an interval that holds L_i integers and rounded to
    the nearest; the code numbers the combinations of all channels. Every code
    is used from the start, so there is nothing to restart or initialize.

    With h = (L - 1)(1 + 1e-3) / 2 and o = 1/2 for even L, else 0:

    .. math::

        b &= h \tanh(z + \operatorname{artanh}(o / h)) - o \\
        \hat{z} &= \operatorname{round}(b) / \lfloor L / 2 \rfloor

    is section 3.1 of arXiv:2309.15505 with the margin and the shift of its
    listing, which has 1 - 1e-3 and tan: as vector-quantize-pytorch corrects
    them, all L levels can be reached. A latent of 0 becomes 0, and an even L
    has one value more below 0 than above. `symmetric=True` spaces the levels
    evenly over [-1, 1] instead:

    .. math::

        b = (L - 1)(\tanh(z) + 1) / 2, \qquad
        \hat{z} = 2 \operatorname{round}(b) / (L - 1) - 1

    Gradients pass straight through the rounding, and as usual through tanh.

    Args:
        levels: ints of at least 2, L_i for each channel. The paper suggests
            (8, 6, 5) for 2^8 codes, (8, 5, 5, 5) for 2^10, (7, 5, 5, 5, 5) for
            2^12, (8, 8, 8, 5, 5, 5) for 2^16. A level of 2 needs
            `symmetric=True`: the paper's bound saturates for it.
        symmetric: bool, False by default: whether levels are spread evenly
            over [-1, 1].
        bound: "tanh", the default, or "sigmoid" for 2 sigmoid(1.6 z) - 1 =
            tanh(0.8 z) in its place, which spreads normal latents more evenly
            over the levels (iFSQ).
        channels: int or None, the default, for as many as there are levels.
            Another number is projected to these by a learned linear map, and
            back by another after rounding.
        seed: int, of the initial values of these maps; 0 by default.

    Attributes:
        codebook: the quantized vectors of all codes in order, float32
            `[K, channels]`.
        channels: of the latents.
        num_embeddings: K, the product of the levels.

    Call arguments:
        latents: float `[batch, ..., channels]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.

    Raises:
        ValueError: for levels or channels that do not fit.

    Example:

    >>> quantizer = FSQ(levels=(8, 5, 5, 5))
    >>> quantizer.num_embeddings
    1000
    >>> latents = tf.random.normal([16, 8, 8, 4])
    >>> quantized, codes = quantizer(latents, return_codes=True)
    >>> quantized.shape, codes.shape
    (TensorShape([16, 8, 8, 4]), TensorShape([16, 8, 8]))

    In the place of a codebook of 64 channels:

    >>> FSQ(levels=(8, 5, 5, 5), channels=64)(tf.ones([2, 64])).shape
    TensorShape([2, 64])

    References:
        Mentzer et al. 2023, Finite Scalar Quantization: VQ-VAE Made Simple,
        arXiv:2309.15505.
    """

    def __init__(
        self,
        levels: Sequence[int],
        symmetric: bool = False,
        bound: str = "tanh",
        channels: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_one_codebook("FSQ", kwargs)
        self.levels = _check_levels(levels, symmetric)
        size = len(self.levels) if channels is None else channels
        super().__init__(math.prod(self.levels), size, **kwargs)
        self.seed = check_seed(seed)
        self.projects = channels is not None
        if self.projects:
            own = len(self.levels)
            self.project_in = GroupProjection(
                1, self.channels, own, self.seed, name="project_in"
            )
            self.project_out = GroupProjection(
                1, own, self.channels, self.seed + 1, name="project_out"
            )
        self.symmetric = bool(symmetric)
        self.bound = check_choice("bound", bound, _BOUNDS)
        # One channel a row, since rows are long and channels are few. The first
        # channel counts fastest, as in the paper's code.
        self._sizes = np.array(self.levels, np.int32).reshape(-1, 1, 1)
        places = np.cumprod([1, *self.levels[:-1]], dtype=np.int64)
        self._places = places.astype(np.int32).reshape(-1, 1, 1)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if self.projects:
            self.project_in.build((1, None, self.channels))
            self.project_out.build((1, None, len(self.levels)))

    def to_search_space(self, z: tf.Tensor) -> tf.Tensor:
        """Bounds latents so that rounding them gives one of the levels.

        Args:
            z: float32 `[N, channels]`.

        Returns:
            float32 `[len(levels), N, 1]`.
        """
        if self.projects:
            z = self.project_in(z[tf.newaxis])[0]
        z = tf.transpose(z)[..., tf.newaxis]
        scale = _BOUNDS[self.bound]
        if self.symmetric:
            half = 0.5 * (self._sizes - 1).astype(np.float32)
            return (tf.tanh(scale * z) + 1.0) * half
        half = (self._sizes - 1) * 1.001 / 2
        offset = np.where(self._sizes % 2, 0.0, 0.5)
        shift = np.arctanh(offset / half).astype(np.float32)
        half, offset = half.astype(np.float32), offset.astype(np.float32)
        return tf.tanh(scale * z + shift) * half - offset

    def quantize_vectors(
        self,
        z: tf.Tensor,
        weights: tf.Tensor | None,
        training: bool | None,
        examples: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
        digits = self._digits(tf.stop_gradient(z))
        # The digits are known: those of the codes would have to be divided.
        return self.finish(
            z,
            self._codes(digits),
            weights,
            training,
            None,
            quantized=self._vectors_of(digits),
        )

    def search(self, z: tf.Tensor) -> tf.Tensor:
        return self._codes(self._digits(z))

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        digits = codes[..., tf.newaxis] // self._places % self._sizes
        return self._vectors_of(digits)

    def from_search_space(self, quantized: tf.Tensor) -> tf.Tensor:
        if self.symmetric:
            steps = (self._sizes - 1).astype(np.float32)
            quantized = 2.0 * quantized / steps - 1.0
        else:
            quantized = quantized / (self._sizes // 2).astype(np.float32)
        quantized = tf.transpose(quantized[..., 0])
        if self.projects:
            quantized = self.project_out(quantized[tf.newaxis])[0]
        return quantized

    def _digits(self, z):
        """The level of each channel, int32 in 0..L-1, shaped like z."""
        digits = tf.cast(tf.round(z), tf.int32) + self._lowest()
        # Latents that are not finite have no level; they get one at the edge.
        return tf.clip_by_value(digits, 0, self._sizes - 1)

    def _codes(self, digits):
        """Codes `[1, N]` of digits."""
        codes = tf.reduce_sum(digits * self._places, axis=0)
        return tf.transpose(codes)

    def _vectors_of(self, digits):
        return tf.cast(digits - self._lowest(), tf.float32)

    def _lowest(self):
        """Returns how far below 0 the integers of each channel begin."""
        return 0 if self.symmetric else self._sizes // 2

    @property
    def codebook(self) -> tf.Tensor:
        """All quantized vectors, float32 `[K, channels]`."""
        check_implied(self)
        return self.decode(tf.range(self.num_embeddings))

    def _channels_explained(self):
        if self.projects:
            return f"channels = {self.channels}"
        return f"len(levels) = {self.channels}"

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "levels": list(self.levels),
            "symmetric": self.symmetric,
            "bound": self.bound,
        }
        # Written only where needed: older versions do not know these keys.
        if self.projects:
            config.update(channels=self.channels, seed=self.seed)
        return config


def _check_levels(levels, symmetric):
    if isinstance(levels, (str, bytes)) or not np.iterable(levels):
        raise ValueError(
            "levels must be a sequence of integers, one for each channel, such "
            f"as (8, 5, 5, 5). Received: levels={levels!r}."
        )
    levels = tuple(check_positive("levels", level) for level in levels)
    if not levels or min(levels) < 2:
        raise ValueError(
            "levels must have an integer of at least 2 for each channel. "
            f"Received: levels={levels}."
        )
    if 2 in levels and not symmetric:
        raise ValueError(
            "With a level of 2 the paper's bound saturates: set "
            f"symmetric=True, or use 3. Received: levels={levels}."
        )
    if math.prod(levels) > MAX_CODES:
        raise ValueError(
            f"The product of the levels must be at most {MAX_CODES}, for codes "
            f"to be counted. Received: levels={levels}, a product of "
            f"{math.prod(levels)}."
        )
    return levels
