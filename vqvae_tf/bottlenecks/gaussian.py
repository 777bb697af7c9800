"""The bottleneck of a VAE: a Gaussian posterior for each latent."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.bottlenecks.base import Draw
from vqvae_tf.bottlenecks.stochastic import Stochastic, distributions
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks

_MIN_SCALE = 1e-4
_UNIT = math.log(math.expm1(1.0))  # softplus(_UNIT) is 1


@keras.saving.register_keras_serializable("vqvae_tf")
class DiagonalGaussian(Stochastic):
    """q(z | x) = N(mean, diag(scale^2)), p(z) = N(0, I).

    The encoder outputs `[mean, raw scale]`, twice as many channels as z has.

    Args:
        beta: float, the weight of the KL divergence; 1, the default, is the
            VAE.
        capacity: float, C in nats, or None, the default. If given, the cost
            is `beta * |KL - C|`, so the code may carry C nats for free.
        capacity_steps: int, C grows from 0 to `capacity` in this many steps.
        estimator, num_samples, seed, resample: as for `Stochastic`. beta and
            capacity are for "elbo" only.

    Metrics: `kl`, nats for each example, and with a capacity its current
    value, `capacity`.

    Raises:
        ValueError: for an odd number of channels, or incompatible arguments.

    Example: 8x8 latents of two dimensions.

    >>> bottleneck = DiagonalGaussian()
    >>> latents = tf.zeros([1, 8, 8, 4])
    >>> bottleneck.encode(latents).shape
    TensorShape([1, 8, 8, 2])
    >>> bottleneck.kl_divergence(latents).numpy().round(3)
    array([0.], dtype=float32)

    References:
        Kingma and Welling 2013, arXiv:1312.6114, appendix B; Higgins et al.
        2017, "beta-VAE", eq. 4; Burgess et al. 2018, arXiv:1804.03599, eq. 8.
    """

    def __init__(
        self,
        beta: float = 1.0,
        capacity: float | None = None,
        capacity_steps: int = 100_000,
        estimator: str = "elbo",
        num_samples: int = 1,
        seed: int | None = None,
        resample: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(estimator, num_samples, seed, resample, **kwargs)
        self.beta = beta
        self.capacity = capacity
        self.capacity_steps = capacity_steps
        plain = beta == 1 and capacity is None
        if not 0 <= beta < math.inf or estimator != "elbo" and not plain:
            raise ValueError(
                'beta (at least 0) and capacity are for estimator="elbo". '
                f"Received: beta={beta}, capacity={capacity}, estimator="
                f"{estimator!r}."
            )
        if capacity is not None and not (
            0 <= capacity < math.inf and 1 <= capacity_steps < math.inf
        ):
            raise ValueError(
                "capacity must be at least 0 nats, capacity_steps at least 1. "
                f"Received: capacity={capacity}, "
                f"capacity_steps={capacity_steps}."
            )

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("kl",) if self.capacity is None else ("kl", "capacity")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        if self.capacity is not None:
            self.step = self.add_weight(
                name="step",
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        self.built = True

    def num_channels(self, channels: int) -> int:
        if channels % 2:
            raise ValueError(
                "A Gaussian has a mean and a scale for each latent: the "
                "encoder's output_channels must be even. Received: "
                f"{channels} channels."
            )
        return channels // 2

    def posterior(self, latents: tf.Tensor) -> Any:
        """Returns q(z | x), a `tfp.distributions.Normal` `[B, *grid, C]`."""
        self.num_channels(latents.shape[-1])
        mean, raw = tf.split(tf.cast(latents, tf.float32), 2, axis=-1)
        scale = tf.math.softplus(raw + _UNIT) + _MIN_SCALE
        return distributions().Normal(mean, scale)

    def encode(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns the posterior's mean, float32 `[B, *grid, C]`."""
        return self.posterior(latents).mean()

    def noise_shape(self, shape: list) -> list:
        return [*shape[1:-1], shape[-1] // 2]

    def draw_from_noise(self, latents: tf.Tensor, noise: tf.Tensor) -> Draw:
        posterior = self.posterior(latents)
        z = posterior.quantile(noise)  # mean + scale * eps
        if self.estimator == "vimco":
            z = tf.stop_gradient(z)
        axes = range(2, len(z.shape))
        log_p = tf.reduce_sum(
            distributions().Normal(0.0, 1.0).log_prob(z), axes
        )
        log_q = tf.reduce_sum(posterior.log_prob(z), axes)
        return Draw(z, log_p - log_q)

    def kl_divergence(self, latents: tf.Tensor) -> tf.Tensor:
        posterior = self.posterior(latents)
        kl = posterior.kl_divergence(distributions().Normal(0.0, 1.0))
        return tf.reduce_sum(kl, range(1, len(kl.shape)))

    def kl_cost(self, kl: tf.Tensor, training: bool) -> tf.Tensor:
        if self.capacity is None:
            return self.beta * kl
        return self.beta * tf.abs(kl - self.current_capacity())

    def current_capacity(self) -> tf.Tensor:
        """Returns C in nats at the current step, float32 scalar."""
        done = tf.cast(tf.convert_to_tensor(self.step), tf.float32)
        share = tf.minimum(done / self.capacity_steps, 1.0)
        return self.capacity * share

    def objective(
        self,
        log_px: tf.Tensor,
        draw: Draw,
        latents: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        surrogate, bound, metrics = super().objective(
            log_px, draw, latents, training
        )
        if self.capacity is not None:
            metrics["capacity"] = tf.ones_like(bound) * self.current_capacity()
            if training:
                self.step.assign_add(1)
        return surrogate, bound, metrics

    def prior_sample(
        self,
        shape: Sequence[int | tf.Tensor],
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        temperature = tensor_checks.temperature(temperature)
        return temperature * random.normal(shape, seed)
