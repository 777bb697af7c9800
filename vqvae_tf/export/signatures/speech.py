"""The signatures of exported models of speech."""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.export.signatures.base import (
    Endpoints,
    as_score,
    at_least,
    finite_check,
)
from vqvae_tf.export.signatures.bounds import Bounds, product
from vqvae_tf.runtime import random
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.tensor_checks import Condition, checked

# In a version's folder, beside the warm-up requests. Clients need the speakers'
# numbers and the sample rate, which the signatures do not contain.
FACTS_FILE = pathlib.PurePath("assets.extra", "speech.json")


class SpeechEndpoints(Endpoints):
    """The signatures of a model of speech, with or without a prior.

    Below, B waveforms of T samples have n = ceil(T / stride) codes, with a
    last axis G for G > 1 codebooks. B, T and n are free.

    Args:
        generator: a `SpeechVQVAE`, or a `LatentGenerator` with one; built,
            and in float32.
        jit_sampling: whether XLA compiles the decoder's steps where the model
            runs, on the first request of each batch size.
        bounds: the limits of a request, by default `Bounds()`.

    Raises:
        ValueError: for a prior conditioned on anything but the speaker.

    Example:

    >>> model = vqvae_tf.SpeechVQVAE(
    ...     Encoder(8, hidden_channels=8, num_downsamples=2, rank=1),
    ...     vqvae_tf.VectorQuantizerEMA(num_embeddings=16, embedding_dim=8),
    ...     vqvae_tf.WaveformDensity(
    ...         vqvae_tf.WaveNet(
    ...             256, hidden_channels=8, num_stacks=1, layers_per_stack=3,
    ...             global_channels=2, local_channels=8, local_upsampling=4,
    ...         ),
    ...         vqvae_tf.MuLaw(256),
    ...     ),
    ...     speaker_names=["ann", "bob"],
    ... )
    >>> model.build()
    >>> endpoints = SpeechEndpoints(model)
    >>> sorted(endpoints.functions())
    ['convert', 'decode', 'encode']
    >>> endpoints.facts()["speaker_names"]
    ['ann', 'bob']
    """

    is_speech = True

    def __init__(
        self,
        generator: keras.Model,
        jit_sampling: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(generator, bounds)
        self.jit_sampling = jit_sampling
        self.names = self.autoencoder.speaker_names
        self.sample_rate = self.autoencoder.sample_rate
        _check_prior(self.prior, self.names)
        self.specs |= {
            "waveform": ([None, None], tf.float32),
            "sample_rate": ([], tf.int32),
            "codes": ([None, None, *self.groups], tf.int32),
            "speaker": ([None], tf.int32),
            "num_codes": ([], tf.int32),
        }

    def functions(self) -> dict:
        speaker = ["speaker"] if self.names else []
        heard, drawn = ["waveform", "sample_rate"], ["temperature", "seed"]
        functions = {
            "encode": (self.encode, heard),
            "decode": (self.decode, ["codes", *speaker, *drawn]),
        }
        # Without speakers there is no other voice.
        again = "convert" if self.names else "reconstruct"
        functions[again] = (self.convert, [*heard, *speaker, *drawn])
        if self.autoencoder.has_fast_decoder:
            functions["decode_fast"] = (self.decode_fast, ["codes", *speaker])
            functions[f"{again}_fast"] = (self.convert_fast, [*heard, *speaker])
        if self.prior is not None:
            sizes = ["num_samples", "num_codes"]
            functions["sample"] = (self.sample, [*sizes, *speaker, *drawn])
            functions["score"] = (self.score, [*heard, *speaker])
        return functions

    def signatures(self) -> dict:
        density = getattr(self.autoencoder.decoder, "density", None)
        before = getattr(density, "jit_sampling", None)
        if before is None:
            return super().signatures()
        density.jit_sampling = self.jit_sampling
        try:
            return super().signatures()
        finally:
            density.jit_sampling = before

    def example_values(self) -> dict:
        return {
            **super().example_values(),
            "waveform": np.zeros([1, self.factor], np.float32),
            "sample_rate": np.int32(self.sample_rate),
            "codes": np.zeros([1, 1, *self.groups], np.int32),
            "speaker": np.zeros([1], np.int32),
            "num_codes": np.int32(1),
        }

    def facts(self) -> dict:
        """Returns what clients need to know besides the signatures."""
        facts = {
            "sample_rate": self.sample_rate,
            "samples_per_code": self.factor,
            "num_embeddings": as_argument(self.quantizer.num_codes),
            "speaker_names": list(self.names),
        }
        if self.prior is not None:
            facts["num_codes"] = self.prior.event_shape[0]
        return facts

    def extra_files(self) -> dict:
        return {FACTS_FILE: json.dumps(self.facts(), indent=2) + "\n"}

    # Signatures ---------------------------------------------------------------

    def encode(
        self, waveform: tf.Tensor, sample_rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns `codes`, int32 `[B, n]`, of float32 `[B, T]` in [-1, 1]."""
        waveform = self._waveform(waveform, sample_rate)
        return {"codes": self.autoencoder.encode(waveform)}

    def decode(
        self,
        codes: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        speaker: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns `waveform`, float32 `[B, n * stride]`.

        Args:
            codes: int32 `[B, n]`.
            temperature: float32 scalar of the decoder, at least 0.
            seed: int32 scalar.
            speaker: if the model has speakers, int32 `[1]` or `[B]`.
        """
        return self._decode(codes, speaker, **self.drawing(temperature, seed))

    def convert(
        self,
        waveform: tf.Tensor,
        sample_rate: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        speaker: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns `waveform`, float32 `[B, T]`, encoded and decoded.

        Args:
            waveform: float32 `[B, T]` in [-1, 1].
            sample_rate: int32 scalar, in Hz.
            temperature, seed, speaker: same as for `decode`.
        """
        drawing = self.drawing(temperature, seed)
        return self._convert(waveform, sample_rate, speaker, **drawing)

    def decode_fast(
        self, codes: tf.Tensor, speaker: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Like `decode`, with the fast decoder: faster, at lower quality."""
        return self._decode(codes, speaker, fast=True)

    def convert_fast(
        self,
        waveform: tf.Tensor,
        sample_rate: tf.Tensor,
        speaker: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Like `convert`, with the fast decoder: faster, at lower quality."""
        return self._convert(waveform, sample_rate, speaker, fast=True)

    def _decode(self, codes, speaker, **options):
        codes = self.checked_codes(
            "codes", codes, self.quantizer, "row of codes"
        )
        context = self._context(speaker, tf.shape(codes)[0])
        return {"waveform": self.autoencoder.decode(codes, context, **options)}

    def _convert(self, waveform, sample_rate, speaker, **options):
        waveform = self._waveform(waveform, sample_rate)
        count, length = tf.unstack(tf.shape(waveform))
        context = self._context(speaker, count)
        again = self.autoencoder.reconstruct(
            waveform, context, length=length, **options
        )
        return {"waveform": again}

    def sample(
        self,
        num_samples: tf.Tensor,
        num_codes: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        speaker: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns `waveform` `[num_samples, num_codes * stride]`, and `codes`.

        Args:
            num_samples, num_codes: int32 scalars, at least 1.
            temperature: float32 scalar of prior and decoder, at least 0.
            seed: int32 scalar.
            speaker: if the model has speakers, int32 `[1]` or
                `[num_samples]`.
        """
        num_samples = at_least(1, "num_samples", num_samples)
        num_codes = at_least(1, "num_codes", num_codes)
        checks = (
            self.within("max_batch", num_samples, "examples"),
            self.decoded_within(product([num_samples, num_codes])),
        )
        num_samples = checked(num_samples, *checks)
        num_codes = checked(num_codes, *checks)
        context = self._context(speaker, num_samples)
        drawing = self.drawing(temperature, seed)
        # Like LatentGenerator.sample, which does not return the codes.
        seed = random.make_seed(drawing.pop("seed"))
        codes = self.prior.sample(
            num_samples,
            context if self.prior.global_channels else None,
            event_shape=(num_codes,),
            seed=random.fold_in(seed, 0),
            **drawing,
        )
        waveform = self.autoencoder.decode(
            codes, context, seed=random.fold_in(seed, 1), **drawing
        )
        return {"waveform": waveform, "codes": codes}

    def score(
        self,
        waveform: tf.Tensor,
        sample_rate: tf.Tensor,
        speaker: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns bits per sample, the bound and its parts, float32 `[B]`.

        Args:
            waveform: float32 `[B, T]` in [-1, 1].
            sample_rate: int32 scalar, in Hz.
            speaker: if the model has speakers, int32 `[1]` or `[B]`.
        """
        waveform = self._waveform(waveform, sample_rate)
        bits = self.generator.bits_per_dim(
            self.autoencoder.pad(waveform),
            self._context(speaker, tf.shape(waveform)[0]),
            mask=self.autoencoder.pad(tf.ones_like(waveform)),
        )
        return as_score(bits, "bits_per_sample")

    # Inputs -------------------------------------------------------------------

    def decoded_within(
        self, positions: tf.Tensor, factor: int | None = None
    ) -> Condition:
        samples = positions * (factor or self.factor)
        return self.within("max_samples", samples, "samples of waveforms")

    def _waveform(self, waveform, sample_rate):
        waveform = self.checked_shape("waveform", waveform)
        sample_rate = self.checked_shape("sample_rate", sample_rate)
        shape = tf.shape(waveform)
        some = tf.where(tf.math.is_finite(waveform), waveform, 0.0)
        extremes = tf.stack([tf.reduce_min(some), tf.reduce_max(some)])
        return checked(
            waveform,
            self.within("max_batch", shape[0], "examples"),
            self.within("max_samples", product(shape), "samples of waveforms"),
            (
                shape > 0,
                "Expected at least one waveform, and at least one sample. "
                "Received: waveform of shape",
                shape,
            ),
            finite_check("Samples", waveform),
            (
                tf.abs(some) <= 1,
                "Expected samples in [-1, 1]; divide 16-bit samples by 32768. "
                "Received: the smallest and the largest",
                extremes,
            ),
            (
                sample_rate == self.sample_rate,
                f"Expected a sample rate of {self.sample_rate} Hz; resample "
                "the waveform. Received: sample_rate =",
                sample_rate,
            ),
        )

    def _context(self, speaker, count):
        """Returns the context for int32 speakers `[1]` or `[count]`."""
        if speaker is None:
            return None
        size, names = len(self.names), ", ".join(self.names)
        speaker = self.one_or_each(
            *("speaker", speaker, count, size, ("speaker", "waveforms")),
            hint=f"The speakers are {names}. ",
        )
        return self.autoencoder.speaker_context(speaker)


def _check_prior(prior, names):
    channels = prior and prior.global_channels
    if channels not in (None, len(names)):
        raise ValueError(
            "Export supports priors of speech only if their global context is "
            f"absent or one of the model's {len(names)} speakers. Received: a "
            f"prior with global_channels={channels}."
        )
