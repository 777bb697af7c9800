"""The base of stochastic bottlenecks: samples, bounds and surrogates."""

import functools
import types
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from vqvae_tf.bottlenecks import estimators
from vqvae_tf.bottlenecks.base import Bottleneck, Draw
from vqvae_tf.layers.row_noise import RowNoise
from vqvae_tf.utils.checks import check_choice, check_positive

ESTIMATORS = ("elbo", "iwae", "vimco")


@functools.cache
def distributions() -> types.ModuleType:
    """Returns `tensorflow_probability.distributions`, which imports slowly."""
    from tensorflow_probability import distributions as found

    return found


class Stochastic(RowNoise, Bottleneck):
    """A posterior q(z | x), a prior p(z), and the bound to maximize.

    Subclasses implement `draw_from_noise`, `noise_shape`, `encode`,
    `kl_divergence` and `prior_sample`.

    Args:
        estimator: "elbo" (the default: the mean over samples, with the KL
            divergence in closed form), "iwae" (log-mean-exp over
            reparameterized samples) or "vimco" (log-mean-exp over samples
            without a gradient).
        num_samples: int, S, samples for each example in training; 1 by
            default.
        seed: int, of the samples in training; a random one by default.
        resample: bool, whether to train the decoder on one of an example's
            samples, chosen by weight, instead of the weighted sum of all;
            False by default. The expectation is the same, and S - 1 of S
            backward passes through the decoder are saved. For "vimco" only:
            the other estimators' gradients pass through the samples.

    Raises:
        ValueError: for an estimator that the posterior does not support.
    """

    has_prior = True
    estimators = ESTIMATORS

    def __init__(
        self,
        estimator: str = "elbo",
        num_samples: int = 1,
        seed: int | None = None,
        resample: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        name = f"{type(self).__name__}: estimator"
        self.estimator = check_choice(name, estimator, self.estimators)
        self.num_samples = check_positive("num_samples", num_samples)
        if estimator == "vimco" and num_samples < 2:
            raise ValueError(
                'estimator="vimco" needs num_samples of at least 2. Received: '
                f"num_samples={num_samples}."
            )
        self.resample = bool(resample)
        if resample and estimator != "vimco":
            raise ValueError(
                'resample is for estimator="vimco". Received: '
                f"estimator={estimator!r}."
            )

    def sample(
        self,
        latents: tf.Tensor,
        num_samples: int = 1,
        training: bool = False,
        seed: int | tf.Tensor | None = None,
    ) -> Draw:
        """Samples z from the posterior.

        Args:
            latents: float `[B, *grid, channels]`, the encoder's output.
            num_samples: S.
            training: whether to use a new seed unless one is given.
            seed: an integer, or int32 [2]; 0 by default.

        Returns:
            A `Draw` of z `[S, B, *grid, C]` and log_ratio `[S, B]`. With
            "vimco" no gradient passes through z.
        """
        num_samples = check_positive("num_samples", num_samples)
        latents = tf.cast(latents, tf.float32)
        if training and seed is None:
            seed = self.next_seed()
        known, found = latents.shape, tf.shape(latents)
        shape = [found[i] if n is None else n for i, n in enumerate(known)]
        noise = self.uniform(
            tf.stack([shape[0], num_samples, *self.noise_shape(shape)]),
            0 if seed is None else seed,
        )
        noise = tf.ensure_shape(
            noise, [None, num_samples, *self.noise_shape([*known])]
        )
        axes = [1, 0, *range(2, len(noise.shape))]
        return self.draw_from_noise(latents, tf.transpose(noise, axes))

    def noise_shape(self, shape: list) -> list:
        """Returns the shape of the uniform numbers for one sample of a row.

        Args:
            shape: a list, of the latents `[B, *grid, channels]`; entries are
                integers, tensors or None.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement noise_shape."
        )

    def draw_from_noise(self, latents: tf.Tensor, noise: tf.Tensor) -> Draw:
        """Turns uniform numbers `[S, B, *noise_shape]` into a `Draw`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement draw_from_noise."
        )

    def kl_divergence(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns KL(q(z | x) || p(z)), float32 [B] nats."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement kl_divergence."
        )

    def prior_sample(
        self,
        shape: Sequence[int | tf.Tensor],
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Samples z from the prior.

        Args:
            shape: `[batch, *grid, C]`.
            seed: int32 [2].
            temperature: scales the spread.

        Returns:
            float32 `[batch, *grid, C]`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement prior_sample."
        )

    def objective(
        self,
        log_px: tf.Tensor,
        draw: Draw,
        latents: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Returns the surrogate to maximize, the bound, and metrics.

        Args:
            log_px: float `[S, B]` nats, log p(x | z_s).
            draw: the `Draw` of z.
            latents: float `[B, *grid, channels]`.
            training: whether the step counts towards an annealed capacity.

        Returns:
            surrogate and bound, float32 [B] nats, and a dict of metrics.
        """
        kl = self.kl_divergence(latents)
        if self.estimator == "elbo":
            mean = tf.reduce_mean(log_px, axis=0)
            return mean - self.kl_cost(kl, training), mean - kl, {"kl": kl}
        log_weights = log_px + draw.log_ratio
        bound = estimators.log_mean_exp(log_weights)
        if self.estimator == "iwae":
            return bound, bound, {"kl": kl}
        # p(z) and z are fixed, so -log_ratio has the gradient of log q(z | x).
        surrogate = estimators.vimco_surrogate(log_weights, -draw.log_ratio)
        return surrogate, bound, {"kl": kl}

    def choose(self, log_px: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns one sample of each example, chosen by weight.

        Args:
            log_px: float `[S, B]` nats, log p(x | z_s).
            draw: the `Draw` of z.

        Returns:
            float32 `[1, B, *grid, C]`.
        """
        weights = tf.nn.softmax(log_px + draw.log_ratio, axis=0)
        upto = tf.cumsum(tf.stop_gradient(weights)[:-1], axis=0)
        noise = self.uniform([tf.shape(upto)[1], 1], self.next_seed())[:, 0]
        chosen = tf.reduce_sum(tf.cast(upto <= noise, tf.int32), axis=0)
        rows = tf.range(tf.shape(chosen)[0])
        return tf.gather_nd(draw.z, tf.stack([chosen, rows], axis=-1))[None]

    def kl_cost(self, kl: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the cost of a KL divergence [B]; by default its value."""
        return kl
