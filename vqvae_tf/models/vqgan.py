"""The VQGAN: a VQ-VAE whose reconstructions a discriminator judges."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vqvae_tf.models.adversarial_model import AdversarialModel, last_kernel
from vqvae_tf.models.vqvae import VQVAE
from vqvae_tf.runtime.batches import unpack_batch
from vqvae_tf.runtime.step import (
    GlobalMean,
    apply_gradients,
    scaled_loss,
    split_weight,
    total,
)
from vqvae_tf.utils.checks import check_not_negative


class Pass(NamedTuple):
    """What a batch becomes.

    Attributes:
        target: the data, float32 `[batch, height, width, C]` in 0..255.
        picture: reconstructions of the same shape, not rounded or clipped.
        nats: -log p(x | z_q) / D, float32 `[batch]`, whose gradient reaches
            only the likelihood's own scale.
        extra: the losses of the layers, a scalar.
        metrics: as in `compute_losses`.
    """

    target: tf.Tensor
    picture: tf.Tensor
    nats: tf.Tensor
    extra: tf.Tensor
    metrics: dict


@keras.saving.register_keras_serializable("vqvae_tf")
class VQGAN(AdversarialModel, VQVAE):
    r"""VQ-VAE with a perceptual and an adversarial loss (arXiv:2012.09841).

    In place of `-log p(x | z_q)` the autoencoder minimizes

    .. math::

        w_1 \, \overline{|x - y|} + w_2 \, \overline{(x - y)^2}
        + w_p \, d(x, y) + w \, \mathcal{L}_G(D(y))

    plus the quantizer's loss, where y is the decoder's mean, pixels are scaled
    to [-1, 1], bars are means and d is a `PerceptualDistance`. The weights are
    `pixel_weight`, `squared_weight` and `perceptual_weight`; w is
    `adversarial_weight`, times the adaptive weight (the paper's eq. 7) if
    `adaptive_weight`, times a ramp. The discriminator D minimizes
    `discriminator_loss(D(x), D(y))` on reconstructions that are detached;
    neither loss has a gradient for the other's variables, and both take their
    step from the same state.

    Beside this loss, a learned scale of the likelihood is fitted to the
    reconstructions as they are, so that `log p(x | z_q)` and what is made of
    it, such as the bound of a `LatentGenerator`, mean the same as for a
    `VQVAE`. It needs more bits: where details are invented, pixels are wrong.

    Args:
        encoder, quantizer, decoder, preprocess, event_shape: as for `VQVAE`;
            the decoder is a `FactorizedDensity` with a `Gaussian` or a
            `DiscretizedLogistic` whose scale is not predicted. The paper has a
            `GroupNormEncoder`, a `GroupNormDecoder` and a `VectorQuantizer`;
            later ones a small `codebook_dim` and the cosine distance
            (arXiv:2110.04627).
        discriminator: a network from pictures to logits, `PatchDiscriminator`;
            or None (default) for no adversarial loss.
        perceptual: a `PerceptualDistance`; or None (default).
        pixel_weight: float, 1 by default.
        squared_weight: float, 0 by default.
        perceptual_weight: float, 1 by default.
        adversarial_weight: float, 0.8 by default.
        adaptive_weight: bool, True by default.
        adversarial_loss: "hinge" (default) or "non_saturating".
        adversarial_start: int, the step before which w is 0; 0 by default.
        adversarial_ramp: int, steps in which it then rises; 0 by default.
        discriminator_start: int, the step before which the discriminator has no
            gradient; 0 by default. One that has learnt while w was 0 gives a
            gradient that means something from the start.
        gradient_penalty: float, the weight of R1, `|dD(x)/dx|^2 / 2` at data; 0
            by default. Not with batch normalization.

    `compile(optimizer, discriminator_optimizer=None)` takes two optimizers; the
    second is another one like the first by default.

    Data: same as `VQVAE`, but sample weights are `[batch]`: normalizations of
    whole pictures see all positions.

    Metrics: those of `VQVAE`; `pixel_distance` (mean absolute error, in [-1, 1]
    units), `perceptual_distance`; `adversarial_loss`, `adversarial_weight` (w;
    0 in evaluation, where the loss leaves out the adversary),
    `discriminator_loss`, `real_logits`, `fake_logits`.

    Raises:
        ValueError: for a decoder of another kind, a mask of positions, weights
            below 0, and steps that are not whole.

    Example:

    >>> sizes = dict(stage_channels=(8, 16), num_groups=8)
    >>> model = VQGAN(
    ...     GroupNormEncoder(16, **sizes),
    ...     VectorQuantizer(64, 16, codebook_dim=4, distance="cosine"),
    ...     FactorizedDensity(GroupNormDecoder(3, **sizes), Gaussian()),
    ...     discriminator=PatchDiscriminator(8, num_layers=1),
    ... )
    >>> model.compile("adam")
    >>> images = tf.zeros([4, 16, 16, 3], tf.uint8)
    >>> history = model.fit(images, batch_size=2, verbose=0)
    >>> model.reconstruct(images).shape
    TensorShape([4, 16, 16, 3])

    References:
        Esser et al. 2021, arXiv:2012.09841, eq. 4-7. The code of the paper
        weighs the codebook's term by beta and not the commitment
        (CompVis/taming-transformers, issue 57); here beta is as in the VQ-VAE.
    """

    parts = (*VQVAE.parts, "discriminator", "perceptual")
    _is_loaded = False  # from a file, just now

    def __init__(
        self,
        encoder: keras.layers.Layer,
        quantizer: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int | None, ...] = (None, None, 3),
        *,
        discriminator: keras.layers.Layer | None = None,
        perceptual: keras.layers.Layer | None = None,
        pixel_weight: float = 1.0,
        squared_weight: float = 0.0,
        perceptual_weight: float = 1.0,
        adversarial_weight: float = 0.8,
        adaptive_weight: bool = True,
        adversarial_loss: str = "hinge",
        adversarial_start: int = 0,
        adversarial_ramp: int = 0,
        discriminator_start: int = 0,
        gradient_penalty: float = 0.0,
        **kwargs: Any,
    ) -> None:
        parts = (encoder, quantizer, decoder, preprocess, event_shape)
        super().__init__(*parts, **kwargs)
        _check_decoder(decoder)
        self.perceptual = perceptual
        for name, value in (
            ("pixel_weight", pixel_weight),
            ("squared_weight", squared_weight),
            ("perceptual_weight", perceptual_weight),
        ):
            setattr(self, name, check_not_negative(name, value))
        names = ["perceptual_distance"] * (perceptual is not None)
        self.add_metric_names(["pixel_distance", *names])
        self.set_adversary(
            discriminator,
            adversarial_weight,
            adaptive_weight,
            adversarial_loss,
            adversarial_start,
            adversarial_ramp,
            discriminator_start,
            gradient_penalty,
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        super().build(input_shape)
        if self.discriminator is not None and not self.discriminator.built:
            self.discriminator(keras.KerasTensor((None, *self.event_shape)))

    def compile(self, *args: Any, **options: Any) -> None:
        """Sets the optimizers, and fetches the perceptual network.

        Args:
            args, options: as for `VQVAE.compile`, and
                `discriminator_optimizer`, that of the discriminator; another
                one like the first by default.

        Raises:
            OSError, PresetError: if the perceptual network is not there.
        """
        super().compile(*args, **options)
        if self.perceptual is not None and not self._is_loaded:
            self.perceptual.load()

    def compile_from_config(self, config: dict) -> None:
        # A file can be read where its network is not, to decode, say.
        self._is_loaded = True
        super().compile_from_config(config)
        self._is_loaded = False

    # Losses -------------------------------------------------------------------

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor | float, dict]:
        found = self.passed(x, context, weight, training)
        distance, metrics = self.distances(found)
        if self.discriminator is not None:
            picture = tf.stop_gradient(found.picture)
            both = found.target, picture
            _, fooled, of_judge = self.judged(*both, weight, training)
            metrics |= {**of_judge, "adversarial_loss": fooled}
        return distance, found.extra, {**found.metrics, **metrics}

    def passed(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None,
        weight: tf.Tensor | None,
        training: bool,
    ) -> Pass:
        """Encodes and decodes a batch; see `compute_losses`."""
        mask, share = split_weight(weight)
        if mask is not None:
            raise ValueError(
                "A VQGAN takes a sample_weight [batch]. Received: one of shape "
                f"{tuple(mask.shape)}; only a VQVAE supports masks."
            )
        quantized, _, costs = self.quantized_latents(x, weight, training)
        context = {**(context or {}), "local": quantized}
        parameters = self.decoder.parameters(context, training)
        x = self.decoder.check_shapes(x, parameters)
        extra = total([*costs.values(), *self.decoder.losses])
        likelihood = self.decoder.likelihood
        picture, _ = likelihood.location_and_scale(parameters)
        # The scale alone is fitted to the data's probability.
        log_prob = likelihood.log_prob(tf.stop_gradient(parameters), x)
        nats = -tf.reduce_mean(log_prob, axis=range(1, len(log_prob.shape)))
        metrics = self.code_metrics(
            nats, x, tf.shape(quantized)[1:-1], costs, share
        )
        return Pass(tf.cast(x, tf.float32), picture, nats, extra, metrics)

    def distances(self, found: Pass) -> tuple[tf.Tensor, dict]:
        """Returns the losses that compare pictures, `[batch]`, and metrics."""
        difference = (found.picture - found.target) / 127.5
        axes = range(1, len(difference.shape))
        absolute = tf.reduce_mean(tf.abs(difference), axes)
        result = self.pixel_weight * absolute
        if self.squared_weight:
            squares = tf.reduce_mean(tf.square(difference), axes)
            result += self.squared_weight * squares
        metrics = {"pixel_distance": absolute}
        if self.perceptual is not None:
            seen = self.perceptual(found.target, found.picture)
            result += self.perceptual_weight * seen
            metrics["perceptual_distance"] = seen
        return result, metrics

    # A step -------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, context, weight = unpack_batch(data)
        with tf.GradientTape(persistent=True) as tape:
            found = self.passed(x, context, weight, training=True)
            share = GlobalMean(weight, found.nats)
            rest = share(found.nats, found.extra)
            rest = scaled_loss(self.optimizer, rest)
        loss, pull, metrics = self._pull(tape, found, share, weight)
        (optimizer, variables), *second = self.optimized()
        gradients = tape.gradient(
            [found.picture, rest],
            variables,
            output_gradients=[pull, tf.ones_like(rest)],
        )
        del tape
        if second:
            metrics |= self.train_discriminator(
                found.target, found.picture, weight, share
            )
        apply_gradients(optimizer, gradients, variables)
        metrics = {**found.metrics, **metrics}
        self.record(loss + found.extra, metrics, share)
        return self.step_logs()

    def _pull(self, tape, found, share, weight):
        """Returns the loss of pictures, its gradient at them, and metrics.

        Gradients with respect to the pictures are computed once, and serve both
        the adaptive weight and the step.
        """
        picture = found.picture
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(picture)
            distance, metrics = self.distances(found)
            scaled = scaled_loss(self.optimizer, share(distance))
            if self.discriminator is not None:
                fooled = self.generator_loss(picture, weight, training=True)
                judged = scaled_loss(self.optimizer, share(fooled))
        pull = inner.gradient(scaled, picture)
        if self.discriminator is None:
            return distance, pull, metrics
        other = inner.gradient(judged, picture)
        del inner
        kernel = None
        if self.adaptive_weight:
            kernel = last_kernel(self.decoder.network)
        strength, used = self.strength(tape, picture, pull, other, kernel)
        metrics["adversarial_loss"] = fooled
        metrics["adversarial_weight"] = strength, tf.reduce_sum(share.weight)
        loss = distance + strength * fooled
        return loss, pull + used * other, metrics


def _check_decoder(decoder):
    likelihood = getattr(decoder, "likelihood", None)
    if not hasattr(likelihood, "location_and_scale"):
        raise ValueError(
            "The decoder of a VQGAN must be a FactorizedDensity with a "
            "Gaussian or DiscretizedLogistic, whose mean is the picture. "
            f"Received: {type(decoder).__name__} with the likelihood "
            f"{type(likelihood).__name__}."
        )
    if likelihood.scale == "predicted":
        raise ValueError(
            "The decoder of a VQGAN predicts the mean alone: the likelihood's "
            'scale must be "learned" or a number. Received: '
            f'{type(likelihood).__name__}(scale="predicted").'
        )
