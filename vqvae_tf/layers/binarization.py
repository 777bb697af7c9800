"""Binary pictures, sampled from grey ones at every step."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.row_noise import RowNoise


@keras.saving.register_keras_serializable("vqvae_tf")
class Binarization(RowNoise):
    """Makes each pixel white with a probability given by its grey level.

    The "dynamic" binarization of MNIST: pixels are sampled again at every
    training step. Outside training they depend only on the call's `seed`.

    Args:
        seed: int, of the samples in training; a random one by default.

    Call arguments:
        x: uint8 or float `[batch, *sizes, channels]` in 0..255.
        training: bool, whether to sample with a new seed; False by default.
        seed: of the samples outside training, an integer or int32 [2]; 0 by
            default.

    Returns:
        float32 of the same shape, 0 or 255.

    Example:

    >>> Binarization()(tf.constant([[0, 255]], tf.uint8)).numpy()
    array([[  0., 255.]], dtype=float32)

    References:
        Burda et al. 2015, arXiv:1509.00519, section 5; Salakhutdinov and
        Murray 2008, "On the quantitative analysis of deep belief networks".
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **{"autocast": False, **kwargs})

    def call(
        self, x: tf.Tensor, training: bool = False, seed: int | tf.Tensor = 0
    ) -> tf.Tensor:
        x = tf.convert_to_tensor(x)
        noise = self.uniform(
            tf.shape(x), self.next_seed() if training else seed
        )
        white = noise * 255.0 < tf.cast(x, tf.float32)
        return tf.ensure_shape(tf.where(white, 255.0, 0.0), x.shape)

    def compute_output_spec(
        self,
        x: keras.KerasTensor,
        training: bool = False,
        seed: int | tf.Tensor = 0,
    ) -> keras.KerasTensor:
        return keras.KerasTensor(x.shape, "float32")

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)
