"""Trains the fast decoder of a SpeechVQVAE after its codes."""

from typing import Any

import tensorflow as tf

from vqvae_tf.densities.base import blank
from vqvae_tf.models.part_trainer import PartTrainer
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel, split_weight


class SpeechFastDecoder(PartTrainer):
    """Trains only the fast decoder of a `SpeechVQVAE`.

    It trains the model's own layer; the rest of the model only encodes. To add
    a fast decoder to a trained model, use `SpeechVQVAE.with_fast_decoder`.

    Args:
        model: a `SpeechVQVAE` with a fast decoder.

    Data: same as `SpeechVQVAE`.

    Metrics of fit and evaluate: `loss`, the mean squared difference of log
    energies, in nats squared; the decoder's `weight` does not apply.

    Raises:
        ValueError: for a model without a fast decoder, and for batches without
            the speakers that the model needs.

    Example:

    >>> model = SpeechVQVAE(
    ...     Encoder(8, hidden_channels=8, num_downsamples=2, rank=1),
    ...     VectorQuantizerEMA(num_embeddings=16, embedding_dim=8),
    ...     WaveformDensity(
    ...         WaveNet(
    ...             256, hidden_channels=8, num_stacks=1, layers_per_stack=3,
    ...             local_channels=8, local_upsampling=4,
    ...         ),
    ...         MuLaw(256),
    ...     ),
    ... )
    >>> model = model.with_fast_decoder(
    ...     layers.SpectralDecoder(8000, hop=4, dilation_rates=(1, 2, 4))
    ... )
    >>> trainer = SpeechFastDecoder(model)
    >>> trainer.compile("adam")
    >>> history = trainer.fit(tf.zeros([4, 512]), batch_size=2, verbose=0)
    >>> model.decode(tf.zeros([1, 64], tf.int32), fast=True).shape
    TensorShape([1, 256])
    """

    trained = ("fast_decoder",)

    def __init__(self, model: StepModel, **kwargs: Any) -> None:
        check_role(self, "model", model, "speech model")
        if model.fast_decoder is None:
            raise ValueError(
                "There is no fast decoder to train. Received: a model with "
                "fast_decoder=None; add one with "
                "model.with_fast_decoder(SpectralDecoder(...))."
            )
        super().__init__(model, **kwargs)

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        model = self.whole()
        mask, _ = split_weight(weight)
        x = blank(x, mask)
        mask = None if mask is None else model.latent_mask(mask)
        speakers = (context or {}).get("global")
        if speakers is None and model.speaker_names:
            count = len(model.speaker_names)
            raise ValueError(
                f"The fast decoder needs the speaker, one of {count}: batches "
                'must be (x, {"global": one-hot speakers}). Received: none.'
            )
        # Not with the quantizer's call, which would count the codes.
        codes = model.quantizer.encode(model.latents(x))
        latents = tf.stop_gradient(model.quantizer.decode(codes))
        if mask is not None:
            latents *= mask[..., tf.newaxis]
        errors = self.fast_decoder.errors(latents, speakers, x, mask)
        return errors, 0.0, {}
