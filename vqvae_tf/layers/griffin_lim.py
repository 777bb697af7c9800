"""Waveforms of log-mel frames, without a network."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.mel import LogMel
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_positive, check_seed

# Steps by which the frequencies' powers are found from the bands'.
_POWER_STEPS = 30
# Keeps divisions finite, below all energies that are heard.
_TINY = 1e-9


@keras.saving.register_keras_serializable("vqvae_tf")
class GriffinLim(keras.layers.Layer):
    """Finds waveforms whose log-mel frames are near to given ones.

    The powers of the frequencies are those, not negative, whose bands come
    nearest to the frames' energies (multiplicative updates); the phases, from
    random ones on, are made those of a waveform, again and again, with a
    momentum. All frames are done at once, so that it is many times faster than
    sample by sample; it sounds rough, as of a machine.

    Args:
        sample_rate, num_mels, window, hop, low, high, floor: as of the
            `LogMel` whose frames are given; hop at most half of window.
        steps: how often the phases are corrected.
        momentum: of the corrections; 0 is the original of 1984.
        seed: of the first phases, an integer.

    Call arguments:
        frames: float `[batch, n, num_mels]`, natural logarithms. Frame f is
            of the samples from `f * hop - (window - hop) / 2` on.

    Returns:
        float32 `[batch, n * hop]`, clipped to [-1, 1].

    Raises:
        ValueError: for sizes that do not fit each other, a momentum outside
            [0, 1), or frames of another number of bands.

    Example: a tone is heard again.

    >>> tone = tf.sin(2 * np.pi * 1000 / 8000 * tf.range(2048.0))[None]
    >>> mels, again = LogMel(8000, hop=64), GriffinLim(8000, hop=64)
    >>> frames = mels(tf.pad(tone, [[0, 0], [96, 0]]))[:, :32]
    >>> found = again(frames)
    >>> found.shape
    TensorShape([1, 2048])
    >>> peak = int(tf.argmax(tf.abs(tf.signal.rfft(found[0]))))
    >>> 950 < peak * 8000 / 2048 < 1050  # as near as bands can tell
    True

    References:
        Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317.
        Perraudin et al. 2013, doi:10.1109/WASPAA.2013.6701851 (momentum).
        Lee and Seung 2001, "Algorithms for non-negative matrix
        factorization" (the updates).
    """

    def __init__(
        self,
        sample_rate,
        num_mels=40,
        window=256,
        hop=64,
        low=40.0,
        high=None,
        floor=1e-5,
        steps=32,
        momentum=0.99,
        seed=0,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        sizes = (sample_rate, num_mels, window, hop, low, high, floor)
        self.mels = LogMel(*sizes, name="mels", dtype="float32")
        if 2 * self.mels.hop > self.mels.window:
            raise ValueError(
                "hop must be at most half of window, or phases are not tied to "
                f"each other. Received: hop={hop}, window={window}."
            )
        self.steps = check_positive("steps", steps)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"momentum must be in [0, 1). Received: {momentum}."
            )
        self.momentum = float(momentum)
        self.seed = 0 if seed is None else check_seed(seed)
        # Frames of silence, so that each sample is in as many frames.
        self._beyond = -(-self.mels.window // self.mels.hop)

    def build(self, frames_shape=None):
        self.mels.built = True  # it has no variables
        self.built = True

    def call(self, frames):
        shape = tuple(frames.shape)
        if len(shape) != 3 or shape[2] != self.mels.num_mels:
            raise ValueError(
                f"Expected frames [batch, n, {self.mels.num_mels}]. Received: "
                f"shape {shape}."
            )
        frames = tf.cast(frames, tf.float32)
        sides = [[0, 0], [self._beyond, self._beyond], [0, 0]]
        energies = tf.nn.relu(tf.exp(frames) - self.mels.floor)
        magnitudes = tf.sqrt(self._powers(tf.pad(energies, sides)))
        spectrum = self._with_phases(magnitudes)
        first = self._beyond * self.mels.hop
        first += (self.mels.window - self.mels.hop) // 2
        count = tf.shape(frames)[1] * self.mels.hop
        waveform = self._waveform(spectrum)[:, first : first + count]
        return tf.clip_by_value(waveform, -1.0, 1.0)

    def _powers(self, energies):
        """Returns the frequencies' powers `[..., window / 2 + 1]`."""
        bands = tf.constant(self.mels.bands)
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
        window, hop = self.mels.window, self.mels.hop
        return tf.signal.stft(waveform, window, hop, window)

    def _waveform(self, spectrum):
        window, hop = self.mels.window, self.mels.hop
        inverse = tf.signal.inverse_stft_window_fn(hop)
        return tf.signal.inverse_stft(spectrum, window, hop, window, inverse)

    def compute_output_shape(self, input_shape):
        batch, count = input_shape[:2]
        return (batch, None if count is None else count * self.mels.hop)

    def compute_output_spec(self, frames):
        return keras.KerasTensor(
            self.compute_output_shape(frames.shape), "float32"
        )

    def get_config(self):
        return {
            **super().get_config(),
            **self.mels.sizes(),
            "steps": self.steps,
            "momentum": self.momentum,
            "seed": self.seed,
        }
