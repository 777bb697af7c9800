"""The base of models with an encoder and a decoder."""

import keras
import tensorflow as tf

from vqvae_tf.layers.batch_norm import BatchNorm
from vqvae_tf.layers.preprocessing import CodeEmbedding, PixelScaling
from vqvae_tf.models.event_shapes import check_event
from vqvae_tf.runtime.batches import check_data
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel


class EncoderDecoder(StepModel):
    """A model `x --preprocess--> --encoder--> latents ... --decoder--> x`.

    Subclasses define what happens between latents and decoder.

    Args:
        encoder: maps preprocessed data to latents.
        decoder: a density p(x | local context).
        preprocess: a layer between data as stored and the encoder;
            `PixelScaling()` by default.
        event_shape: the shape of one example; None where a size may vary.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        **kwargs,
    ):
        super().__init__(**kwargs)
        preprocess = preprocess or PixelScaling()
        check_role(self, "encoder", encoder, "network")
        check_role(self, "decoder", decoder, "density")
        check_role(self, "preprocess", preprocess, "layer")
        self.encoder = encoder
        self.decoder = decoder
        self.preprocess = preprocess
        self.event_shape = tuple(event_shape)

    def latents(self, x, training=False, weight=None):
        """Returns the encoder's output, float32 `[batch, *grid, channels]`.

        Args:
            x: data as stored.
            training: whether a step is taken.
            weight: float `[batch, *grid]`, `[batch]` or None; only an
                `Encoder` with `batch_norm` uses it.
        """
        self._check_event(x)
        options = {"training": training}
        if isinstance(getattr(self.encoder, "norm", None), BatchNorm):
            options["weight"] = weight
        found = self.encoder(self.preprocess(x), **options)
        return tf.cast(found, tf.float32)

    def reconstruct(self, x, context=None):
        """Returns `decode(encode(x))`, of the shape of x."""
        return self.decode(self.encode(x), context)

    @property
    def downsampling(self) -> int:
        """Sizes of data over those of the latents; 1 for any Keras layer."""
        return getattr(self.encoder, "downsampling", 1)

    def _rank(self):
        """The number of axes between batch and channels."""
        return getattr(self.encoder, "rank", len(self.event_shape) - 1)

    def check_spec(self, spec):
        self._check_event(spec)

    def check_input(self, x):
        """Raises ValueError for data that cannot be meant; eager only."""
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

    def export_signature(self):
        coded = isinstance(self.preprocess, CodeEmbedding)
        x = [None, *self.event_shape]
        return [
            tf.TensorSpec(x, tf.int32 if coded else tf.float32, "x"),
            *global_signature(self.decoder),
        ]

    def decoder_context(self, context, local):
        """Returns the decoder's context: latents, and what it knows of others.

        Args:
            context: of the prior, a dict or None; see
                `DensityModel.known_context`.
            local: quantised latents `[batch, *grid, G * D]`.
        """
        known = self.decoder.known_context(context or {})
        return {**known, "local": local}

    # Saving -----------------------------------------------------------------

    def get_config(self):
        return {**super().get_config(), "event_shape": self.event_shape}


def global_signature(part) -> list:
    """Returns the spec of the context of a part that is told classes."""
    count = part.global_channels
    if count is None:
        return []
    return [{"global": tf.TensorSpec([None, count], tf.float32)}]
