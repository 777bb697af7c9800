"""Log-mel spectrograms and their bands."""

import math
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.checks import check_positive

# At most 64 MiB of weights from frequencies to bands.
_MAX_WEIGHTS = 2**24


def frame_window(sample_rate: float) -> int:
    """Returns the power of two closest to the number of samples in 32 ms.

    Example:

    >>> frame_window(8000)
    256
    """
    return 2 ** round(math.log2(0.032 * sample_rate))


class MelFrames(Configured):
    """Base of layers with log-mel frames: their sizes and bands.

    Args:
        sample_rate: int, samples per second.
        num_mels: int, M, the number of bands; 40 by default.
        window: int, samples per frame; 256, the default, are 32 ms at 8 kHz.
        hop: int, samples from the start of one frame to that of the next; 64,
            the default, gives one frame per code of an encoder with six
            strides of 2.
        low: float, lower end of the first band in Hz; 40 by default.
        high: float, upper end of the last band in Hz; half of the sample rate
            by default.
        floor: float, added to the energies, so that the logarithm of silence
            is finite; 1e-5 by default. In windows of 256 samples a full-scale
            tone has an energy of about 4,000, and rounding to 16 bits adds
            2e-8; 0.9 % of the energies of spoken_digit's test recordings, at
            peaks of 1, are below 1e-5.

    Attributes:
        bands: float32 `[window // 2 + 1, M]`, the weights of the frequencies.

    Raises:
        ValueError: for incompatible sizes or frequencies, and for bands so
            narrow that they contain no frequency of the window.
    """

    def __init__(
        self,
        sample_rate: int,
        num_mels: int = 40,
        window: int = 256,
        hop: int = 64,
        low: float = 40.0,
        high: float | None = None,
        floor: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.sample_rate = check_positive("sample_rate", sample_rate)
        self.num_mels = check_positive("num_mels", num_mels)
        self.window = check_positive("window", window)
        self.hop = check_positive("hop", hop)
        self.low, self.high, self.floor = low, high, floor
        top = sample_rate / 2 if high is None else high
        if not 0 <= low < top <= sample_rate / 2:
            raise ValueError(
                "Frequencies must satisfy 0 <= low < high <= sample_rate / 2. "
                f"Received: low={low}, high={high}, sample_rate={sample_rate}."
            )
        if not floor > 0:
            raise ValueError(f"floor must be above 0. Received: {floor}.")
        self.bands = self._band_weights(top)

    def _band_weights(self, top):
        frequencies = self.window // 2 + 1
        if self.num_mels * frequencies > _MAX_WEIGHTS:
            raise ValueError(
                "num_mels bands of window // 2 + 1 frequencies must be at most "
                f"{_MAX_WEIGHTS:,} weights. Received: num_mels={self.num_mels}"
                f", window={self.window}."
            )
        with tf.init_scope():  # eager even while a graph is traced
            bands = tf.signal.linear_to_mel_weight_matrix(
                self.num_mels, frequencies, self.sample_rate, self.low, top
            ).numpy()
        empty = int((bands.sum(axis=0) == 0).sum())
        if empty:
            raise ValueError(
                f"{empty} bands contain no frequency of the window; use fewer "
                "bands, a longer window or a higher low. Received: "
                f"num_mels={self.num_mels}, window={self.window}, "
                f"low={self.low}."
            )
        return bands

    def sizes(self) -> dict[str, float | None]:
        """Returns the arguments that define the frames."""
        names = "sample_rate num_mels window hop low high floor".split()
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("vqvae_tf")
class LogMel(MelFrames):
    """Log energies in bands that are evenly spaced on the mel scale.

    Frame f is the power spectrum of samples `f * hop` to `f * hop + window - 1`
    under a Hann window, zero-padded at the end, summed over triangular bands
    that are evenly spaced in `m = 1127 ln(1 + Hz / 700)`.

    Args:
        sample_rate, num_mels, window, hop, low, high, floor: as for
            `MelFrames`; attributes and errors, too.

    Call arguments:
        waveform: float `[batch, time]`.

    Returns:
        float32 `[batch, ceil(time / hop), M]`, natural logarithms.

    Example:

    >>> layer = LogMel(sample_rate=8000)
    >>> mels = layer(tf.zeros([2, 3200]))
    >>> mels.shape, float(mels[0, 0, 0])
    (TensorShape([2, 50, 40]), -11.5129...)

    References:
        Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420.
    """

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        spectrum = tf.signal.stft(
            tf.cast(waveform, tf.float32),
            self.window,
            self.hop,
            self.window,
            pad_end=True,
        )
        power = tf.square(tf.math.real(spectrum))
        power += tf.square(tf.math.imag(spectrum))
        return tf.math.log(tf.tensordot(power, self.bands, 1) + self.floor)

    def frame_mask(self, mask: tf.Tensor) -> tf.Tensor:
        """Returns which frames start within the recordings.

        Args:
            mask: `[batch, time]`, 1 for samples and 0 for padding.

        Returns:
            `[batch, ceil(time / hop)]` of the same dtype.
        """
        return mask[:, :: self.hop]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        batch, time = input_shape
        frames = None if time is None else -(-time // self.hop)
        return (batch, frames, self.num_mels)

    def compute_output_spec(
        self, waveform: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(
            self.compute_output_shape(waveform.shape), "float32"
        )
