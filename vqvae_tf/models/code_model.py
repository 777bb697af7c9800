"""The base of models whose latents are codes."""

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import blank, counted_size
from vqvae_tf.models.encoder_decoder import DataModel
from vqvae_tf.runtime.step import examples, split_weight, total
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.units import bits

# Codes `[batch, *grid]`, or such codes by level.
Codes = tf.Tensor | dict[str, tf.Tensor]


class CodeModel(DataModel):
    """A model of data whose latents are codes, of one or of several grids.

    Subclasses define `quantizers` and `downsamplings` by grid;
    `quantized_latents`, which training needs; `codes_of` and `local_of`, which
    encoding and decoding need; and `code_mask`.
    """

    loss_names = ("loss", "reconstruction", "bits_per_dim", "quantizer_loss")

    # Methods, since Keras saves what properties return a second time.

    def quantizers(self) -> dict[str, keras.layers.Layer]:
        """The quantizer of each grid of codes; one grid is called "codes"."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement quantizers."
        )

    def downsamplings(self) -> dict[str, int]:
        """The ratio of the data's sizes to those of each grid of codes."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement downsamplings."
        )

    def quantized_latents(
        self,
        x: tf.Tensor,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | None, dict]:
        """Returns the decoder's input, and the losses of its computation.

        Args:
            x: data as stored.
            weight: the batch's sample weight `[batch]`, a mask `[batch,
                *sizes]`, or None.
            training: whether this is a training step.

        Returns:
            The quantized latents `[batch, *grid, channels]`, 0 at padding;
            their weights, float `[batch, *grid]`, `[batch]` or None; and a
            dict of scalars, `"quantizer"` and `"regularization"`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement quantized_latents."
        )

    def codes_of(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> Codes:
        """Returns the codes of valid data; `encode` checks them first.

        Args:
            x: data as stored.
            mask: float `[batch, *sizes]`, 0 at padding, or None.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement codes_of."
        )

    def local_of(
        self, codes: Codes, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the decoder's local context, `[batch, *grid, channels]`.

        Args:
            codes: as from `codes_of`.
            mask: as for `codes_of`; the context is 0 at padding.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement local_of."
        )

    def by_grid(self, codes: Codes) -> dict[str, tf.Tensor]:
        """Returns codes, or masks of codes, by the names of `quantizers`."""
        return codes if isinstance(codes, dict) else {"codes": codes}

    def as_codes(self, by_grid: dict) -> Codes:
        """Returns what `by_grid` was made of."""
        return by_grid.get("codes", by_grid)

    # Masks ------------------------------------------------------------------

    def code_mask(self, mask: tf.Tensor) -> Codes:
        """Returns the mask of codes: those with any unmasked position.

        Args:
            mask: float `[batch, *sizes]`, 0 at padding.

        Returns:
            float32 `[batch, *grid]`, or by level.
        """
        mask = tf.cast(mask, tf.float32)[..., tf.newaxis]
        found = {
            name: tf.nn.max_pool(mask, factor, factor, "VALID")[..., 0]
            for name, factor in self.downsamplings().items()
        }
        return self.as_codes(found)

    def known_codes(self, mask: tf.Tensor) -> Codes:
        """Returns which codes are those of known data alone.

        Args:
            mask: bool `[batch, *sizes]`, true where data are known.

        Returns:
            bool `[batch, *grid]`, or by level.
        """
        mask = tf.cast(mask[..., tf.newaxis], tf.float32)
        # Minimum pooling: a code is known if all of its data are.
        found = {
            name: -keras.ops.max_pool(-mask, factor, padding="valid")
            for name, factor in self.downsamplings().items()
        }
        return self.as_codes({k: v[..., 0] > 0.5 for k, v in found.items()})

    def latent_mask(self, mask: tf.Tensor) -> tf.Tensor:
        """Returns the mask of the decoder's local context; see `code_mask`."""
        return list(self.by_grid(self.code_mask(mask)).values())[-1]

    # Losses -----------------------------------------------------------------

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        mask, share = split_weight(weight)
        x = blank(x, mask)
        quantized, counted, costs = self.quantized_latents(x, weight, training)
        context = {**(context or {}), "local": quantized}
        size = counted_size(x, weight)
        nll = -tf.math.divide_no_nan(
            self.decoder.log_prob(x, context, mask=mask, training=training),
            size,
        )
        further, figures = self.further_losses(x, context, counted)
        metrics = self.code_metrics(
            nll, x, tf.shape(quantized)[1:-1], costs, share, mask
        )
        metrics |= figures
        extra = total([*costs.values(), *self.decoder.losses])
        return nll + further, extra, metrics

    def code_metrics(
        self,
        nll: tf.Tensor,
        x: tf.Tensor,
        grid: tf.Tensor,
        costs: dict,
        share: tf.Tensor | None,
        mask: tf.Tensor | None = None,
    ) -> dict:
        """Returns the metrics that all models of codes have.

        Args:
            nll: -log p(x | z_q) / D, nats, `[batch]`.
            x: data.
            grid: sizes of the decoder's local context, int32 `[rank]`.
            costs: as from `quantized_latents`.
            share: weight of each example, `[batch]`, or None.
            mask: float `[batch, *sizes]`, 0 at padding, or None.
        """
        reconstruction = bits(nll)
        code_bits = tf.math.divide_no_nan(
            self.code_bits(grid, mask), counted_size(x, mask)
        )
        return {
            "reconstruction": reconstruction,
            "bits_per_dim": reconstruction + code_bits,
            "quantizer_loss": (costs["quantizer"], examples(x, share)),
        }

    def further_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor],
        mask: tf.Tensor | None,
    ) -> tuple[tf.Tensor | float, dict]:
        """Returns further losses of a subclass, and their metrics.

        Args:
            x: data as stored.
            context: the decoder's, with the quantized latents as `"local"`.
            mask: of the latents, `[batch, *grid]` or `[batch]`, or None.

        Returns:
            A float32 `[batch]` or 0, and metrics as in `compute_losses`.
        """
        del x, context, mask
        return 0.0, {}

    def code_bits(
        self, grid: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the bits of one example's codes under a uniform prior.

        Args:
            grid: int32 `[rank]`, the sizes of the decoder's local context.
            mask: float `[batch, *sizes]` of the data, 0 at padding, or None.

        Returns:
            A float32 scalar, or `[batch]` with a mask.
        """
        factors, found = self.downsamplings(), 0.0
        masks = None if mask is None else self.by_grid(self.code_mask(mask))
        for name, quantizer in self.quantizers().items():
            ratio = factors[name] // min(factors.values())
            positions = tf.cast(tf.reduce_prod(grid // ratio), tf.float32)
            if masks is not None:
                own = masks[name]
                share = tf.reduce_mean(own, range(1, len(own.shape)))
                positions = positions * share
            found += positions * quantizer.bits_per_position
        return found

    # Encoding and decoding --------------------------------------------------

    def encode(self, x: tf.Tensor | np.ndarray) -> Codes:
        """Returns the codes of data.

        Args:
            x: `[batch, height, width, channels]` in 0..255.

        Returns:
            int32 `[batch, *grid]`, with a last axis G for G > 1 codebooks.
        """
        x = tf.convert_to_tensor(x)
        self.check_input(x)
        return self.codes_of(x)

    def decode(
        self,
        codes: Codes | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the decoder's point estimate of the data given codes.

        Args:
            codes: integers `[batch, *grid]`, or `[batch, *grid, G]`.
            context: further context of the decoder, or None.

        Returns:
            `[batch, height, width, channels]`, uint8 for pictures.
        """
        local = self.local_of(codes)
        return self.decoder.mode({**(context or {}), "local": local})

    def check_prior(self, prior: keras.Model) -> None:
        """Raises ValueError unless a density is one of this model's codes."""
        check_prior_of(prior, *self.quantizers().values())


def check_prior_of(
    prior: keras.Model, quantizer: keras.layers.Layer, name: str = "The prior"
) -> None:
    """Raises ValueError unless a density is one of a quantizer's codes.

    Args:
        prior: the density.
        quantizer: the quantizer.
        name: of the density, for the error.
    """
    for attribute in ("num_embeddings", "num_codebooks", "num_codes"):
        expected = getattr(quantizer, attribute)
        received = getattr(prior, attribute, expected)
        if received != expected:
            raise ValueError(
                f"{name} must be over the autoencoder's codes, with "
                f"{attribute}={expected}. Received: a prior with {attribute}="
                f"{received}. Make it with num_embeddings="
                f"{as_argument(quantizer.num_codes)} and num_codebooks="
                f"{quantizer.num_codebooks}."
            )
