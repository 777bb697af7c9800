"""An autoencoder and a prior over its codes, as one generative model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import DensityModel, blank, counted_size
from vqvae_tf.densities.sampling import Sampling, takes_sampling
from vqvae_tf.models.code_model import CodeModel
from vqvae_tf.models.encoder_decoder import global_signature
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import split_weight
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.units import LN2, bits


@keras.saving.register_keras_serializable("vqvae_tf")
class LatentGenerator(DensityModel):
    """`log p(x) >= log p(x | z_q(x)) + log p(z_q(x))`, and its samples.

    A density whose `log_prob` is a lower bound (Jensen's inequality;
    arXiv:1711.00937, section 3.2). The autoencoder and the prior are trained
    separately: first `autoencoder.fit` on data, then `prior.fit` on
    `autoencoder.encode(data)`.

    Args:
        autoencoder: a `VQVAE` or a `HierarchicalVQVAE`.
        prior: a density over its codes, for instance a `PixelCNN`; a
            `CodeChain` over those of several levels.

    Raises:
        ValueError: if the prior is not a density of the autoencoder's codes.

    A `LatentGenerator` can be the prior of another one, as a second stage:
    `LatentGenerator(vqvae, LatentGenerator(vqvae_of_its_codes, prior))`.

    Context is passed to both parts, `{"global": one-hot classes [batch, C]}`
    for a class-conditional prior; a decoder without `global_channels` gets
    none.

    Example:

    >>> generator = LatentGenerator.from_preset("vqvae_cifar10")
    >>> label = tf.one_hot([3, 5], 10)  # a cat and a dog
    >>> generator.sample(context={"global": label}, seed=0).shape
    TensorShape([2, 32, 32, 3])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, sections 3.2 and 3.3.
    """

    loss_names = ("loss", "bits_per_dim", "reconstruction_bits", "prior_bits")
    parts = ("autoencoder", "prior")
    exact_log_prob = False

    def __init__(
        self, autoencoder: keras.Model, prior: keras.Model, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        _check_fit(autoencoder, prior)
        self.autoencoder = autoencoder
        self.prior = prior

    @property
    def num_embeddings(self) -> int | None:
        """K if the data are themselves codes of a VQ-VAE, else None."""
        return getattr(self.autoencoder.decoder, "num_embeddings", None)

    @property
    def num_codebooks(self) -> int | None:
        """The number of codebooks if the data are codes, else None."""
        return getattr(self.autoencoder.decoder, "num_codebooks", None)

    @property
    def num_codes(self) -> tuple[int, ...] | None:
        """How many codes each codebook has if the data are codes, else None."""
        return getattr(self.autoencoder.decoder, "num_codes", None)

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of one example."""
        return self.autoencoder.event_shape

    @property
    def global_channels(self) -> int | None:
        """Channels of the prior's global context, None without one."""
        return self.prior.global_channels

    @property
    def _of_codes(self):
        return self.num_embeddings is not None

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        for part in (self.autoencoder, self.prior):
            if not part.built:
                part.build()
        self.built = True

    def call(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        return sum(self._log_probs(value, context, mask))

    def _log_probs(self, x, context, mask=None):
        """Returns log p(x | z_q) and log p(z_q), each float32 [batch]."""
        x = blank(x, mask)
        autoencoder, kept = self.autoencoder, None
        codes = autoencoder.codes_of(x, mask)
        local = autoencoder.local_of(codes, mask)
        if mask is not None:
            kept = autoencoder.code_mask(mask)
            # Codes of padding are not paid for, so none may depend on them.
            codes = tf.nest.map_structure(blank, codes, kept)
        full = autoencoder.decoder_context(context, local)
        return (
            autoencoder.decoder.log_prob(x, full, mask=mask),
            self.prior.log_prob(codes, self._of_prior(context), mask=kept),
        )

    def log_prob(
        self,
        value: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the bound on log p(value), float32 [batch] nats."""
        return super().log_prob(value, context, mask, training)

    def bits_per_dim(
        self,
        x: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the bound in bits per dimension, and its two parts.

        Args:
            x: data `[batch, *event]`, pictures in 0..255.
            context: as in the class, or None.
            mask: float `[batch, *sizes]`, 0 at padding, which is ignored.

        Returns:
            A dict of float32 [batch]: `"total"`, `"reconstruction"` and
            `"prior"` with total = reconstruction + prior.
        """
        self.check_input(x)
        reconstruction, prior = self._log_probs(x, context, mask)
        scale = bits(-1.0, counted_size(x, mask))
        return {
            "total": (reconstruction + prior) * scale,
            "reconstruction": reconstruction * scale,
            "prior": prior * scale,
        }

    @takes_sampling
    def sample(
        self,
        num_samples: int | tf.Tensor | None = None,
        context: dict[str, tf.Tensor] | None = None,
        event_shape: Sequence[int | tf.Tensor] | None = None,
        sampling: Sampling | None = None,
        decoder_temperature: float | tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws codes from the prior and decodes them.

        Args:
            num_samples: by default the batch of context or given.
            context: as in the class, or None.
            event_shape: the grid of codes, or a dict of those of each level;
                the prior's own by default.
            temperature, top_k, top_p: of the prior, and of a decoder that
                models codes.
            seed: an integer, or int32 [2].
            given: data `[batch, *event]` to complete.
            given_mask: bool `[batch, *sizes]`, true where `given` is kept. The
                rest of `given` is ignored: the encoder sees the mean of the
                kept data there. A code is kept if all of its data are.
            decoder_temperature: by default 0, the decoder's point estimate, as
                is usual for pictures; for an autoregressive decoder, which has
                none, the prior's temperature.

        Returns:
            Data `[num_samples, *event]`.
        """
        sampling = sampling.checked()
        of_codes = of_data = sampling._replace(given=None, given_mask=None)
        has_mode = self.autoencoder.decoder.has_mode
        if decoder_temperature is not None:
            of_data = of_data._replace(
                temperature=tensor_checks.temperature(
                    decoder_temperature, "decoder_temperature"
                )
            )
        elif has_mode:
            of_data = of_data._replace(temperature=0.0)
        given = None
        if sampling.given is not None:
            given, keep = self._check_given(sampling)
            codes, known = self._given_codes(given, keep)
            of_codes = of_codes._replace(given=codes, given_mask=known)
        of_codes = of_codes._replace(seed=random.fold_in(sampling.seed, 0))
        codes = self.prior.sample(
            num_samples,
            self._of_prior(context),
            event_shape,
            **of_codes._asdict(),
        )
        of_data = of_data._replace(seed=random.fold_in(sampling.seed, 1))
        draw = self._decode(codes, context, of_data)
        if given is None:
            return draw
        if given.dtype.is_floating and draw.dtype.is_integer:
            given = tf.round(given)
        return tf.where(keep[..., tf.newaxis], tf.cast(given, draw.dtype), draw)

    def _check_given(self, sampling):
        """Returns the data to complete, and bool `[batch, *sizes]`."""
        if self._of_codes:
            raise ValueError(
                "A model of codes cannot complete codes. Received: given, for "
                "a LatentGenerator whose data are codes."
            )
        given = tensor_checks.as_tensor("given", sampling.given)
        if len(given.shape) < 3:
            raise ValueError(
                "Only pictures [batch, height, width, channels] can be "
                "completed, not waveforms. Received: given of shape "
                f"{tuple(given.shape)}."
            )
        return given, _check_mask(sampling.given_mask, given)

    def _decode(self, codes, context, sampling):
        decoder = self.autoencoder.decoder
        local = self.autoencoder.local_of(codes)
        full = self.autoencoder.decoder_context(context, local)
        if decoder.has_mode:
            temperature = sampling.temperature
            if not tf.is_tensor(temperature) and temperature == 0:
                return decoder.mode(full)
            # Not for pixels.
            sampling = sampling._replace(top_k=None, top_p=None)
        return decoder.sample(context=full, **sampling._asdict())

    def _of_prior(self, context):
        """Returns the context without entries that are for the decoder only."""
        conditional = self.autoencoder.decoder.global_channels is not None
        if context and conditional and self.global_channels is None:
            return {k: v for k, v in context.items() if k != "global"} or None
        return context

    def _given_codes(self, given, given_mask):
        """Returns the codes of given data, and where they are known."""
        keep = given_mask[..., tf.newaxis]
        x = tf.where(keep, given, tf.zeros_like(given))
        self.check_input(x)
        x, mask = tf.cast(x, tf.float32), tf.cast(keep, tf.float32)
        axes = range(1, len(x.shape) - 1)
        mean = tf.math.divide_no_nan(
            tf.reduce_sum(x, axes, keepdims=True),
            tf.reduce_sum(mask, axes, keepdims=True),
        )
        x = tf.where(keep, x, mean)
        known = self.autoencoder.known_codes(given_mask)
        return self.autoencoder.codes_of(x), known

    def mode(self, context: dict[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Returns a seeded sample, since the prior's mode is intractable."""
        return self.sample(context=context, seed=0)

    def encode(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Returns the codes of data; see `VQVAE.encode`."""
        return self.autoencoder.encode(x)

    def decode(
        self,
        codes: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the data of codes; see `VQVAE.decode`."""
        return self.autoencoder.decode(codes, context)

    def reconstruct(
        self,
        x: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns `decode(encode(x))`."""
        return self.autoencoder.reconstruct(x, context)

    def export_signature(self) -> list:
        x = self.autoencoder.export_signature()[0]
        context = global_signature(self) or global_signature(
            self.autoencoder.decoder
        )
        return [x, *context]

    def check_spec(self, spec: Any) -> None:
        self.autoencoder.check_spec(spec)

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        self.autoencoder.check_input(x)

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        if training:
            raise RuntimeError(
                "A LatentGenerator is trained in two stages: fit its "
                "autoencoder on data, then its prior on "
                "autoencoder.encode(data). Received: a call of fit."
            )
        mask, _ = split_weight(weight)
        size = counted_size(x, weight)
        reconstruction, prior = (
            bits(-log_prob, size)
            for log_prob in self._log_probs(x, context, mask)
        )
        total = reconstruction + prior
        metrics = {
            "bits_per_dim": total,
            "reconstruction_bits": reconstruction,
            "prior_bits": prior,
        }
        return total * LN2, 0.0, metrics

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        # Not the quantizer's, which only its training updates.
        results = super().get_metrics_result()
        return {name: results[name] for name in self.loss_names}


def _check_fit(autoencoder, prior):
    """Raises ValueError unless the prior is over the autoencoder's codes."""
    has_codes = isinstance(autoencoder, CodeModel)
    if not has_codes or not isinstance(prior, DensityModel):
        raise ValueError(
            "A LatentGenerator needs (autoencoder, prior): a VQVAE and a "
            f"density over its codes. Received: {type(autoencoder).__name__} "
            f"and {type(prior).__name__}."
        )
    autoencoder.check_prior(prior)


def _check_mask(given_mask, given):
    """Returns the mask as bool; raises ValueError unless it fits `given`."""
    mask = tf.convert_to_tensor(given_mask)
    if not mask.shape.is_compatible_with(given.shape[:-1]):
        raise ValueError(
            "given_mask must have the shape of given without its channels, "
            f"{tuple(given.shape[:-1])}. Received: a mask of shape "
            f"{tuple(mask.shape)}."
        )
    return tf.cast(mask, tf.bool)
