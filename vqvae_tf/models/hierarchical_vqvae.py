"""VQ-VAE-2: codes on several grids, from coarse to fine."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.conditioning import (
    check_grid,
    check_same_batch,
    size_of,
)
from vqvae_tf.layers.local_upsampling import LocalUpsampling
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.models.code_level import CodeLevel, checked_levels
from vqvae_tf.models.code_model import CodeModel
from vqvae_tf.models.encoder_decoder import encoded
from vqvae_tf.models.level_priors import check_chain
from vqvae_tf.runtime.step import split_weight, total
from vqvae_tf.utils.checks import check_integer, check_share
from vqvae_tf.utils.code_levels import by_level, check_levels


@keras.saving.register_keras_serializable("vqvae_tf")
class HierarchicalVQVAE(CodeModel):
    """VQ-VAE-2: a VQ-VAE with codes on several grids (arXiv:1906.00446).

    The encoders follow each other from the data up: each takes the features of
    the one below. Codes are chosen from the top down: those of a level see its
    features and the decoded codes above it, so they need to carry only what
    these leave open. The decoder sees the quantized latents of all levels,
    brought to the lowest grid by transposed convolutions. The loss is
    `-log p(x | all codes) / D` plus the loss of every quantizer.

    Codes are dicts with an entry for each level, the top first: `"top"` and
    `"bottom"` for two, and `"middle"` between them for three.

    Args:
        levels: a `CodeLevel` for each grid, the top first, at least two.
        decoder: a density p(x | quantized) on the data's grid, as of `VQVAE`;
            its input has the channels of all quantizers it sees.
        preprocess: a layer between data as stored and the lowest encoder;
            `PixelScaling()` by default.
        event_shape: as for `VQVAE`.
        decoder_levels: int, how many levels the decoder sees, counted from
            below; all by default. The paper leaves this open for three levels.
        level_dropout: float, the share of examples in training of whose levels
            the decoder sees only the upper 1 to L, drawn uniformly. Then
            `decode` of the upper codes alone gives a picture; without it (0,
            the default, as in the paper) it was never trained to.
        seed: int, of `level_dropout`; a random one by default.

    Data, errors and metrics: same as for `VQVAE`, except that the metrics of a
    quantizer have its level in front: `top_perplexity`, `bottom_usage`.

    Example:

    >>> level = dict(hidden_channels=32, num_residual_layers=1)
    >>> model = HierarchicalVQVAE(
    ...     [
    ...         CodeLevel(
    ...             Encoder(None, num_downsamples=1, **level),
    ...             VectorQuantizerEMA(64, 16),
    ...             Decoder(16, num_upsamples=1, **level),
    ...         ),
    ...         CodeLevel(Encoder(None, **level), VectorQuantizerEMA(64, 16)),
    ...     ],
    ...     FactorizedDensity(Decoder(3, **level), Gaussian()),
    ... )
    >>> codes = model.encode(tf.zeros([2, 32, 32, 3], tf.uint8))
    >>> {name: tuple(grid.shape) for name, grid in codes.items()}
    {'top': (2, 4, 4), 'bottom': (2, 8, 8)}
    >>> model.decode({"top": codes["top"]}).shape  # the coarse grid alone
    TensorShape([2, 32, 32, 3])

    References:
        Razavi et al. 2019, arXiv:1906.00446, section 3.1 and algorithm 1.
    """

    parts = ("levels", "decoder", "preprocess")

    def __init__(
        self,
        levels: Sequence[CodeLevel],
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        decoder_levels: int | None = None,
        level_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        levels = checked_levels(levels)
        before = {"levels": levels}
        super().__init__(before, decoder, preprocess, event_shape, **kwargs)
        self.decoder_levels = decoder_levels
        if decoder_levels is not None:
            self.decoder_levels = check_integer(
                "decoder_levels", decoder_levels, 1, len(levels)
            )
        self.level_dropout = check_share("level_dropout", level_dropout)
        self.drop_levels = RowNoise(
            seed, noisy=bool(level_dropout), name="drop_levels"
        )
        self.seed = self.drop_levels.seed
        factors = self.downsamplings()
        self.upsamplings = [
            LocalUpsampling(
                factors[name] // factors["bottom"],
                level.quantizer.channels,
                level.quantizer.channels,
                rank=self._rank(),
                activation=None,
                dtype=self.dtype_policy,
                name=f"upsample_{name}",
            )
            for name, level in self.shown_levels().items()
            if name != "bottom"
        ]

    # Levels -----------------------------------------------------------------

    def _named(self):
        return by_level(self.levels)

    def _rank(self):
        rank = len(self.event_shape) - 1
        return getattr(self.levels[-1].encoder, "rank", rank)

    def shown_levels(self) -> dict[str, CodeLevel]:
        """Returns the levels that the decoder sees, by name."""
        count = self.decoder_levels or len(self.levels)
        return dict(list(self._named().items())[-count:])

    def quantizers(self) -> dict[str, keras.layers.Layer]:
        return {name: level.quantizer for name, level in self._named().items()}

    def downsamplings(self) -> dict[str, int]:
        factor, found = 1, {}
        for name, level in reversed(self._named().items()):
            factor *= level.encoder.downsampling
            found[name] = factor
        return dict(reversed(found.items()))

    @property
    def downsampling(self) -> int:
        """Ratio of data to the top's sizes, of which they are multiples."""
        return max(self.downsamplings().values())

    # Building and calling ---------------------------------------------------

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        quantized = self._from_the_top(
            self._features(self.preprocess(x)),
            lambda name, quantizer, z: quantizer(z),
        )
        self.decoder(x, context={"local": self._local(quantized)})
        self.drop_levels.built = True
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        local, _, _ = self.quantized_latents(x, training=training)
        return self.decoder.mode({**(context or {}), "local": local})

    def _features(self, x, training=None, weights=None, losses=None):
        """Returns the features of each level, by name, from below.

        Args:
            x: preprocessed data.
            training: whether this is a training step.
            weights: of each level's positions, or None.
            losses: a list that gets those of the encoders, or None.
        """
        found = {}
        for name, level in reversed(self._named().items()):
            weight = None if weights is None else weights[name]
            x = encoded(level.encoder, x, training, weight)
            found[name] = x
            if losses is not None:
                losses.extend(level.encoder.losses)
        return found

    def _from_the_top(self, features, quantize, masks=None, losses=None):
        """Returns the quantized latents of each level, by name.

        Args:
            features: from `_features`.
            quantize: a function of a level's name, quantizer and latents.
            masks: of each level, 0 at padding; or None.
            losses: a list that gets those of the levels' decoders, or None.
        """
        above, found = None, {}
        for name, level in self._named().items():
            z = level.latents(features[name], above)
            quantized = quantize(name, level.quantizer, z)
            if masks is not None:
                # Convolutions see neighbouring positions.
                quantized *= masks[name][..., tf.newaxis]
            found[name] = quantized
            above = level.below(quantized, above)
            if losses is not None and level.decoder is not None:
                losses.extend(level.decoder.losses)
        return found

    def _local(self, quantized, masks=None):
        """Joins quantized latents on the lowest grid."""
        names = [name for name in self.shown_levels() if name != "bottom"]
        joined = [
            keras.ops.cast(upsampling(quantized[name]), "float32")
            for name, upsampling in zip(names, self.upsamplings)
        ]
        local = keras.ops.concatenate([*joined, quantized["bottom"]], axis=-1)
        if masks is not None:
            local *= masks["bottom"][..., tf.newaxis]
        return local

    # Training ---------------------------------------------------------------

    def quantized_latents(
        self,
        x: tf.Tensor,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | None, dict]:
        self._check_event(x)
        mask, share = split_weight(weight)
        masks = None if mask is None else self.code_mask(mask)
        weights = masks or {name: share for name in self._named()}
        losses, x = [], self.preprocess(x)
        # Read at once, here and below: during a quantizer's collective the
        # threads of other replicas run, whose calls replace layers' losses.
        others = list(self.preprocess.losses)
        features = self._features(x, training, weights, others)

        def quantize(name, quantizer, z):
            found = quantizer(z, training=training, mask=weights[name])
            losses.extend(quantizer.losses)
            # Without the mask that Keras would pass on.
            return tf.identity(found)

        quantized = self._from_the_top(features, quantize, masks, others)
        if training and self.level_dropout:
            quantized = self._dropped(quantized)
        costs = {"quantizer": total(losses), "regularization": total(others)}
        return self._local(quantized, masks), weights["bottom"], costs

    def _dropped(self, quantized):
        """Sets lower levels of some examples to 0, of those that are shown."""
        examples = tf.shape(quantized["top"])[0]
        u = self.drop_levels.uniform(
            [examples, 2], self.drop_levels.next_seed()
        )
        count = len(self.shown_levels())
        hidden = len(self.levels) - count
        kept = 1 + tf.cast(u[:, 0] * count, tf.int32)
        kept = tf.where(u[:, 1] < self.level_dropout, kept, count)
        axes = (1,) * (self._rank() + 1)
        return {
            name: latents
            * tf.reshape(tf.cast(i - hidden < kept, latents.dtype), [-1, *axes])
            for i, (name, latents) in enumerate(quantized.items())
        }

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        owners = {
            id(metric): (level, f"{quantizer.name}_")
            for level, quantizer in self.quantizers().items()
            for metric in quantizer.metrics
        }
        results = {}
        for metric in self.metrics:
            level, prefix = owners.get(id(metric), ("", ""))
            found = metric.result()
            if not isinstance(found, dict):
                found = {metric.name: found}
            for name, value in found.items():
                if level:
                    name = f"{level}_{name.removeprefix(prefix)}"
                results[name] = value
        return results

    # Encoding and decoding --------------------------------------------------

    def codes_of(
        self, x: tf.Tensor, mask: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        self._check_event(x)
        codes, masks = {}, None if mask is None else self.code_mask(mask)

        def quantize(name, quantizer, z):
            codes[name] = quantizer.encode(z)
            return quantizer.decode(codes[name])

        features = self._features(self.preprocess(x))
        self._from_the_top(features, quantize, masks)
        return codes

    def encode(self, x: tf.Tensor | np.ndarray) -> dict[str, tf.Tensor]:
        """Returns the codes of data.

        Args:
            x: `[batch, height, width, channels]` in 0..255.

        Returns:
            A dict of int32 `[batch, *grid]` by level, the top first; with a
            last axis G for G > 1 codebooks.
        """
        return super().encode(x)

    def decode(
        self,
        codes: dict[str, tf.Tensor | np.ndarray],
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the decoder's point estimate of the data given codes.

        Args:
            codes: a dict of integers by level, as `encode` returns it. Levels
                that are missing count as zeros; see `level_dropout`.
            context: further context of the decoder, or None.

        Returns:
            `[batch, height, width, channels]`, uint8 for pictures.

        Raises:
            ValueError: for unknown levels, none, and grids that do not fit
                (`InvalidArgumentError` in graphs of unknown sizes).
        """
        return super().decode(codes, context)

    def local_of(
        self,
        codes: dict[str, tf.Tensor | np.ndarray],
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        masks = None if mask is None else self.code_mask(mask)
        quantized, factors = self._looked_up(codes), self.downsamplings()
        first, one = next(iter(quantized.items()))
        axes = range(1, len(one.shape) - 1)
        sizes = [size_of(one, axis) * factors[first] for axis in axes]
        for name, quantizer in self.quantizers().items():
            factor = factors[name]
            if name in quantized:
                own = check_grid(
                    quantized[name], factor, sizes, f'codes["{name}"]'
                )
                check_same_batch(f'codes["{name}"]', own, first, one)
            else:
                grid = [_divided(size, factor, first) for size in sizes]
                shape = [size_of(one, 0), *grid, quantizer.channels]
                own = tf.zeros(shape)
            if masks is not None:
                own *= masks[name][..., tf.newaxis]
            quantized[name] = own
        return self._local(quantized, masks)

    def _looked_up(self, codes):
        """Returns the quantized latents of codes, by level."""
        quantizers = self.quantizers()
        check_levels("Codes", codes, quantizers)
        found, rank = {}, self._rank()
        for name in (level for level in quantizers if level in codes):
            own = codes[name]
            found[name] = quantizers[name].decode(own)
            shape = found[name].shape
            if len(shape) != rank + 2 or 0 in shape:
                raise ValueError(
                    f"Codes of a level must have shape [batch, *grid] with "
                    f"{rank} grid axes (and a last axis for several "
                    f"codebooks). Received: {name} of shape "
                    f"{tuple(tf.convert_to_tensor(own).shape)}."
                )
        return found

    def check_prior(self, prior: keras.Model) -> None:
        check_chain(prior, self.quantizers(), self.downsamplings())


def _divided(size, factor, name):
    """Returns a size of the data over a factor; they must divide."""
    if isinstance(size, int) and size % factor:
        raise ValueError(
            f"The codes of {name} are of data of size {size}, which is no "
            f"multiple of {factor}, the ratio to the grid of another level. "
            "Pass the codes of all levels, or of a larger grid."
        )
    return size // factor
