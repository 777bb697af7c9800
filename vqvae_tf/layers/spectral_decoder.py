"""A feed-forward decoder of log-mel frames, beside one of waveforms."""

import keras
import tensorflow as tf

from vqvae_tf.checks import check_not_negative, check_positive
from vqvae_tf.layers.mel import LogMel


@keras.saving.register_keras_serializable("vqvae_tf")
class SpectralDecoder(keras.layers.Layer):
    """Tells the log-mel spectrogram from latents, and who speaks.

    An auxiliary decoder: while a model is trained, it asks of the codes what a
    WaveNet, which sees the past samples, can long do without. There is a frame
    for each latent, of the samples around those that the latent stands for.

    Args:
        sample_rate: of the waveforms, in Hz.
        hop: samples of a latent: the product of the encoder's strides.
        window: samples of a frame, at least hop.
        num_mels: bands, M.
        channels: of the network's two convolutions of window 3.
        weight: of the loss.

    Call arguments:
        latents: float `[batch, n, channels]`.
        speakers: one-hot, float `[batch, S]`, or None.

    Returns:
        float32 `[batch, n, M]`, natural logarithms as of `LogMel`.

    Raises:
        ValueError: for sizes below 1, a window below hop, or a negative weight.

    Example:

    >>> layer = SpectralDecoder(sample_rate=8000, hop=64, channels=8)
    >>> latents, speakers = tf.zeros([2, 4, 16]), tf.one_hot([0, 2], 3)
    >>> layer(latents, speakers).shape
    TensorShape([2, 4, 40])
    >>> layer.errors(latents, speakers, tf.zeros([2, 256])).shape
    TensorShape([2])

    References:
        De Fauw et al. 2019, arXiv:1903.04933, section 3 (auxiliary decoders).
    """

    def __init__(
        self,
        sample_rate,
        hop=64,
        window=256,
        num_mels=40,
        channels=128,
        weight=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mels = LogMel(
            sample_rate, num_mels, window, hop, name="mels", dtype="float32"
        )
        if self.mels.window < self.mels.hop:
            raise ValueError(
                "window must be at least hop, or samples are heard by no "
                f"frame. Received: window={window}, hop={hop}."
            )
        self.channels = check_positive("channels", channels)
        self.weight = float(check_not_negative("weight", weight))
        self.convolutions = [
            keras.layers.Conv1D(
                channels,
                3,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            for i in range(2)
        ]
        self.frames = keras.layers.Dense(
            num_mels, dtype=self.dtype_policy, name="frames"
        )

    def build(self, latents_shape, speakers_shape=None):
        told = 0 if speakers_shape is None else speakers_shape[-1]
        shape = (None, None, latents_shape[-1] + told)
        for layer in self.convolutions:
            layer.build(shape)
            shape = (None, None, self.channels)
        self.frames.build(shape)
        self.built = True

    def call(self, latents, speakers=None):
        x = latents
        if speakers is not None:
            told = tf.cast(speakers, x.dtype)[:, tf.newaxis]
            told = tf.repeat(told, tf.shape(x)[1], axis=1)
            x = tf.concat([x, told], axis=-1)
        for layer in self.convolutions:
            x = layer(x)
        return tf.cast(self.frames(x), tf.float32)

    def targets(self, waveform):
        """Returns the frames around each latent's samples.

        Args:
            waveform: float `[batch, n * hop]`.

        Returns:
            float32 `[batch, n, M]`.
        """
        before = (self.mels.window - self.mels.hop) // 2
        count = tf.shape(waveform)[1] // self.mels.hop
        return self.mels(tf.pad(waveform, [[0, 0], [before, 0]]))[:, :count]

    def errors(self, latents, speakers, waveform, mask=None):
        """Returns how far the frames are from those of a waveform.

        Args:
            latents, speakers: as of a call.
            waveform: float `[batch, n * hop]`.
            mask: float `[batch, n]`, 0 at padding, or None.

        Returns:
            float32 `[batch]`, the squared difference of log energies, the mean
            over bands and over the frames that are left in.
        """
        error = (self(latents, speakers) - self.targets(waveform)) ** 2
        error = tf.reduce_mean(error, axis=-1)
        if mask is None:
            mask = tf.ones_like(error)
        mask = tf.cast(mask, tf.float32)
        return tf.math.divide_no_nan(
            tf.reduce_sum(error * mask, axis=1), tf.reduce_sum(mask, axis=1)
        )

    def get_config(self):
        mels = self.mels
        return {
            **super().get_config(),
            "sample_rate": mels.sample_rate,
            "hop": mels.hop,
            "window": mels.window,
            "num_mels": mels.num_mels,
            "channels": self.channels,
            "weight": self.weight,
        }
