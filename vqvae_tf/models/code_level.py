"""One level of a hierarchical VQ-VAE."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution
from vqvae_tf.runtime.freezing import Composite
from vqvae_tf.runtime.roles import check_role


@keras.saving.register_keras_serializable("vqvae_tf")
class CodeLevel(Configured, Composite):
    """One level of a `HierarchicalVQVAE`: its way up, its codes, its way down.

    Args:
        encoder: maps the features of the level below, or the preprocessed data,
            to those of this level, on a smaller grid: an `Encoder` with
            `output_channels=None`.
        quantizer: a `quantizers.Quantizer`.
        decoder: maps what is known at this level to the grid of the level
            below, whose codes are chosen given it: a `Decoder` with as many
            upsamplings as `encoder` has downsamplings; None for the lowest
            level.

    Example: 8x8 features of 32 channels become 4x4 codes.

    >>> level = CodeLevel(
    ...     Encoder(None, 32, num_downsamples=1),
    ...     VectorQuantizerEMA(64, 16),
    ...     Decoder(16, 32, num_upsamples=1),
    ... )
    >>> features = level.encoder(tf.zeros([1, 8, 8, 32]))
    >>> level.quantizer.encode(level.latents(features)).shape
    TensorShape([1, 4, 4])

    References:
        Razavi et al. 2019, arXiv:1906.00446, section 3.1.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        quantizer: keras.layers.Layer,
        decoder: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        check_role(self, "encoder", encoder, "network")
        check_role(self, "quantizer", quantizer, "quantizer")
        if decoder is not None:
            check_role(self, "decoder", decoder, "network")
        if not hasattr(encoder, "downsampling"):
            raise ValueError(
                "The encoder of a CodeLevel must have the attribute "
                "`downsampling`, how many times smaller its output is than its "
                f"input. Received: a {type(encoder).__name__} without it."
            )
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.projection = convolution(
            getattr(encoder, "rank", 2),
            quantizer.channels,
            1,
            dtype=self.dtype_policy,
            name="projection",
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        # Its layers are built by the model, which knows their inputs.
        self.built = True

    def latents(
        self, features: tf.Tensor, above: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns what is quantized, float32 `[batch, *grid, channels]`.

        Args:
            features: of this level, `[batch, *grid, C]`.
            above: what the level above knows, on this grid; or None.
        """
        found = self.projection(_joined(features, above))
        return keras.ops.cast(found, "float32")

    def below(
        self, quantized: tf.Tensor, above: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """Returns what the level below is told, on its grid.

        Args:
            quantized: quantized latents of this level.
            above: as for `latents`.
        """
        if self.decoder is None:
            return None
        return self.decoder(_joined(quantized, above))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("encoder", "quantizer", "decoder"):
            part = getattr(self, name)
            config[name] = keras.saving.serialize_keras_object(part)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict | None = None
    ) -> "CodeLevel":
        config = dict(config)
        for name in ("encoder", "quantizer", "decoder"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects
            )
        return cls(**config)


def _joined(own, above):
    """Concatenates along the channels, in the dtype of the first."""
    if above is None:
        return own
    above = keras.ops.cast(above, own.dtype)
    return keras.ops.concatenate([above, own], axis=-1)


def checked_levels(levels: Sequence[CodeLevel]) -> list[CodeLevel]:
    """Returns the levels as a list; raises ValueError if they do not fit."""
    levels = list(levels) if isinstance(levels, Sequence) else []
    if len(levels) < 2 or not all(isinstance(x, CodeLevel) for x in levels):
        raise ValueError(
            "levels must be a list of two or more CodeLevels, the top first. "
            f"Received: {[type(level).__name__ for level in levels]}; with one "
            "grid of codes, use a VQVAE."
        )
    for i, level in enumerate(levels):
        is_lowest = i == len(levels) - 1
        if (level.decoder is None) != is_lowest:
            raise ValueError(
                "Every CodeLevel but the lowest, which comes last, needs a "
                "decoder to the grid below. Received: "
                f"{'a decoder' if is_lowest else 'none'} for level {i}."
            )
        if not is_lowest:
            _check_way_down(level, i)
    names = [level.quantizer.name for level in levels]
    if len(set(names)) < len(names):
        raise ValueError(
            "Each level needs a quantizer of its own, with a name of its own. "
            f"Received: quantizers called {', '.join(names)}."
        )
    return levels


def _check_way_down(level, i):
    down = getattr(level.encoder, "downsampling", None)
    up = getattr(level.decoder, "upsampling", None)
    if None not in (down, up) and down != up:
        raise ValueError(
            "The decoder of a CodeLevel must lead back to the grid below: to "
            f"sizes as many times larger as its encoder makes them smaller. "
            f"Received: level {i} with an encoder of factor {down} and a "
            f"decoder of factor {up}."
        )
