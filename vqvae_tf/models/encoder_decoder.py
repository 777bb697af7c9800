"""The bases of models that encode data and decode them again."""

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.preprocessing import CodeEmbedding, PixelScaling
from vqvae_tf.models.event_shapes import check_event
from vqvae_tf.runtime.batches import check_data
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel


class DataModel(Configured, StepModel):
    """A model of data with a decoder p(x | local context).

    Subclasses define how data become the decoder's context: `latents` and what
    follows it, `downsampling` and `rank`.

    Args:
        before: the parts before the decoder, by attribute. They come first,
            since optimizers and files keep variables in this order.
        decoder: a density p(x | local context).
        preprocess: a layer between data as stored and the first network;
            `PixelScaling()` by default.
        event_shape: the shape of one example; None for sizes that may vary.
    """

    def __init__(
        self,
        before: dict[str, Any],
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        preprocess = preprocess or PixelScaling()
        check_role(self, "decoder", decoder, "density")
        check_role(self, "preprocess", preprocess, "layer")
        for name, part in before.items():
            setattr(self, name, part)
        self.decoder = decoder
        self.preprocess = preprocess
        self.event_shape = tuple(event_shape)

    @property
    def downsampling(self) -> int:
        """The number of which every size of the data must be a multiple."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement downsampling."
        )

    def _rank(self):
        """The number of axes between batch and channels."""
        return len(self.event_shape) - 1

    def reconstruct(
        self,
        x: tf.Tensor | np.ndarray,
        context: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns `decode(encode(x))`, of the shape of x."""
        return self.decode(self.encode(x), context)

    def check_spec(self, spec: Any) -> None:
        self._check_event(spec)

    def check_input(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ValueError for implausible data; graphs check shapes only."""
        self._check_event(x)
        if tf.is_tensor(x) and not hasattr(x, "numpy"):
            return
        if hasattr(self.preprocess, "check"):
            self.preprocess.check(x)

    def _check_event(self, x):
        check_data(x, self.event_shape)
        check_event(
            tuple(x.shape),
            self.event_shape,
            self._rank(),
            self.downsampling,
        )

    def export_signature(self) -> list:
        coded = isinstance(self.preprocess, CodeEmbedding)
        dtype = tf.int32 if coded else tf.float32
        x = tf.TensorSpec([None, *self.event_shape], dtype, "x")
        return [x, *global_signature(self.decoder)]

    def decoder_context(
        self, context: dict[str, tf.Tensor] | None, local: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the decoder's context: latents and known entries of another.

        Args:
            context: the prior's, a dict or None; see
                `DensityModel.known_context`.
            local: quantized latents `[batch, *grid, channels]`.
        """
        known = self.decoder.known_context(context or {})
        return {**known, "local": local}


class EncoderDecoder(DataModel):
    """A model `x --preprocess--> --encoder--> latents ... --decoder--> x`.

    Subclasses define the part between latents and decoder.

    Args:
        encoder: maps preprocessed data to latents.
        decoder, preprocess, event_shape: as for `DataModel`.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        check_role(self, "encoder", encoder, "network")
        parts = (decoder, preprocess, event_shape)
        super().__init__({"encoder": encoder}, *parts, **kwargs)

    def latents(
        self,
        x: tf.Tensor | np.ndarray,
        training: bool = False,
        weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the encoder's output, float32 `[batch, *grid, channels]`.

        Args:
            x: data as stored.
            training: whether this is a training step.
            weight: float `[batch, *grid]`, `[batch]` or None; used only by an
                `Encoder` with `batch_norm`.
        """
        self._check_event(x)
        found = encoded(self.encoder, self.preprocess(x), training, weight)
        return tf.cast(found, tf.float32)

    @property
    def downsampling(self) -> int:
        """Ratio of data to latent sizes; 1 if the encoder does not say."""
        return getattr(self.encoder, "downsampling", 1)

    def _rank(self):
        return getattr(self.encoder, "rank", len(self.event_shape) - 1)


def encoded(
    encoder: keras.layers.Layer,
    x: tf.Tensor,
    training: bool | None,
    weight: tf.Tensor | None,
) -> tf.Tensor:
    """Returns an encoder's output.

    Args:
        encoder: a network.
        x: its input.
        training: whether this is a training step.
        weight: of the output's positions; see `EncoderDecoder.latents`.
    """
    return encoder(x, **call_options(encoder, training, weight))


def call_options(
    network: keras.layers.Layer,
    training: bool | None,
    weight: tf.Tensor | None,
) -> dict[str, Any]:
    """Returns the arguments of a network's call beside its input.

    Args:
        network: a network; `weight` is given to those that take one.
        training: whether this is a training step.
        weight: of the rows or positions of what it normalizes, or None.
    """
    takes = inspect.signature(network.call).parameters
    return {
        "training": training,
        **({"weight": weight} if "weight" in takes else {}),
    }


def global_signature(part: keras.layers.Layer) -> list:
    """Returns the spec of a part's context, [] without a global entry."""
    count = part.global_channels
    if count is None:
        return []
    return [{"global": tf.TensorSpec([None, count], tf.float32)}]
