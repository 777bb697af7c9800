"""Waveforms from log-mel frames, without a network."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.mel import MelFrames
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive, check_seed

# Updates that find the powers of frequencies given those of bands.
_POWER_STEPS = 30
# Keeps divisions finite; below all energies that can be heard.
_TINY = 1e-9


@keras.saving.register_keras_serializable("vqvae_tf")
class GriffinLim(MelFrames):
    """Finds waveforms whose log-mel frames come near to given ones.

    The powers of the frequencies are the non-negative ones whose bands come
    nearest to the frames' energies (multiplicative updates). The phases start
    at random and are projected, again and again and with momentum, onto those
    of a waveform. All frames are computed at once, many times faster than
    sample by sample; the result sounds rough and metallic.

    Args:
        sample_rate, num_mels, window, hop, low, high, floor: of the frames,
            as for `LogMel`; hop at most half of window.
        steps: int, how often the phases are projected; 32 by default.
        momentum: float in [0, 1), of the projections; 0.99 by default, 0 is
            the original algorithm of 1984.
        seed: int, of the first phases; 0 by default.

    Call arguments:
        frames: float `[batch, n, num_mels]`, natural logarithms. Frame f is
            of the samples from `f * hop - (window - hop) / 2` on.

    Returns:
        float32 `[batch, n * hop]`, clipped to [-1, 1].

    Raises:
        ValueError: for sizes that do not fit each other, a momentum outside
            [0, 1), or frames of another number of bands.

    Example: a tone is recovered.

    >>> tone = tf.sin(2 * np.pi * 1000 / 8000 * tf.range(2048.0))[None]
    >>> mels = vqvae_tf.layers.LogMel(8000, hop=64)
    >>> again = GriffinLim(8000, hop=64)
    >>> frames = mels(tf.pad(tone, [[0, 0], [96, 0]]))[:, :32]
    >>> found = again(frames)
    >>> found.shape
    TensorShape([1, 2048])
    >>> peak = int(tf.argmax(tf.abs(tf.signal.rfft(found[0]))))
    >>> 950 < peak * 8000 / 2048 < 1050  # as near as the bands can tell
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
        *args,
        steps: int = 32,
        momentum: float = 0.99,
        seed: int | None = 0,
        **kwargs,
    ):
        super().__init__(sample_rate, *args, **kwargs)
        if 2 * self.hop > self.window:
            raise ValueError(
                "hop must be at most half of window, or phases are not tied to "
                f"each other. Received: hop={self.hop}, window={self.window}."
            )
        self.steps = check_positive("steps", steps)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"momentum must be in [0, 1). Received: {momentum}."
            )
        self.momentum = float(momentum)
        self.seed = 0 if seed is None else check_seed(seed)
        # Frames of silence, so that each sample is in as many frames.
        self._beyond = -(-self.window // self.hop)

    def call(self, frames):
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
            told = tf.tensordot(powers, mixed, 1)
            powers *= target / tf.maximum(told, _TINY)
        return powers

    def _with_phases(self, magnitudes):
        seed = random.make_seed(self.seed)
        # The same ones for each row, whatever the batch.
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

    def compute_output_shape(self, input_shape):
        batch, count = input_shape[:2]
        return (batch, None if count is None else count * self.hop)

    def compute_output_spec(self, frames):
        return keras.KerasTensor(
            self.compute_output_shape(frames.shape), "float32"
        )

    def get_config(self):
        return {
            **super().get_config(),
            "steps": self.steps,
            "momentum": self.momentum,
            "seed": self.seed,
        }
