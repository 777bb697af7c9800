"""The fast decoder of a SpeechVQVAE, trained after its codes are."""

import tensorflow as tf

from vqvae_tf.densities.base import blank
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel, split_weight


class SpeechFastDecoder(StepModel):
    """The fast decoder of a `SpeechVQVAE`, whose codes stay as they are.

    The model's own layer is fitted. All else of the model is only asked for
    codes, as it gives them to users: a model that is trained already can be
    given a fast decoder, by `SpeechVQVAE.with_fast_decoder`.

    Args:
        model: a `SpeechVQVAE` with a fast decoder.

    Data: as of `SpeechVQVAE`.

    Metrics of fit and evaluate: `loss`, the mean square of the difference of
    log energies, in nats squared; the decoder's `weight` is of no use here.

    Raises:
        ValueError: for a model without a fast decoder, and for batches that do
            not say who speaks.

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

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        check_role(self, "model", model, "speech model")
        if model.fast_decoder is None:
            raise ValueError(
                "There is no fast decoder to be trained. Received: a model "
                "with fast_decoder=None; give it one by "
                "model.with_fast_decoder(SpectralDecoder(...))."
            )
        if not model.built:
            model.build()
        self._speakers = len(model.speaker_names)
        # Not the model: nothing else of it is trained, or saved.
        self.fast_decoder = model.fast_decoder
        self._latents = model.latents
        self._encode = model.quantizer.encode
        self._embed = model.quantizer.decode
        self._latent_mask = model.latent_mask
        self.check_input = model.check_input
        self.check_spec = model.check_spec
        self.built = True

    def compute_losses(self, x, context=None, weight=None, training=False):
        mask, _ = split_weight(weight)
        x = blank(x, mask)
        mask = None if mask is None else self._latent_mask(mask)
        speakers = (context or {}).get("global")
        if speakers is None and self._speakers:
            raise ValueError(
                f"The fast decoder is told which of {self._speakers} speakers "
                'speaks: batches are (x, {"global": one-hot speakers}). '
                "Received: none."
            )
        # By way of the codes: the quantizer's call would count them.
        latents = tf.stop_gradient(self._embed(self._encode(self._latents(x))))
        if mask is not None:
            latents *= mask[..., tf.newaxis]
        errors = self.fast_decoder.errors(latents, speakers, x, mask)
        return errors, 0.0, {}
