"""The VQ-VAE of speech, whose decoder is conditioned on the speaker."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.conditioning import size_of
from vqvae_tf.layers.mu_law import MuLaw
from vqvae_tf.models import speakers
from vqvae_tf.models.speakers import Speaker
from vqvae_tf.models.vqvae import VQVAE
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.utils import checks, tensor_checks


@keras.saving.register_keras_serializable("vqvae_tf")
class SpeechVQVAE(VQVAE):
    """A `VQVAE` of mono waveforms, whose decoder is conditioned on the speaker.

    Codes need not carry the speaker's identity: decoded for another speaker,
    they become the same words in that voice.

    Args:
        encoder: an `Encoder` of `rank=1`.
        quantizer: as for `VQVAE`.
        decoder: a `WaveformDensity` with `local_upsampling` of the encoder's
            stride product, and with `global_channels` for speakers.
        preprocess: `MuLaw(256)` by default.
        event_shape: `(None,)`, any number of samples.
        sample_rate: of the waveforms, in Hz.
        speaker_names: one for each of the decoder's speakers; by default
            "0", "1", ...
        adversary: a `layers.LabelAdversary` with one class per speaker, which
            removes the speaker from the codes, or None. Metrics:
            `adversary_loss`, its cross-entropy in nats, and
            `adversary_accuracy`.
        auxiliary: a `layers.SpectralDecoder` of this sample rate, with the
            encoder's stride as `hop`, which forces the codes to carry spectral
            information that a WaveNet can ignore; or None. Metric:
            `spectral_error`.
        fast_decoder: another `layers.SpectralDecoder`, with a `vocoder`, for
            `fast=True`; by default the auxiliary decoder, if it has one. It
            learns to predict spectra from the codes without influencing them,
            so it may see a wider window of codes. Metric:
            `fast_spectral_error`.

    Data: `x` is float `[batch, time]` in [-1, 1]; batches are `(x,
    {"global": one-hot speakers [batch, S]})`, or with a mask `[batch, time]`,
    0 at padding, as sample weight. Presets of the zoo expect recordings with
    mean 0 and a peak of 1, as returned by `data.load_waveform`.

    Raises:
        ValueError: if the number of names is not the decoder's number of
            speakers; for an incompatible adversary, auxiliary or fast decoder;
            for an unknown or missing speaker; for codes or waveforms of the
            wrong rank.

    Example:

    >>> model = SpeechVQVAE(
    ...     Encoder(8, hidden_channels=8, num_downsamples=2, rank=1),
    ...     VectorQuantizerEMA(num_embeddings=16, embedding_dim=8),
    ...     WaveformDensity(
    ...         WaveNet(
    ...             256, hidden_channels=8, num_stacks=1, layers_per_stack=3,
    ...             global_channels=2, local_channels=8, local_upsampling=4,
    ...         ),
    ...         MuLaw(256),
    ...     ),
    ...     speaker_names=["ann", "bob"],
    ... )
    >>> waveform = tf.sin(tf.range(50.0))[None]
    >>> codes = model.encode(waveform)  # padded to 52 samples
    >>> codes.shape
    TensorShape([1, 13])
    >>> model.decode(codes, speaker="ann", length=50, seed=0).shape
    TensorShape([1, 50])
    >>> model.convert(waveform, "bob", seed=0).shape
    TensorShape([1, 50])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, section 4.3.
    """

    parts = (*VQVAE.parts, "adversary", "auxiliary", "fast_decoder")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        quantizer: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None,),
        sample_rate: int = 8000,
        speaker_names: Sequence[str] | None = None,
        adversary: keras.layers.Layer | None = None,
        auxiliary: keras.layers.Layer | None = None,
        fast_decoder: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        preprocess = preprocess or MuLaw(256)
        super().__init__(
            encoder, quantizer, decoder, preprocess, event_shape, **kwargs
        )
        self.sample_rate = checks.check_positive("sample_rate", sample_rate)
        count = decoder.global_channels or 0
        if speaker_names is None:
            speaker_names = [str(i) for i in range(count)]
        self.speaker_names = tuple(speaker_names)
        if len(self.speaker_names) != count:
            raise ValueError(
                f"The decoder has {count} speakers (global_channels). "
                f"Received: {len(self.speaker_names)} speaker_names."
            )
        self.adversary = adversary
        if adversary is not None:
            check_role(self, "adversary", adversary, "adversary")
            if adversary.num_classes != count:
                raise ValueError(
                    f"The adversary must have one class per speaker, {count}. "
                    f"Received: one of {adversary.num_classes} classes."
                )
        self.auxiliary = auxiliary
        self.fast_decoder = fast_decoder
        for name, part in self._spectral_decoders():
            check_role(self, f"{name} decoder", part, "spectral decoder")
            _check_spectral(name, part, self.sample_rate, self.stride)
        if fast_decoder is not None and fast_decoder.vocoder is None:
            raise ValueError(
                "The fast decoder's hop must be at most half of its window. "
                f"Received: window={fast_decoder.mels.window}."
            )
        self.add_metric_names(self.helper_names())

    @property
    def stride(self) -> int:
        """Samples per code."""
        return self.downsampling

    @property
    def has_fast_decoder(self) -> bool:
        """Whether `decode` supports `fast=True`."""
        return getattr(self._fast(), "vocoder", None) is not None

    def _fast(self):
        return self.fast_decoder or self.auxiliary

    def _spectral_decoders(self):
        """Returns those that are not None, as (name, layer)."""
        named = ("auxiliary", self.auxiliary), ("fast", self.fast_decoder)
        return [(name, part) for name, part in named if part is not None]

    @property
    def bits_per_second(self) -> float:
        """The codes' rate under a uniform prior."""
        bits = float(self.code_bits(tf.constant([1])))
        return bits * (self.sample_rate / self.stride)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        quantized = self.quantizer(self.encoder(self.preprocess(x)))
        self.decoder.build()
        if self.adversary is not None and not self.adversary.built:
            self.adversary.build(quantized.shape)
        for _, part in self._spectral_decoders():
            if not part.built:
                count = len(self.speaker_names)
                speakers_shape = (None, count) if count else None
                part.build(quantized.shape, speakers_shape)
        self.built = True

    def helper_names(self) -> list[str]:
        """Returns the names of the metrics that `further_losses` returns."""
        names = []
        if self.adversary is not None:
            names += ["adversary_loss", "adversary_accuracy"]
        if self.auxiliary is not None:
            names += ["spectral_error"]
        if self.fast_decoder is not None:
            names += ["fast_spectral_error"]
        return names

    def further_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor],
        mask: tf.Tensor | None,
    ) -> tuple[tf.Tensor | float, dict]:
        if mask is not None and len(mask.shape) < 2:
            mask = None
        loss, metrics = 0.0, {}
        latents, speaker = context["local"], context.get("global")
        if self.adversary is not None:
            found = self.adversary(latents, speaker, mask)
            loss += found[0]
            names = ("adversary_loss", "adversary_accuracy")
            metrics |= dict(zip(names, found))
        if self.auxiliary is not None:
            error = self.auxiliary.errors(latents, speaker, x, mask)
            loss += self.auxiliary.weight * error
            metrics["spectral_error"] = error
        if self.fast_decoder is not None:
            latents = tf.stop_gradient(latents)
            error = self.fast_decoder.errors(latents, speaker, x, mask)
            loss += self.fast_decoder.weight * error
            metrics["fast_spectral_error"] = error
        return loss, metrics

    def with_fast_decoder(
        self, fast_decoder: keras.layers.Layer
    ) -> "SpeechVQVAE":
        """Returns a model of the same parts with this fast decoder.

        Args:
            fast_decoder: as for the constructor; to be trained by
                `SpeechFastDecoder`.

        Raises:
            ValueError: as for the constructor.
        """
        parts = {part: getattr(self, part) for part in self.parts}
        parts["fast_decoder"] = fast_decoder
        config = self.get_config()
        config.pop("trainable_parts", None)  # the layers know it themselves
        model = type(self)(**{**config, **parts})
        model.build()
        return model

    def encode(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the codes of waveforms.

        Args:
            x: float `[batch, time]` in [-1, 1], of any length; zero-padded to
                a multiple of `stride`.

        Returns:
            int32 `[batch, n]`, or `[batch, n, G]`, n = ceil(time / stride).

        Raises:
            ValueError: for the wrong rank, integers, or values outside [-1, 1].
        """
        return super().encode(self.pad(x))

    def pad(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns waveforms, zero-padded to a multiple of `stride`."""
        x = tf.convert_to_tensor(x)
        self.preprocess.check_rank(x)
        missing = -size_of(x, 1) % self.stride
        return tf.pad(x, [[0, 0], [0, missing]])

    def decode(
        self,
        codes: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        speaker: Speaker | None = None,
        length: int | tf.Tensor | None = None,
        temperature: float | tf.Tensor = 1.0,
        seed: int | tf.Tensor = 0,
        fast: bool = False,
    ) -> tf.Tensor:
        """Decodes codes to waveforms in the voice of a speaker.

        Args:
            codes: integers `[batch, n]`, or `[batch, n, G]`.
            context: `{"global": one-hot speakers [batch, S]}`, or None.
            speaker: instead of the context: a name, a number, or a list with
                one for each row.
            length: samples to keep, by default all n * stride.
            temperature: divides the logits of the samples; a finite number
                of at least 0.
            seed: an integer, or int32 [2].
            fast: use the fast decoder and `GriffinLim` instead of sampling
                one value at a time: much faster, at lower quality. Temperature
                and seed are ignored.

        Returns:
            float32 `[batch, length]` in [-1, 1].

        Raises:
            ValueError: for codes of the wrong rank, an unknown speaker, both
                or neither of context and speaker, a length or temperature out
                of range, or `fast` without a fast decoder.
        """
        codes = tensor_checks.as_tensor("Codes", codes)
        local = self.quantizer.decode(codes)
        if len(local.shape) != 3:
            raise ValueError(
                "Codes of speech must have shape [batch, n], or [batch, n, G] "
                f"of G > 1 codebooks. Received: shape {tuple(codes.shape)}."
            )
        length = self._checked_length(length, codes.shape[1])
        given = speakers.context_of(
            context, speaker, self.speaker_names, tf.shape(codes)[0]
        )
        given["local"] = local
        if fast:
            return self.fast_waveform(given)[:, :length]
        waveform = self.decoder.sample(
            context=given, temperature=temperature, seed=seed
        )
        return waveform[:, :length]

    def fast_waveform(
        self, context: dict[str, tf.Tensor], mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Decodes with the fast decoder; see `decode`.

        Args:
            context: the decoder's, with quantized latents as `"local"`.
            mask: float `[batch, n]` of the latents, 0 at padding, or None.

        Returns:
            float32 `[batch, n * stride]` in [-1, 1].
        """
        if not self.has_fast_decoder:
            raise ValueError(
                "fast=True needs a fast decoder, or an auxiliary one whose hop "
                "is at most half of its window. Received: a model without one; "
                "train it with fast_decoder=SpectralDecoder(...), or decode "
                "with fast=False."
            )
        return self._fast().waveform(
            context["local"], context.get("global"), mask
        )

    def reconstruct(
        self,
        x: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        speaker: Speaker | None = None,
        **options: Any,
    ) -> tf.Tensor:
        """Encodes and decodes waveforms, keeping their length; see `decode`."""
        x = tf.convert_to_tensor(x)
        self.preprocess.check_rank(x)
        options.setdefault("length", size_of(x, 1))
        return self.decode(self.encode(x), context, speaker, **options)

    def convert(
        self,
        x: tf.Tensor | np.ndarray,
        speaker: Speaker,
        **options: Any,
    ) -> tf.Tensor:
        """Converts waveforms to the voice of another speaker.

        Args:
            x: float `[batch, time]` in [-1, 1].
            speaker: a name, a number, or a list with one for each row.
            options: temperature, seed and fast, as for `decode`.

        Returns:
            float32 `[batch, time]`.
        """
        return self.reconstruct(x, speaker=speaker, **options)

    def speaker_context(
        self, speaker: Speaker, batch: int | tf.Tensor = 1
    ) -> dict[str, tf.Tensor]:
        """Returns the decoder's context for a speaker.

        Args:
            speaker: a name, a number, or a list, integer array or tensor with
                one for each row.
            batch: the number of rows for a single speaker.

        Returns:
            `{"global": float32 [batch, S]}`, one-hot.

        Raises:
            ValueError: for an unknown speaker (`InvalidArgumentError` for a
                tensor in a graph).
        """
        return {"global": speakers.one_hot(speaker, self.speaker_names, batch)}

    def _checked_length(self, length, count):
        if length is None:
            return None
        if not tensor_checks.known(length):
            return tensor_checks.count("length", length)
        length = checks.check_positive("length", length)
        if count is not None and length > count * self.stride:
            raise ValueError(
                f"{count} codes are {count * self.stride} samples. "
                f"Received: length={length}."
            )
        return length


def _check_spectral(name, decoder, sample_rate, stride):
    mels = decoder.mels
    if (mels.sample_rate, mels.hop) != (sample_rate, stride):
        raise ValueError(
            f"The {name} decoder must have one frame per code: sample_rate="
            f"{sample_rate} and hop={stride}. Received: one with sample_rate="
            f"{mels.sample_rate} and hop={mels.hop}."
        )
