"""Corruptions of the input, for denoising autoencoders.

They are applied to preprocessed data, with pixels in -1..1 (black to white),
and to every entry independently, including the channels of a pixel, as in the
papers and in scikit-image's salt-and-pepper noise.

References:
    Vincent et al. 2008, "Extracting and composing robust features with
    denoising autoencoders".
    Vincent et al. 2010, "Stacked denoising autoencoders", JMLR 11, section
    3.3, which has the three corruptions.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.utils.checks import check_not_negative, check_share


class Corruption(RowNoise):
    """Corrupts its input in training, and on request.

    Subclasses implement `apply_noise`.

    Args:
        seed: int, of the noise in training; a random one by default.

    Call arguments:
        inputs: float `[batch, *sizes, channels]`, in network units.
        training: bool, whether to corrupt; False by default.

    Returns:
        A tensor of the shape and dtype of `inputs`.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **{"autocast": False, **kwargs})
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.corrupt(inputs, self.next_seed()) if training else inputs

    def corrupt(
        self,
        inputs: tf.Tensor | np.ndarray,
        seed: int | tf.Tensor,
        first_row: int | tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns corrupted inputs, the same for the same seed.

        Args:
            inputs: float `[batch, *sizes, channels]`.
            seed: an integer, or int32 [2].
            first_row: index of the first example in the data set, which makes
                the noise independent of the batch size; by default examples
                are numbered from 0 within the (global) batch.
        """
        inputs = tf.convert_to_tensor(inputs)
        noise = self.uniform(tf.shape(inputs), seed, first_row)
        return self.apply_noise(inputs, noise)

    def apply_noise(self, inputs: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Corrupts inputs, given uniform numbers, float32 of their shape."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement apply_noise."
        )

    def compute_output_spec(
        self, inputs: keras.KerasTensor, training: bool = False
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)


@keras.saving.register_keras_serializable("vqvae_tf")
class MaskingNoise(Corruption):
    """Sets a share of the entries to one value.

    Args:
        rate: float, the probability that an entry is set, independently of
            the others (the papers take exactly this share of each example).
        value: float, the value it is set to, in network units; by default -1,
            which is black.
        seed: int, of the noise in training; a random one by default.

    Raises:
        ValueError: for a rate outside [0, 1].

    Example:

    >>> layer = MaskingNoise(0.25)
    >>> x = layer.corrupt(tf.ones([8, 28, 28, 1]), seed=0)
    >>> bool(abs(tf.reduce_mean(x) - 0.5) < 0.1)  # a quarter is -1
    True

    References:
        Vincent et al. 2010, section 3.3: masking noise.
    """

    def __init__(
        self,
        rate: float,
        value: float = -1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = check_share("rate", rate)
        self.value = value

    def apply_noise(self, inputs: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        value = tf.cast(self.value, inputs.dtype)
        return tf.where(noise < self.rate, value, inputs)


@keras.saving.register_keras_serializable("vqvae_tf")
class GaussianCorruption(Corruption):
    """Adds normal noise to every entry, without clipping.

    Args:
        stddev: float, in network units, in which black and white differ by 2:
            0.5 is 63.75 grey levels.
        seed: int, of the noise in training; a random one by default.

    Raises:
        ValueError: for a negative stddev.

    Example:

    >>> layer = GaussianCorruption(0.5)
    >>> x = layer.corrupt(tf.zeros([8, 28, 28, 1]), seed=0)
    >>> bool(abs(tf.math.reduce_std(x) - 0.5) < 0.05)
    True

    References:
        Vincent et al. 2010, section 3.3: additive isotropic Gaussian noise.
    """

    def __init__(
        self, stddev: float, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = check_not_negative("stddev", stddev)

    def apply_noise(self, inputs: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return inputs + tf.cast(
            self.stddev * tf.math.ndtri(noise), inputs.dtype
        )


@keras.saving.register_keras_serializable("vqvae_tf")
class SaltAndPepperNoise(Corruption):
    """Sets a share of the entries to black or white at random.

    Args:
        rate: float, the probability that an entry is set, independently of
            the others; half of it for -1 and half for 1.
        seed: int, of the noise in training; a random one by default.

    Raises:
        ValueError: for a rate outside [0, 1].

    Example:

    >>> layer = SaltAndPepperNoise(1.0)
    >>> x = layer.corrupt(tf.zeros([2, 28, 28, 1]), seed=0)
    >>> sorted(set(x.numpy().ravel().tolist()))
    [-1.0, 1.0]

    References:
        Vincent et al. 2010, section 3.3: salt-and-pepper noise.
    """

    def __init__(
        self, rate: float, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = check_share("rate", rate)

    def apply_noise(self, inputs: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        extreme = tf.where(noise < self.rate / 2, -1.0, 1.0)
        return tf.where(
            noise < self.rate, tf.cast(extreme, inputs.dtype), inputs
        )
