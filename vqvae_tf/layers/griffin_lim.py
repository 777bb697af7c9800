"""Waveforms from log-mel frames, without a neural network."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.mel import MelFrames
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive, check_seed

# Updates of the powers of frequencies, given those of bands.
_POWER_STEPS = 30
# Keeps divisions finite; far below audible energies.
_TINY = 1e-9


@keras.saving.register_keras_serializable("vqvae_tf")
class GriffinLim(MelFrames):
    """Approximately inverts log-mel frames to waveforms.

    The powers of the frequencies are the non-negative ones whose bands are
    closest to the frames' energies (by multiplicative updates). The phases
    start at random and are projected repeatedly, with momentum, onto those of
    a waveform. All frames are computed at once, much faster than sample by
    sample; the result sounds rough and metallic.

    Args:
        sample_rate, num_mels, window, hop, low, high, floor: of the frames,
            as for `LogMel`; hop at most half of window.
        steps: int, the number of projections of the phases; 32 by default.
        momentum: float in [0, 1), of the projections; 0.99 by default, 0 is
            the original algorithm of 1984.
        seed: int, of the initial phases; 0 by default.

    Call arguments:
        frames: float `[batch, n, num_mels]`, natural logarithms. Frame f
            starts at sample `f * hop - (window - hop) / 2`.

    Returns:
        float32 `[batch, n * hop]`, clipped to [-1, 1].

    Raises:
        ValueError: for incompatible sizes, a momentum outside [0, 1), or
            frames with the wrong number of bands.

    Example: recovering a tone.

    >>> tone = tf.sin(2 * np.pi * 1000 / 8000 * tf.range(2048.0))[None]
    >>> mels = vqvae_tf.layers.LogMel(8000, hop=64)
    >>> again = GriffinLim(8000, hop=64)
    >>> frames = mels(tf.pad(tone, [[0, 0], [96, 0]]))[:, :32]
    >>> found = again(frames)
    >>> found.shape
    TensorShape([1, 2048])
    >>> peak = int(tf.argmax(tf.abs(tf.signal.rfft(found[0]))))
    >>> 950 < peak * 8000 / 2048 < 1050  # within the bands' resolution
    True

    References:
        Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317.
        Perraudin et al. 2013, doi:10.1109/WASPAA.2013.6701851 (momentum).
        Lee and Seung 2001, "Algorithms for non-negative matrix
        factorization" (the updates).
    """

    def __init__(
        self,
        sample_rate: int,
        *args: Any,
        steps: int = 32,
        momentum: float = 0.99,
        seed: int | None = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(sample_rate, *args, **kwargs)
        if 2 * self.hop > self.window:
            raise ValueError(
                "hop must be at most half of window, so that frames overlap "
                "enough to determine the phases. Received: "
                f"hop={self.hop}, window={self.window}."
            )
        self.steps = check_positive("steps", steps)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"momentum must be in [0, 1). Received: {momentum}."
            )
        self.momentum = float(momentum)
        self.seed = 0 if seed is None else check_seed(seed)
        # Frames of silence at both ends, so that every sample is in equally
        # many frames.
        self._beyond = -(-self.window // self.hop)

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        shape = tuple(frames.shape)
        if len(shape) != 3 or shape[2] != self.num_mels:
            raise ValueError(
                f"Expected frames [batch, n, {self.num_mels}]. Received: "
                f"shape {shape}."
            )
        frames = tf.cast(frames, tf.float32)
        sides = [[0, 0], [self._beyond, self._beyond], [0, 0]]
        energies = tf.nn.relu(tf.exp(frames) - self.floor)
        magnitudes = tf.sqrt(self._powers(tf.pad(energies, sides)))
        spectrum = self._with_phases(magnitudes)
        first = self._beyond * self.hop
        first += (self.window - self.hop) // 2
        count = tf.shape(frames)[1] * self.hop
        waveform = self._waveform(spectrum)[:, first : first + count]
        return tf.clip_by_value(waveform, -1.0, 1.0)

    def _powers(self, energies):
        """Returns the frequencies' powers `[..., window / 2 + 1]`."""
        bands = tf.constant(self.bands)
        target = tf.tensordot(energies, bands, [[-1], [1]])
        mixed = tf.matmul(bands, bands, transpose_b=True)
        powers = target
        for _ in range(_POWER_STEPS):
            found = tf.tensordot(powers, mixed, 1)
            powers *= target / tf.maximum(found, _TINY)
        return powers

    def _with_phases(self, magnitudes):
        seed = random.make_seed(self.seed)
        # The same for each row, whatever the batch.
        angles = 2 * np.pi * random.uniform(tf.shape(magnitudes)[1:], seed)
        amplitudes = tf.complex(magnitudes, tf.zeros_like(magnitudes))

        def corrected(_, estimate, before):
            phase = estimate / tf.cast(
                tf.maximum(tf.abs(estimate), _TINY), tf.complex64
            )
            spectrum = self._spectrum(self._waveform(amplitudes * phase))
            spectrum = tf.ensure_shape(spectrum, amplitudes.shape)
            return 0, spectrum + self.momentum * (spectrum - before), spectrum

        estimate = amplitudes * tf.complex(tf.cos(angles), tf.sin(angles))
        _, estimate, _ = tf.while_loop(
            lambda *_: True,
            corrected,
            (0, estimate, tf.zeros_like(estimate)),
            maximum_iterations=self.steps,
        )
        size = tf.cast(tf.maximum(tf.abs(estimate), _TINY), tf.complex64)
        return amplitudes * estimate / size

    def _spectrum(self, waveform):
        return tf.signal.stft(waveform, self.window, self.hop, self.window)

    def _waveform(self, spectrum):
        inverse = tf.signal.inverse_stft_window_fn(self.hop)
        return tf.signal.inverse_stft(
            spectrum, self.window, self.hop, self.window, inverse
        )

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        batch, count = input_shape[:2]
        return (batch, None if count is None else count * self.hop)

    def compute_output_spec(
        self, frames: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(
            self.compute_output_shape(frames.shape), "float32"
        )
