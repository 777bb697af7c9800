"""Mu-law companding: waveform levels that are finer at low amplitudes."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive


@keras.saving.register_keras_serializable("vqvae_tf")
class MuLaw(Configured):
    """Mu-law encoding of waveforms as levels 0..K-1, and decoding.

    `f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu)` with `mu = K - 1` spreads
    quiet samples over [-1, 1], and level `l` stands for the companded values
    closest to `2 l / mu - 1`. As a model's `preprocess`, the layer returns the
    companded waveform with a channel axis.

    Args:
        num_levels: int, K, at least 2; 256 by default.

    Call arguments:
        x: float `[batch, time]` in [-1, 1].

    Returns:
        float32 `[batch, time, 1]`, `compand(x)`.

    Example:

    >>> law = MuLaw(num_levels=256)
    >>> levels = law.encode(tf.constant([[-1.0, 0.0, 0.01, 1.0]]))
    >>> levels.numpy()
    array([[  0, 128, 157, 255]], dtype=int32)
    >>> law.decode([[0, 64, 192, 255]]).numpy().round(3)
    array([[-1.   , -0.058,  0.061,  1.   ]], dtype=float32)

    References:
        ITU-T G.711 (its continuous curve, with mu = 255).
        van den Oord et al. 2016, arXiv:1609.03499, section 2.2.
    """

    def __init__(self, num_levels: int = 256, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.num_levels = check_positive("num_levels", num_levels)
        if num_levels < 2:
            raise ValueError(
                f"num_levels must be at least 2. Received: {num_levels}."
            )

    @property
    def mu(self) -> float:
        return self.num_levels - 1.0

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.compand(x)[..., tf.newaxis]

    def compand(self, x: tf.Tensor) -> tf.Tensor:
        """Returns f(x), float32 in [-1, 1] of the waveform's shape."""
        x = tf.cast(x, tf.float32)
        size = tf.math.log1p(self.mu * tf.abs(x)) / np.log1p(self.mu)
        return tf.sign(x) * size

    def encode(self, waveform: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the levels of a waveform, int32 of its shape.

        Samples beyond -1 and 1 are clipped.

        Raises:
            ValueError: for NaN, in eager mode.
        """
        tensor_checks.check_finite("Waveforms", waveform)
        steps = (self.compand(waveform) + 1.0) * (0.5 * self.mu)
        steps = tf.clip_by_value(tf.round(steps), 0.0, self.mu)
        return tf.cast(steps, tf.int32)

    def decode(self, levels: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the waveform of levels, float32 of their shape in [-1, 1].

        Each level becomes the centre of its bin, before companding.

        Raises:
            ValueError: for levels outside 0..K-1; in a graph
                `InvalidArgumentError` when it runs.
        """
        # A table, since exp differs in the last bit between eager mode and XLA.
        y = np.linspace(-1.0, 1.0, self.num_levels)
        size = np.expm1(abs(y) * np.log1p(self.mu)) / self.mu
        table = np.clip(np.sign(y) * size, -1.0, 1.0)
        table = tf.constant(table, tf.float32)
        levels = tensor_checks.whole_numbers(levels, self.num_levels, "levels")
        return tf.gather(table, levels)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape, 1)

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), "float32")

    def check(self, x: tf.Tensor | np.ndarray) -> None:
        """Checks the values of a waveform.

        Args:
            x: an array or eager tensor, `[batch, time]`.

        Raises:
            ValueError: for integers, the wrong rank, an empty waveform, NaN or
                infinite values, and values outside [-1, 1].
        """
        x = np.asarray(x)
        self.check_rank(x)
        if x.dtype.kind not in "fV":
            raise ValueError(
                "Waveforms must be float, in [-1, 1]. Received: values of "
                f"dtype {x.dtype}. Divide 16-bit samples by 32768."
            )
        if x.size == 0:
            raise ValueError(
                "Expected at least one sample. Received: waveforms of shape "
                f"{x.shape}."
            )
        x = x.astype(np.float32)
        if not np.all(np.isfinite(x)):
            raise ValueError(
                "Waveforms must be finite numbers in [-1, 1]. Received: "
                f"{np.count_nonzero(~np.isfinite(x))} NaN or infinite values."
            )
        low, high = float(x.min()), float(x.max())
        if low < -1 or high > 1:
            raise ValueError(
                "Waveforms must be in [-1, 1]. Received: values in "
                f"[{low:.6g}, {high:.6g}]. Divide 16-bit samples by 32768, and "
                "clip or scale down loud recordings."
            )

    def check_rank(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError unless x has the axes [batch, time]."""
        if len(x.shape) != 2:
            raise ValueError(
                "Waveforms must have shape [batch, time] (mono). Received: "
                f"waveforms of shape {tuple(x.shape)}."
            )
