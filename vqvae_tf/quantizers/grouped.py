"""Grouped quantization: each group of channels has a quantizer of its own."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.quantizers.base import Quantizer
from vqvae_tf.quantizers.parts import from_configs, parts_of, to_configs
from vqvae_tf.quantizers.usage import joined


@keras.saving.register_keras_serializable("vqvae_tf")
class GroupedQuantizer(Quantizer):
    """Splits channels into groups, and quantizes each by its own quantizer.

    With a `ResidualQuantizer` for each this is the grouped residual
    quantization of HiFi-Codec. Any other quantizers will do, and also different
    ones, such as `FSQ` of some channels and `VectorQuantizerEMA` of the others.
    Their numbers of codes may differ.

    The loss is the mean of the groups' own. Gradients pass as each group's
    quantizer passes them.

    Args:
        quantizers: a `Quantizer`, which is copied, or a list of one for each
            group. The first takes the first channels, and so on.
        num_groups: int, how many groups a single quantizer is made for. Copies
            have seeds of their own; if they are residual, all drop the same
            stages.

    Attributes:
        quantizers: the list of quantizers.
        channels: the sum of theirs.
        num_codebooks: G, the sum of theirs.
        num_codes: theirs, one after the other.

    Call arguments:
        latents: float `[batch, ..., channels]`, of rank 2 or more.
        training, mask, return_codes: as for `Quantizer`, as are the returns.
            Codes have a last axis G if G > 1: all of the first group, then all
            of the second. `decode` takes -1 for single codes where the group's
            quantizer does: a `ResidualQuantizer` leaves out that stage, others
            make the group's channels 0.

    Raises:
        ValueError: for quantizers that do not fit together.

    Example: two groups of 32 channels, four stages each.

    >>> from vqvae_tf.quantizers import ResidualQuantizer, VectorQuantizerEMA
    >>> stages = ResidualQuantizer(VectorQuantizerEMA(256, 32), 4)
    >>> quantizer = GroupedQuantizer(stages, num_groups=2)
    >>> latents = tf.random.normal([2, 50, 64])
    >>> quantized, codes = quantizer(latents, return_codes=True)
    >>> quantized.shape, codes.shape
    (TensorShape([2, 50, 64]), TensorShape([2, 50, 8]))

    References:
        Yang et al. 2023, HiFi-Codec: Group-residual Vector quantization for
        High Fidelity Audio Codec, arXiv:2305.02765.
    """

    def __init__(
        self,
        quantizers: Quantizer | Sequence[Quantizer],
        num_groups: int | None = None,
        **kwargs: Any,
    ) -> None:
        parts = parts_of("quantizers", quantizers, "num_groups", num_groups)
        super().__init__(
            [size for part in parts for size in part.num_codes],
            sum(part.channels for part in parts),
            sum(part.num_codebooks for part in parts),
            **kwargs,
        )
        self.quantizers = parts

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        for part in self.quantizers:
            if not part.built:
                part.build((*input_shape[:-1], part.channels))

    # The space that is searched is a list, of each group's own.

    def to_search_space(self, z: tf.Tensor) -> list[tf.Tensor]:
        sizes = [part.channels for part in self.quantizers]
        return [
            part.to_search_space(own)
            for part, own in zip(self.quantizers, tf.split(z, sizes, axis=-1))
        ]

    def from_search_space(self, quantized: list[tf.Tensor]) -> tf.Tensor:
        return _joined(
            tf.reshape(part.from_search_space(own), [-1, part.channels])
            for part, own in zip(self.quantizers, quantized)
        )

    def quantize_vectors(
        self,
        z: list[tf.Tensor],
        weights: tf.Tensor | None,
        training: bool | None,
        examples: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor | None, tf.Tensor]:
        results = [
            part.quantize_vectors(own, weights, training, examples)
            for part, own in zip(self.quantizers, z)
        ]
        quantized, codes, counts, losses = zip(*results)
        if self._counts(training):
            counts = joined(counts, self.num_embeddings)
            self.usage_metric.update_state(counts)
        else:
            counts = None
        loss = tf.add_n(losses) / len(losses)
        return list(quantized), tf.concat(codes, axis=0), counts, loss

    def pass_gradients(
        self,
        z: list[tf.Tensor],
        quantized: list[tf.Tensor],
        training: bool | None,
    ) -> list[tf.Tensor]:
        return [
            part.pass_gradients(*own, training)
            for part, *own in zip(self.quantizers, z, quantized)
        ]

    def search(self, z: list[tf.Tensor]) -> tf.Tensor:
        found = [part.search(own) for part, own in zip(self.quantizers, z)]
        return tf.concat(found, axis=0)

    def look_up(self, codes: tf.Tensor) -> list[tf.Tensor]:
        return [
            part.look_up(own)
            for part, own in zip(self.quantizers, self._of_groups(codes))
        ]

    def vectors(self, codes: tf.Tensor) -> tf.Tensor:
        """As of `Quantizer`, but a code of -1 concerns its group alone."""
        return _joined(
            part.vectors(own)
            for part, own in zip(self.quantizers, self._of_groups(codes))
        )

    def _of_groups(self, codes):
        sizes = [part.num_codebooks for part in self.quantizers]
        return tf.split(codes, sizes, axis=0)

    # Configuration ------------------------------------------------------------

    def _channels_explained(self):
        sizes = " + ".join(str(part.channels) for part in self.quantizers)
        return f"{sizes} = {self.channels}"

    def get_config(self) -> dict[str, Any]:
        configs = to_configs(self.quantizers)
        return {**super().get_config(), "quantizers": configs}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict | None = None
    ) -> "GroupedQuantizer":
        parts = from_configs(config["quantizers"], custom_objects)
        return cls(**{**config, "quantizers": parts})


def _joined(vectors):
    return tf.concat(list(vectors), axis=-1)
