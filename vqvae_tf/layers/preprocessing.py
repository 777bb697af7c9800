"""Preprocessing of stored data for the encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.code_sizes import first_rows


@keras.saving.register_keras_serializable("vqvae_tf")
class PixelScaling(keras.layers.Layer):
    """Scales stored pixels from 0..255 to -1..1.

    Call arguments:
        x: uint8 or float `[batch, *sizes, channels]` in 0..255.

    Returns:
        float32 of the same shape, `x / 127.5 - 1`.

    Example:

    >>> PixelScaling()(tf.constant([[0, 255]], tf.uint8)).numpy()
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, tf.float32) / 127.5 - 1.0

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(x.shape, "float32")

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def check(self, x: tf.Tensor | np.ndarray) -> None:
        """Checks the values of pixels.

        Args:
            x: an array or eager tensor of pixels.

        Raises:
            ValueError: for an empty batch, NaN or infinite values, and values
                outside 0..255; for fractions all within [-1, 1] (pictures that
                are already scaled), and for only zeros and ones, with some of
                each (binary pictures).
        """
        x = np.asarray(x)
        if x.size == 0:
            raise ValueError(
                "Expected at least one picture. Received: an array of shape "
                f"{x.shape}."
            )
        if not np.issubdtype(x.dtype, np.floating) and x.dtype.kind != "V":
            low, high = int(x.min()), int(x.max())
            if low < 0 or high > 255:
                raise _out_of_range(low, high)
            if (low, high) == (0, 1) or (x.dtype == bool and high):
                raise _binary(x)
            return
        x = x.astype(np.float32)
        low, high = float(x.min()), float(x.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ValueError(
                "Pixels must be finite numbers in 0..255. Received: "
                f"{np.count_nonzero(~np.isfinite(x))} NaN or infinite values."
            )
        if -1 <= low and high <= 1 and np.any(x != np.round(x)):
            raise ValueError(
                "Pixels are expected as stored, uint8 or float in 0..255; the "
                "model scales them itself. Received: float values in "
                f"[{low:.3g}, {high:.3g}], which looks like pictures scaled "
                "already. Pass the uint8 pictures, or multiply by 255."
            )
        if low < 0 or high > 255:
            raise _out_of_range(low, high)
        if (low, high) == (0, 1):
            raise _binary(x)


def _binary(x):
    return ValueError(
        "Pixels are expected in 0..255, where 1 is almost black. Received: "
        f"{x.dtype} values that are all 0 or 1, which looks like binary "
        "pictures. Multiply them by 255: x * 255 (for bool, "
        "x.astype('uint8') * 255)."
    )


def _out_of_range(low, high):
    return ValueError(
        "Pixels are expected in 0..255, uint8 or float. "
        f"Received: values in [{low:.6g}, {high:.6g}]."
    )


@keras.saving.register_keras_serializable("vqvae_tf")
class CodeEmbedding(Configured):
    """Embeds codes, as the input of a second VQ-VAE on top of another.

    Args:
        num_embeddings: int, K; codes are in 0..K-1. For codes of G codebooks a
            list, the K of each.
        embedding_dim: int, D, the size of an embedding.

    Call arguments:
        x: integers `[batch, *grid]`, with a last axis G for a list.

    Returns:
        float32 `[batch, *grid, D]`, or `[batch, *grid, G * D]`.

    Example:

    >>> CodeEmbedding(512, 16)(tf.zeros([1, 21, 21], tf.int32)).shape
    TensorShape([1, 21, 21, 16])
    """

    def __init__(
        self,
        num_embeddings: int | Sequence[int],
        embedding_dim: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self._is_list = np.iterable(num_embeddings)
        if self._is_list:
            self.num_embeddings = list(num_embeddings)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(int(np.sum(self.num_embeddings)), self.embedding_dim),
            initializer="random_normal",
            autocast=False,
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # The reshape makes the gradient dense: Keras clips sparse gradients
        # incorrectly if a row occurs more than once.
        table = tf.reshape(self.embeddings, [-1, self.embedding_dim])
        codes = tensor_checks.whole_numbers(x, self.num_embeddings, floats=True)
        if not self._is_list:
            return tf.cast(tf.gather(table, codes), tf.float32)
        count = len(self.num_embeddings)
        if codes.shape[-1] != count:
            raise ValueError(
                f"Codes must have a last axis of {count}, one for each "
                f"codebook. Received: codes of shape {tuple(codes.shape)}."
            )
        found = tf.gather(table, codes + first_rows(self.num_embeddings))
        shape = [*tf.unstack(tf.shape(codes)[:-1]), self._channels()]
        found = tf.reshape(tf.cast(found, tf.float32), shape)
        return tf.ensure_shape(found, self.compute_output_shape(codes.shape))

    def _channels(self):
        count = len(self.num_embeddings) if self._is_list else 1
        return count * self.embedding_dim

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        grid = input_shape[:-1] if self._is_list else input_shape
        return (*grid, self._channels())

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), "float32")

    def check(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError unless codes are integers in 0..K-1."""
        tensor_checks.whole_numbers(x, self.num_embeddings)
