"""A feed-forward decoder from latents to log-mel frames."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.griffin_lim import GriffinLim
from vqvae_tf.layers.inner_dense import InnerDense
from vqvae_tf.layers.mel import LogMel
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.utils.checks import check_not_negative, check_positive

# Initial bias of the frames: roughly the mean log energy of recordings with a
# peak of 1.
_TYPICAL = -2.5


@keras.saving.register_keras_serializable("vqvae_tf")
class SpectralDecoder(Configured, Composite):
    """Predicts the log-mel spectrogram from latents and optionally speakers.

    As an auxiliary decoder in training it forces the codes to carry spectral
    information, which a WaveNet, which sees the past samples, can ignore for a
    long time. As a fast decoder it converts its frames to waveforms. Each
    latent has one frame, centred on the latent's samples.

    Args:
        sample_rate: int, of the waveforms, in Hz.
        hop: int, samples per latent: the product of the encoder's strides;
            64 by default.
        window: int, samples per frame, at least hop, or twice that for
            waveforms; 256 by default.
        num_mels: int, M, the number of bands; 40 by default.
        channels: int, of the network's convolutions of window 3; 128 by
            default.
        dilation_rates: one per convolution; (1, 1) by default. Their sum is
            the number of latents on either side that a frame depends on.
        weight: float, of the loss; 1 by default.

    Attributes:
        mels: the `LogMel` whose frames are predicted.
        vocoder: a `GriffinLim` of these frames; None if the hop is more than
            half of the window.

    Call arguments:
        latents: float `[batch, n, channels]`.
        speakers: one-hot, float `[batch, S]`, or None.
        mask: float `[batch, n]`, 0 at padding, which is ignored; or None.

    Returns:
        float32 `[batch, n, M]`, natural logarithms as returned by `LogMel`.

    Raises:
        ValueError: for sizes below 1, no convolution, a window below hop, or a
            negative weight.

    Example:

    >>> layer = SpectralDecoder(sample_rate=8000, hop=64, channels=8)
    >>> latents, speakers = tf.zeros([2, 4, 16]), tf.one_hot([0, 2], 3)
    >>> layer(latents, speakers).shape
    TensorShape([2, 4, 40])
    >>> layer.errors(latents, speakers, tf.zeros([2, 256])).shape
    TensorShape([2])

    References:
        De Fauw et al. 2019, arXiv:1903.04933 (auxiliary decoders).
    """

    def __init__(
        self,
        sample_rate: int,
        hop: int = 64,
        window: int = 256,
        num_mels: int = 40,
        channels: int = 128,
        dilation_rates: tuple[int, ...] = (1, 1),
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mels = LogMel(
            sample_rate, num_mels, window, hop, name="mels", dtype="float32"
        )
        if self.mels.window < self.mels.hop:
            raise ValueError(
                "window must be at least hop, so that every sample is in a "
                f"frame. Received: window={window}, hop={hop}."
            )
        # A shorter window would not determine the phases.
        self.vocoder = None
        if 2 * self.mels.hop <= self.mels.window:
            sizes = self.mels.sizes()
            self.vocoder = GriffinLim(**sizes, name="vocoder", dtype="float32")
        self.channels = check_positive("channels", channels)
        self.weight = float(check_not_negative("weight", weight))
        self.dilation_rates = _check_dilation_rates(dilation_rates)
        self.convolutions = [
            keras.layers.Conv1D(
                channels,
                3,
                padding="same",
                activation="relu",
                dilation_rate=rate,
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            for i, rate in enumerate(self.dilation_rates)
        ]
        self.frames = InnerDense(
            num_mels,
            bias_initializer=keras.initializers.Constant(_TYPICAL),
            dtype=self.dtype_policy,
            name="frames",
        )

    def build(
        self,
        latents_shape: tuple[int | None, ...],
        speakers_shape: tuple[int | None, ...] | None = None,
        mask_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        count = 0 if speakers_shape is None else speakers_shape[-1]
        shape = (None, None, latents_shape[-1] + count)
        for layer in self.convolutions:
            layer.build(shape)
            shape = (None, None, self.channels)
        self.frames.build(shape)
        self.built = True

    def call(
        self,
        latents: tf.Tensor,
        speakers: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = latents
        if speakers is not None:
            speakers = tf.cast(speakers, x.dtype)[:, tf.newaxis]
            speakers = tf.repeat(speakers, tf.shape(x)[1], axis=1)
            x = tf.concat([x, speakers], axis=-1)
        if mask is None:
            mask = tf.ones(tf.shape(x)[:2])
        mask = tf.cast(mask, x.dtype)[..., tf.newaxis]
        for layer in self.convolutions:
            x = layer(x * mask)
        return tf.cast(self.frames(x), tf.float32)

    def targets(self, waveform: tf.Tensor) -> tf.Tensor:
        """Returns the frames centred on each latent's samples.

        Args:
            waveform: float `[batch, n * hop]`.

        Returns:
            float32 `[batch, n, M]`.
        """
        before = (self.mels.window - self.mels.hop) // 2
        count = tf.shape(waveform)[1] // self.mels.hop
        return self.mels(tf.pad(waveform, [[0, 0], [before, 0]]))[:, :count]

    def errors(
        self,
        latents: tf.Tensor,
        speakers: tf.Tensor | None,
        waveform: tf.Tensor,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the errors of the predicted frames of a waveform.

        Frames cut by the waveform's ends or by padding are ignored: their
        spectra are those of a click.

        Args:
            latents, speakers: as for a call.
            waveform: float `[batch, n * hop]`.
            mask: float `[batch, n]`, 0 at padding, or None.

        Returns:
            float32 `[batch]`, the squared difference of log energies, averaged
            over bands and whole frames; 0 if there is no whole frame.
        """
        if mask is None:
            mask = tf.ones(tf.shape(latents)[:2])
        error = self(latents, speakers, mask) - self.targets(waveform)
        error = tf.reduce_mean(error**2, axis=-1)
        whole = self.whole_frames(mask)
        return tf.math.divide_no_nan(
            tf.reduce_sum(error * whole, axis=1), tf.reduce_sum(whole, axis=1)
        )

    def waveform(
        self,
        latents: tf.Tensor,
        speakers: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the waveforms of latents, all samples at once.

        Args:
            latents, speakers: as for a call.
            mask: float `[batch, n]`, 0 at padding, which is at the end and is
                decoded to silence; or None.

        Returns:
            float32 `[batch, n * hop]` in [-1, 1].

        Raises:
            ValueError: if `vocoder` is None, since the hop is more than half
                of the window.
        """
        if self.vocoder is None:
            raise ValueError(
                "Waveforms need a hop of at most half of the window. "
                f"Received: hop={self.mels.hop}, window={self.mels.window}."
            )
        count = tf.shape(latents)[1]
        last = tf.fill([tf.shape(latents)[0], 1], count - 1)
        if mask is not None:
            last = tf.cast(tf.reduce_sum(mask, 1, keepdims=True), tf.int32) - 1
        # Frames cut by the ends are not trained, so the first and last latents
        # are repeated for as many frames. Beyond these there are no latents,
        # as in training.
        beyond = self._cut_frames()
        places = tf.range(-beyond, count + beyond)[tf.newaxis]
        present = tf.cast(places <= last + beyond, tf.float32)
        places = tf.maximum(tf.minimum(places, last), 0)
        latents = tf.gather(latents, places, batch_dims=1)
        frames = self(latents, speakers, present)[:, beyond : beyond + count]
        if mask is not None:
            silence = tf.math.log(self.mels.floor)
            frames = tf.where(mask[..., tf.newaxis] > 0, frames, silence)
        return self.vocoder(frames)

    def whole_frames(self, mask: tf.Tensor) -> tf.Tensor:
        """Returns which frames have no masked samples.

        Args:
            mask: float `[batch, n]`, 0 at padding.

        Returns:
            float32 `[batch, n]`.
        """
        beyond = self._cut_frames()
        absent = 1 - tf.cast(mask, tf.float32)[..., tf.newaxis]
        sides = [[0, 0], [beyond, beyond], [0, 0]]
        absent = tf.pad(absent, sides, constant_values=1.0)
        reach = 2 * beyond + 1
        return 1 - tf.nn.max_pool1d(absent, reach, 1, "VALID")[..., 0]

    def _cut_frames(self):
        """Returns the number of frames that extend beyond one end."""
        return -(-(self.mels.window - self.mels.hop) // (2 * self.mels.hop))

    def get_config(self) -> dict[str, Any]:
        names = ("sample_rate", "hop", "window", "num_mels")
        sizes = {name: getattr(self.mels, name) for name in names}
        return {**super().get_config(), **sizes}


def _check_dilation_rates(rates):
    rates = tuple(check_positive("dilation_rates", rate) for rate in rates)
    if not rates:
        raise ValueError(
            "dilation_rates must be given for at least one convolution. "
            "Received: ()."
        )
    return rates
