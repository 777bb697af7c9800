"""The VQ-VAE."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.models.code_model import CodeModel
from vqvae_tf.models.encoder_decoder import EncoderDecoder
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import split_weight, total


@keras.saving.register_keras_serializable("vqvae_tf")
class VQVAE(EncoderDecoder, CodeModel):
    r"""Vector-quantized variational autoencoder (arXiv:1711.00937).

    `x --preprocess--> --encoder--> latents --quantizer--> quantized
    --decoder--> log p(x | quantized)`. The loss is

    .. math::

        -\tfrac{1}{D} \log p(x \mid z_q) + \mathcal{L}_q,

    the first term in nats per data dimension, the second the quantizer's own.

    Args:
        encoder: maps preprocessed data to latents; `networks.Encoder`.
        quantizer: a `quantizers.Quantizer`, such as `VectorQuantizerEMA`.
        decoder: a density p(x | quantized), for instance
            `FactorizedDensity(Decoder(...), Gaussian())`.
        preprocess: a layer between data as stored and the encoder;
            `PixelScaling()` by default, `CodeEmbedding` for the codes of
            another VQ-VAE.
        event_shape: the shape of one example, `(height, width, channels)`
            for images; None for sizes that may vary, except the channels.

    Data: `x` are pictures as stored, uint8 or float in 0..255, `[batch,
    height, width, channels]`; batches are `x`, `(x, context)` or
    `(x, context, sample_weight)`. A weight `[batch, *sizes]` excludes padding
    from the loss, the statistics of the codes and all metrics.

    Raises:
        ValueError: for data of the wrong rank, number of channels or size, and
            for data that are already scaled.

    Metrics of fit and evaluate: `loss`; `reconstruction` (-log2 p(x | z_q) / D,
    bits per dimension); `bits_per_dim` (that plus log2 K bits per code, the
    paper's bound under a uniform prior); `quantizer_loss`; `perplexity` and
    `usage` over the epoch.

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

    parts = ("encoder", "quantizer", "decoder", "preprocess")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        quantizer: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, preprocess, event_shape, **kwargs)
        check_role(self, "quantizer", quantizer, "quantizer")
        self.quantizer = quantizer

    def quantizers(self) -> dict[str, keras.layers.Layer]:
        return {"codes": self.quantizer}

    def downsamplings(self) -> dict[str, int]:
        return {"codes": self.downsampling}

    # Building and calling ---------------------------------------------------

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        x = keras.KerasTensor((None, *self.event_shape), "float32")
        quantized = self.quantizer(self.encoder(self.preprocess(x)))
        self.decoder(x, context={"local": quantized})
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        quantized = self.quantizer(self.latents(x, training), training=training)
        return self.decoder.mode({**(context or {}), "local": quantized})

    def quantized_latents(
        self,
        x: tf.Tensor,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | None, dict]:
        mask, share = split_weight(weight)
        counted = share if mask is None else self.latent_mask(mask)
        latents = self.latents(x, training, counted)
        # Read now: during a quantizer's collective the threads of other
        # replicas run, whose calls replace these layers' losses.
        regularization = total([*self.preprocess.losses, *self.encoder.losses])
        quantized = self.quantizer(latents, training=training, mask=counted)
        costs = {
            "quantizer": total(self.quantizer.losses),
            "regularization": regularization,
        }
        if mask is not None:
            # The decoder's convolutions see neighbouring positions.
            quantized *= counted[..., tf.newaxis]
        # The identity drops the mask that Keras would pass to the decoder.
        return tf.identity(quantized), counted, costs

    def codes_of(
        self, x: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        return self.quantizer.encode(self.latents(x))

    def local_of(
        self, codes: tf.Tensor | np.ndarray, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        local = self.quantizer.decode(codes)
        rank = self._rank()
        if len(local.shape) != rank + 2 or 0 in local.shape:
            raise ValueError(
                f"Codes must have shape [batch, *grid] with {rank} grid axes "
                "(and a last axis for several codebooks). Received: codes of "
                f"shape {tuple(tf.convert_to_tensor(codes).shape)}."
            )
        if mask is not None:
            local *= self.latent_mask(mask)[..., tf.newaxis]
        return local

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        return without_prefix(super().get_metrics_result(), self.quantizer)


def without_prefix(results: dict, quantizer: keras.layers.Layer) -> dict:
    """Returns metrics with the quantizer's name removed from theirs."""
    prefix = f"{quantizer.name}_"
    return {name.removeprefix(prefix): value for name, value in results.items()}
