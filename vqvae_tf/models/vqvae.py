"""The VQ-VAE."""

import math

import keras
import tensorflow as tf

from vqvae_tf.densities.base import LN2, event_size
from vqvae_tf.layers.scaling import PixelScaling
from vqvae_tf.step import StepModel, total


@keras.saving.register_keras_serializable("vqvae_tf")
class VQVAE(StepModel):
    """Vector-quantised variational autoencoder (arXiv:1711.00937).

    `x --preprocess--> --encoder--> latents --quantizer--> quantized
    --decoder--> log p(x | quantized)`. The minimised loss is
    `-log p(x | z_q) / D`, in nats per data dimension, plus the quantizer's.

    Args:
        encoder: maps preprocessed data to latents; `networks.Encoder`.
        quantizer: `VectorQuantizer` or `VectorQuantizerEMA`.
        decoder: a density p(x | quantized), for instance
            `FactorizedDensity(Decoder(...), Gaussian())`.
        preprocess: a layer between data as stored and the encoder;
            `PixelScaling()` by default, `CodeEmbedding` for the codes of
            another VQ-VAE.
        event_shape: the shape of one example, `(height, width, channels)`
            for images; None where a size may vary. The channels must be
            known.

    Data: `x` are pictures as stored, uint8 or float in 0..255, `[batch,
    height, width, channels]`; batches are `x`, `(x, context)` or
    `(x, context, sample_weight)`.

    Metrics of fit and evaluate: `loss`; `reconstruction` (-log2 p(x | z_q) / D,
    bits per dimension); `bits_per_dim` (that plus the code's log2 K bits each,
    the paper's bound under a uniform prior); `quantizer_loss`; `perplexity`
    and `usage` over the epoch.

    Example:

    >>> model = VQVAE(
    ...     Encoder(output_channels=16, hidden_channels=32),
    ...     VectorQuantizerEMA(num_embeddings=64, embedding_dim=16),
    ...     FactorizedDensity(Decoder(3, hidden_channels=32), Gaussian()),
    ... )
    >>> model.compile("adam")
    >>> images = tf.zeros([8, 32, 32, 3], tf.uint8)
    >>> history = model.fit(images, batch_size=4, verbose=0)
    >>> codes = model.encode(images)
    >>> codes.shape
    TensorShape([8, 8, 8])
    >>> model.decode(codes).shape
    TensorShape([8, 32, 32, 3])

    References:
        van den Oord et al. 2017, arXiv:1711.00937, eq. 3.
    """

    loss_names = ("loss", "reconstruction", "bits_per_dim", "quantizer_loss")
    parts = ("encoder", "quantizer", "decoder", "preprocess")

    def __init__(
        self,
        encoder,
        quantizer,
        decoder,
        preprocess=None,
        event_shape=(None, None, 3),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.preprocess = preprocess or PixelScaling()
        self.event_shape = tuple(event_shape)

    # Building and calling ---------------------------------------------------

    def build(self, input_shape=None):
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        quantized = self.quantizer(self.encoder(self.preprocess(x)))
        self.decoder(x, context={"local": quantized})
        self.built = True

    def latents(self, x, training=False):
        """Returns the encoder's output, float32 `[batch, *grid, G * D]`."""
        self._check_event(x)
        return tf.cast(
            self.encoder(self.preprocess(x), training=training), tf.float32
        )

    def call(self, x, context=None, training=False):
        quantized = self.quantizer(self.latents(x, training), training=training)
        return self.decoder.mode({**(context or {}), "local": quantized})

    def compute_losses(self, x, context=None, weight=None, training=False):
        latents = self.latents(x, training)
        # Now: a quantizer with a collective lets other replicas' threads in,
        # whose calls replace the losses of these layers.
        regularization = [*self.preprocess.losses, *self.encoder.losses]
        quantized = self.quantizer(latents, training=training, mask=weight)
        # The identity drops the mask, which Keras hands on to the decoder.
        context = {**(context or {}), "local": tf.identity(quantized)}
        size = event_size(x)
        nll = -self.decoder.log_prob(x, context, training=training) / size
        quantizer_loss = total(self.quantizer.losses)
        extra = quantizer_loss + total(regularization + self.decoder.losses)
        reconstruction = nll / LN2
        code_bits = self.code_bits(tf.shape(latents)) / size
        if weight is None:
            weight = tf.ones([tf.shape(x)[0]])
        examples = tf.reduce_sum(tf.cast(weight, tf.float32))
        metrics = {
            "reconstruction": reconstruction,
            "bits_per_dim": reconstruction + code_bits,
            "quantizer_loss": (quantizer_loss, examples),
        }
        return nll, extra, metrics

    def code_bits(self, latents_shape):
        """Returns the bits of one example's codes under a uniform prior."""
        positions = tf.cast(tf.reduce_prod(latents_shape[1:-1]), tf.float32)
        bits = math.log2(self.quantizer.num_embeddings)
        return positions * self.quantizer.num_codebooks * bits

    def get_metrics_result(self):
        prefix = f"{self.quantizer.name}_"
        return {
            name.removeprefix(prefix): value
            for name, value in super().get_metrics_result().items()
        }

    # The public way in and out ----------------------------------------------

    def encode(self, x):
        """Returns the codes of data.

        Args:
            x: `[batch, height, width, channels]` in 0..255.

        Returns:
            int32 `[batch, *grid]`, with a last axis G for G > 1 codebooks.
        """
        x = tf.convert_to_tensor(x)
        self.check_input(x)
        return self.quantizer.encode(self.latents(x))

    def decode(self, codes, context=None):
        """Returns the decoder's point estimate of the data given codes.

        Args:
            codes: integers `[batch, *grid]`, or `[batch, *grid, G]`.
            context: further context of the decoder, or None.

        Returns:
            `[batch, height, width, channels]`, uint8 for pictures.
        """
        local = self.quantizer.decode(codes)
        rank = self._rank()
        if len(local.shape) != rank + 2:
            raise ValueError(
                f"Codes have shape [batch, *grid] with {rank} sizes (and a "
                "last axis for several codebooks). Received: codes of shape "
                f"{tuple(tf.convert_to_tensor(codes).shape)}."
            )
        return self.decoder.mode({**(context or {}), "local": local})

    def _rank(self):
        """The number of axes between batch and channels."""
        return getattr(self.encoder, "rank", len(self.event_shape) - 1)

    def reconstruct(self, x, context=None):
        """Returns `decode(encode(x))`, of the shape of x."""
        return self.decode(self.encode(x), context)

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
        shape = tuple(x.shape)
        names = f"[batch, {', '.join(map(str, self.event_shape))}]"
        if len(shape) != len(self.event_shape) + 1:
            raise ValueError(
                f"Expected data of shape {names} (None: any size). Received: "
                f"shape {shape}."
                + (
                    " Add a batch axis: x[None]."
                    if len(shape) == len(self.event_shape)
                    else ""
                )
            )
        rank = self._rank()
        sizes, last = shape[1 : 1 + rank], shape[1 + rank :]
        # Codes have no channels until `preprocess` embeds them.
        channels = self.event_shape[rank:]
        if last and None not in (*last, *channels) and last != channels:
            raise ValueError(
                f"The model was made for {channels[0]} channels, data of shape "
                f"{names}. Received: shape {shape}, {last[0]} channels."
            )
        factor = getattr(self.encoder, "downsampling", 1)
        if any(size is not None and size % factor for size in sizes):
            raise ValueError(
                f"Sizes must be multiples of the encoder's stride product, "
                f"{factor}. Received: shape {shape}. Crop or pad the data "
                f"(for instance to {[-(-s // factor) * factor for s in sizes]})"
            )

    def decoder_context(self, context, local):
        """Returns what the decoder takes of a prior's context, and latents.

        Args:
            context: a dict, or None; its `"global"` entry is left out where
                the decoder has no `global_channels`.
            local: quantised latents `[batch, *grid, G * D]`.
        """
        taken = dict(context or {})
        if getattr(self.decoder, "global_channels", ...) is None:
            taken.pop("global", None)
        return {**taken, "local": local}

    # Saving -----------------------------------------------------------------

    def get_config(self):
        return {**super().get_config(), "event_shape": self.event_shape}
