"""Trains the codes of a SpeechVQVAE before its WaveNet."""

from typing import Any

import tensorflow as tf

from vqvae_tf.densities.base import blank
from vqvae_tf.models.part_trainer import PartTrainer
from vqvae_tf.models.vqvae import without_prefix
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import StepModel, examples, split_weight, total


class SpeechCoder(PartTrainer):
    """Trains a `SpeechVQVAE` except for its WaveNet, the most expensive part.

    It trains the model's own encoder, quantizer, adversary, auxiliary and fast
    decoder with the sum of the losses of the last four, so the WaveNet starts
    from informative codes.

    Args:
        model: a `SpeechVQVAE` with an auxiliary decoder.

    Data: same as `SpeechVQVAE`.

    Metrics of fit and evaluate: `loss`, `quantizer_loss`, `perplexity`,
    `usage`, and those of the adversary and the two decoders.

    Raises:
        ValueError: for a model without an auxiliary decoder.

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
    ...     auxiliary=layers.SpectralDecoder(8000, hop=4, channels=8),
    ... )
    >>> coder = SpeechCoder(model)
    >>> coder.compile("adam")
    >>> history = coder.fit(tf.zeros([4, 512]), batch_size=2, verbose=0)
    >>> "spectral_error" in history.history
    True
    """

    loss_names = ("loss", "quantizer_loss")

    trained = (
        "encoder",
        "quantizer",
        "auxiliary",
        "adversary",
        "fast_decoder",
    )

    def __init__(self, model: StepModel, **kwargs: Any) -> None:
        check_role(self, "model", model, "speech model")
        if model.auxiliary is None:
            raise ValueError(
                "Training codes before the WaveNet needs an auxiliary decoder. "
                "Received: a model with auxiliary=None."
            )
        super().__init__(model, **kwargs)
        self.add_metric_names(model.helper_names())

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        model = self.whole()
        mask, share = split_weight(weight)
        x = blank(x, mask)
        quantized, counted, costs = model.quantized_latents(x, weight, training)
        context = {**(context or {}), "local": quantized}
        loss, metrics = model.further_losses(x, context, counted)
        cost = (costs["quantizer"], examples(x, share))
        extra = total(costs.values())
        return loss, extra, {"quantizer_loss": cost, **metrics}

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        return without_prefix(super().get_metrics_result(), self.quantizer)
