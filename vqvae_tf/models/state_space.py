"""State-space models: a latent at each step, inferred from beliefs."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.base import event_size
from vqvae_tf.densities.conditioning import size_of
from vqvae_tf.densities.layered_gaussian import LayeredGaussian
from vqvae_tf.models.sequence_model import SequenceModel, unit_steps
from vqvae_tf.models.time_axis import each
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import total
from vqvae_tf.utils.checks import check_choice

POSTERIORS = ("filtering", "mean_field")


@keras.saving.register_keras_serializable("vqvae_tf")
class StateSpaceModel(SequenceModel):
    """Maximizes a bound on log p(x_1, ..., x_T), step by step.

    p(z_t | z_(t-1)) moves the state one step, from zeros before the first, and
    p(x_t | z_t) decodes it. The bound, with q below, is the sum over t of

        log p(x_t | z_t) - KL(q(z_t | ...) || p(z_t | z_(t-1)))

    These are the models that TD-VAE is compared with: they see the future only
    through each single step.

    Args:
        encoder, recurrent, decoder, preprocess, event_shape, seed: same as for
            `BeliefModel`.
        latent_sizes: the number of latents of each layer of z, from the top
            down; (8, 8) by default.
        hidden_units: int, of each D map (`LayeredGaussian`); 50 by default.
        posterior: "filtering" (default), q(z_t | z_(t-1), b_t), or
            "mean_field", q(z_t | b_t).

    Batches are those of `TDVAE`.

    Metrics, in nats a frame: `objective` (the bound, to be maximized), and its
    parts `log_px` and `kl`; `loss` is minus the objective over the dimensions
    of a frame.

    Raises:
        ValueError: for parts that do not fit, or another posterior.

    Example:

    >>> model = StateSpaceModel(
    ...     keras.layers.Dense(8, "tanh"),
    ...     keras.layers.GRU(8, return_sequences=True),
    ...     LayeredGaussian((1,), global_channels=16),
    ...     preprocess=keras.layers.Identity(),
    ...     event_shape=(1,),
    ... )
    >>> model.rollout(tf.zeros([2, 5, 1]), times=[1, 4], seed=0).shape
    TensorShape([2, 2, 1])

    References:
        Gregor et al. 2019, arXiv:1806.03107, sections 2.3 and 5.1.
    """

    loss_names = ("loss", "objective", "log_px", "kl")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        recurrent: keras.layers.Layer,
        decoder: keras.layers.Layer,
        preprocess: keras.layers.Layer | None = None,
        event_shape: tuple[int, ...] = (28, 28, 1),
        seed: int | None = None,
        *,
        latent_sizes: Sequence[int] = (8, 8),
        hidden_units: int = 50,
        posterior: str = "filtering",
        **kwargs: Any,
    ) -> None:
        parts = (encoder, recurrent, decoder, preprocess, event_shape, seed)
        super().__init__(*parts, **kwargs)
        self.posterior = check_choice("posterior", posterior, POSTERIORS)
        self.hidden_units = hidden_units
        channels = LayeredGaussian(latent_sizes, 1).channels
        seen = self.belief_size + channels * (posterior == "filtering")
        for name, size in (("inference", seen), ("transition", channels)):
            part = LayeredGaussian(latent_sizes, size, hidden_units, name=name)
            setattr(self, name, part)
        self.latent_sizes = self.transition.sizes
        self.channels = channels  # of all layers

    def build(self, input_shape: Any = None) -> None:
        self.build_parts(self.channels)
        for part in (self.inference, self.transition):
            if not part.built:
                part.build()
        self.built = True

    # Training -----------------------------------------------------------------

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        self.check_context(context)
        x, lengths = self.frames_and_lengths(x, weight)
        time = size_of(x, 1)
        noise = self.rows_noise(tf.shape(x)[0], time * self.channels, training)
        eps = tf.math.ndtri(tf.reshape(noise, [-1, time, self.channels]))
        b = self.beliefs(x, training)
        z = self._states(b, eps)
        before = tf.pad(z[:, :-1], [[0, 0], [1, 0], [0, 0]])
        rows = [tf.reshape(v, [-1, v.shape[-1]]) for v in (z, before, b)]
        q = self.inference.given(rows[0], self._context_of_q(*rows[1:]))
        p = self.transition.given(rows[0], {"global": rows[1]})
        frames = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))
        log_px = self.decoder.log_prob(
            frames, self.decoder_context(rows[0]), training=training
        )
        metrics = dict(
            objective=log_px - q.kl_divergence(p),
            log_px=log_px,
            kl=q.kl_divergence(p),
        )
        valid = tf.sequence_mask(lengths, time, tf.float32)
        count = tf.maximum(tf.cast(lengths, tf.float32), 1.0)
        metrics = {
            k: tf.reduce_sum(valid * tf.reshape(v, tf.shape(valid)), 1) / count
            for k, v in metrics.items()
        }
        size = event_size(x[:, 0])
        return -metrics["objective"] / size, total(self.losses), metrics

    def _context_of_q(self, before, b):
        """Returns the context of q, from z_(t-1) and b_t."""
        if self.posterior == "mean_field":
            return {"global": b}
        return {"global": tf.concat([before, b], axis=-1)}

    def _states(self, b, eps):
        """Draws z_1, ..., z_T, `[batch, T, channels]`, with their gradient.

        Args:
            b: `[batch, T, belief_size]`.
            eps: standard normal, `[batch, T, channels]`.
        """
        if self.posterior == "mean_field":
            joined = tf.concat([eps, b], axis=-1)
            sizes = [self.channels, self.belief_size]

            def draw(rows):
                noise, seen = tf.split(rows, sizes, axis=-1)
                return self.inference.transform(noise, {"global": seen})[0]

            return each(draw, joined)

        def step(before, now):
            return self.inference.transform(
                now[0], self._context_of_q(before, now[1])
            )[0]

        by_time = [tf.transpose(v, [1, 0, 2]) for v in (eps, b)]
        z = tf.scan(step, tuple(by_time), tf.zeros_like(eps[:, 0]))
        z = tf.transpose(z, [1, 0, 2])
        return tf.ensure_shape(z, [None, b.shape[1], self.channels])

    # The future ---------------------------------------------------------------

    def present(self, frames: tf.Tensor) -> tf.Tensor:
        b = self.beliefs(frames)
        return b[:, -1:] if self.posterior == "mean_field" else b

    def ahead(
        self,
        present: tf.Tensor,
        gaps: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Moves the state step by step; see `SequenceModel.ahead`.

        Returns:
            z at each time, float32 `[rows, n, channels]`.
        """
        sizes = tf.shape(present)[:2]
        shape = tf.concat([sizes, [self.channels]], axis=0)
        eps = random.normal(shape, random.fold_in(seed, 0))
        z = self._states(present, temperature * eps)[:, -1]

        def step(number, z):
            noise = random.normal(tf.shape(z), random.fold_in(seed, number + 1))
            noise *= temperature
            z, _ = self.transition.transform(noise, {"global": z})
            return z, z

        return unit_steps(step, z, gaps)
