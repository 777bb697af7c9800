"""The base of models whose pictures a discriminator judges."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.models import adversarial
from vqvae_tf.models.encoder_decoder import call_options
from vqvae_tf.runtime import replicas
from vqvae_tf.runtime.roles import check_role
from vqvae_tf.runtime.step import (
    GlobalMean,
    StepModel,
    apply_gradients,
    scaled_loss,
    total,
)
from vqvae_tf.utils.checks import (
    check_choice,
    check_integer,
    check_not_negative,
)

_Optimizer = str | dict | keras.optimizers.Optimizer | None
METRICS = (
    "adversarial_loss",
    "adversarial_weight",
    "discriminator_loss",
    "real_logits",
    "fake_logits",
)


class AdversarialModel(StepModel):
    """A model with a second player, which has an optimizer of its own.

    Subclasses call `set_adversary` in their constructor, and in their
    `train_step` use `strength` and `train_discriminator`.
    """

    discriminator = None
    discriminator_optimizer = None

    def set_adversary(
        self,
        discriminator: keras.layers.Layer | None,
        adversarial_weight: float,
        adaptive_weight: bool,
        adversarial_loss: str,
        adversarial_start: int,
        adversarial_ramp: int,
        discriminator_start: int,
        gradient_penalty: float,
    ) -> None:
        """Sets the discriminator and its options; see `VQGAN`."""
        if discriminator is not None:
            check_role(self, "discriminator", discriminator, "network")
            self.add_metric_names(METRICS)
        self.discriminator = discriminator
        self.adversarial_weight = check_not_negative(
            "adversarial_weight", adversarial_weight
        )
        self.adaptive_weight = bool(adaptive_weight)
        self.adversarial_loss = check_choice(
            "adversarial_loss", adversarial_loss, adversarial.LOSSES
        )
        for name, value in (
            ("adversarial_start", adversarial_start),
            ("adversarial_ramp", adversarial_ramp),
            ("discriminator_start", discriminator_start),
        ):
            setattr(self, name, check_integer(name, value, 0))
        self.gradient_penalty = check_not_negative(
            "gradient_penalty", gradient_penalty
        )
        if gradient_penalty and getattr(discriminator, "norm", None) == "batch":
            raise ValueError(
                "A gradient penalty is of each picture by itself, which batch "
                "normalization mixes. Received: gradient_penalty="
                f'{gradient_penalty} and a discriminator with norm="batch"; '
                'use norm="group".'
            )

    # Optimizers ---------------------------------------------------------------

    def compile(
        self,
        optimizer: _Optimizer = "rmsprop",
        *args: Any,
        discriminator_optimizer: _Optimizer = None,
        **options: Any,
    ) -> None:
        """Sets the optimizers.

        Args:
            optimizer, args, options: as for `VQVAE.compile`.
            discriminator_optimizer: of the discriminator; another one like
                `optimizer` by default.
        """
        super().compile(optimizer, *args, **options)
        self.discriminator_optimizer = None
        if self.discriminator is None:
            if discriminator_optimizer is not None:
                raise ValueError(
                    "Only a model with a discriminator takes a second "
                    "optimizer. Received: discriminator_optimizer="
                    f"{discriminator_optimizer!r}."
                )
            return
        if self.optimizer is None:
            return
        own = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        _check_averages(own)
        if discriminator_optimizer is None:
            discriminator_optimizer = own.from_config(own.get_config())
        second = keras.optimizers.get(discriminator_optimizer)
        if second in (own, self.optimizer):
            raise ValueError(
                "Each player needs an optimizer of its own. Received: the same "
                f"{type(second).__name__} twice."
            )
        self._saved_second = second
        # Keras has wrapped the first one where the policy needs it.
        if _scales(self.optimizer) and not _scales(second):
            second = keras.optimizers.LossScaleOptimizer(second)
        self.discriminator_optimizer = second

    def get_compile_config(self) -> dict | None:
        config = super().get_compile_config()
        if config and self.discriminator_optimizer is not None:
            # As it was given: scaling is the policy's.
            config["discriminator_optimizer"] = (
                keras.saving.serialize_keras_object(self._saved_second)
            )
        return config

    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list]]:
        judged = []
        if self.discriminator is not None:
            judged = self.discriminator.trainable_variables
        others = {id(variable) for variable in judged}
        own = [v for v in self.trainable_variables if id(v) not in others]
        pairs = (
            (getattr(self, "optimizer", None), own),
            (self.discriminator_optimizer, judged),
        )
        return [pair for pair in pairs if pair[0] is not None]

    # Losses -------------------------------------------------------------------

    def generator_loss(
        self, picture: tf.Tensor, weight: tf.Tensor | None, training: bool
    ) -> tf.Tensor:
        """Returns the adversarial loss of pictures, float32 `[batch]`.

        Args:
            picture: `[batch, height, width, channels]` in 0..255.
            weight: `[batch]`, for batch normalization, or None.
            training: whether this is a training step.
        """
        logits = self._logits(picture, weight, training)
        return adversarial.generator_loss(logits, self.adversarial_loss)

    def judged(
        self,
        target: tf.Tensor,
        picture: tf.Tensor,
        weight: tf.Tensor | None,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Returns both players' losses, float32 `[batch]`, and metrics.

        The discriminator's loss comes first.

        Args:
            target: data.
            picture: a generator's, which the caller has detached.
            weight, training: as for `generator_loss`.
        """
        real, fake = (
            self._logits(x, weight, training) for x in (target, picture)
        )
        cost = adversarial.discriminator_loss(real, fake, self.adversarial_loss)
        metrics = {
            f"{name}_logits": tf.reduce_mean(
                tf.cast(logits, tf.float32), range(1, len(logits.shape))
            )
            for name, logits in (("real", real), ("fake", fake))
        }
        fooled = adversarial.generator_loss(fake, self.adversarial_loss)
        return cost, fooled, {**metrics, "discriminator_loss": cost}

    def _logits(self, picture, weight, training):
        options = call_options(self.discriminator, training, weight)
        return self.discriminator(_scaled(picture), **options)

    # A step -------------------------------------------------------------------

    def strength(
        self,
        tape: tf.GradientTape,
        picture: tf.Tensor,
        pull: tf.Tensor,
        other: tf.Tensor,
        kernel: keras.Variable,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weight of the adversarial loss, twice.

        Float32 scalars: the one to report, and the one to multiply gradients
        by, which is NaN where the kernel's gradients overflow and the optimizer
        scales its loss, so that it skips the step and lowers the scale.

        Args:
            tape: persistent, from the kernel to the pictures.
            picture: the generator's.
            pull, other: gradients of the other losses, and of the adversarial
                one, with respect to the pictures.
            kernel: of the generator's last layer.
        """
        strength = self.adversarial_weight * adversarial.ramp(
            self.optimizer.iterations,
            self.adversarial_start,
            self.adversarial_ramp,
        )
        if not self.adaptive_weight:
            return strength, strength
        gradients = [
            tape.gradient(picture, kernel, output_gradients=each)
            for each in (pull, other)
        ]
        gradients = replicas.sum_over_replicas(gradients)
        strength *= adversarial.adaptive_weight(
            *gradients, scale=self.optimizer.scale_loss(tf.ones([]))
        )
        if not _scales(self.optimizer):
            return strength, strength
        finite = [tf.reduce_all(tf.math.is_finite(g)) for g in gradients]
        used = tf.where(tf.reduce_all(finite), strength, float("nan"))
        return strength, used

    def train_discriminator(
        self,
        target: tf.Tensor,
        picture: tf.Tensor,
        weight: tf.Tensor | None,
        share: GlobalMean,
    ) -> dict:
        """Takes a step of the discriminator; returns metrics.

        Args:
            target: data.
            picture: the generator's.
            weight: as for `generator_loss`.
            share: the mean of the batch.
        """
        optimizer, variables = self.optimized()[1]
        picture = tf.stop_gradient(picture)
        with tf.GradientTape() as tape:
            cost, _, metrics = self.judged(target, picture, weight, True)
            if self.gradient_penalty:
                cost += self.gradient_penalty * adversarial.gradient_penalty(
                    lambda x: self.discriminator(x, training=False),
                    _scaled(target),
                )
            # Regularizers of weights; of activations, the last call's alone.
            loss = share(cost, total(self.discriminator.losses))
            loss = scaled_loss(optimizer, loss)
        started = adversarial.ramp(
            self.optimizer.iterations, self.discriminator_start, 0
        )
        # Not the loss: gradients that cannot overflow would let the scale of
        # the loss grow without end.
        gradients = [
            g if g is None else tf.cast(started, g.dtype) * g
            for g in tape.gradient(loss, variables)
        ]
        apply_gradients(optimizer, gradients, variables)
        return metrics


def _scales(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _check_averages(optimizer):
    """Raises ValueError for averages that Keras would take of both players."""
    if optimizer.use_ema and not getattr(optimizer, "ema_of_run", False):
        raise ValueError(
            "At the end of a fit Keras puts an optimizer's averages into all "
            "of a model's weights, but each optimizer here trains a part of "
            "them. Received: use_ema=True. Use vqvae_tf.runtime.adam.Adam("
            "use_ema=True, ema_of_run=True), and training.averaging."
        )


def _scaled(picture):
    """Returns pictures as a discriminator sees them, in [-1, 1]."""
    return tf.cast(picture, tf.float32) / 127.5 - 1.0


def last_kernel(network: keras.layers.Layer) -> keras.Variable:
    """Returns the kernel of a network's last layer.

    Raises:
        ValueError: for a network none of whose kernels is trained.
    """
    kernels = [v for v in network.trainable_variables if len(v.shape) > 1]
    if not kernels:
        raise ValueError(
            "The adaptive weight needs the last kernel of the decoder's "
            f"network. Received: {type(network).__name__} without trainable "
            "kernels. Set adaptive_weight=False."
        )
    return kernels[-1]
