"""TD-VAE: beliefs about the present, and jumps to any later time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.densities.base import event_size
from vqvae_tf.densities.layered_gaussian import Gaussians, LayeredGaussian
from vqvae_tf.models import time_pairs
from vqvae_tf.models.sequence_model import SequenceModel
from vqvae_tf.models.time_axis import at_times
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import total
from vqvae_tf.utils.checks import check_choice, check_positive

PROPOSALS = ("smoothing", "belief")


class Terms(NamedTuple):
    """What the objective consists of, for rows of pairs (t1, t2).

    Attributes:
        log_px: log p(x_t2 | z_t2), float32 `[rows]` nats.
        z1: z_t1, a sample of `smoothing`, float32 `[rows, channels]`.
        smoothing: q(z_t1 | z_t2, b_t1, b_t2).
        earlier: p_B(z_t1 | b_t1).
        log_belief: log p_B(z_t2 | b_t2), `[rows]`.
        log_transition: log p_T(z_t2 | z_t1), `[rows]`.
    """

    log_px: tf.Tensor
    z1: tf.Tensor
    smoothing: Gaussians
    earlier: Gaussians
    log_belief: tf.Tensor
    log_transition: tf.Tensor


@keras.saving.register_keras_serializable("vqvae_tf")
class TDVAE(SequenceModel):
    r"""Learns a belief about the present that predicts any later time.

    For two times of a sequence, z_t2 ~ p_B(. | b_t2) and z_t1 ~ q(. | z_t2,
    b_t1, b_t2), the model maximizes

    .. math::

        \log p(x_{t_2} \mid z_{t_2}) &+ \log p_B(z_{t_1} \mid b_{t_1})
        + \log p_T(z_{t_2} \mid z_{t_1}) \\
        &- \log p_B(z_{t_2} \mid b_{t_2})
        - \log q(z_{t_1} \mid z_{t_2}, b_{t_1}, b_{t_2})

    where the second and the last term are minus a KL divergence in closed form
    (given the layers above). Gradients pass through both beliefs. Each example
    has times of its own.

    Args:
        encoder, recurrent, decoder, preprocess, event_shape, seed: as for
            `SequenceModel`.
        latent_sizes: the number of latents of each layer of z, from the top
            down; (8, 8) by default. The decoder sees all of them.
        hidden_units: int, of each D map (`LayeredGaussian`); 50 by default.
        gaps: pairs (lowest, highest) of t2 - t1 in training; [(1, 4)] by
            default. Jumps can be of any gap between the extremes.
        gap_weights: how often each pair is drawn; None (default) is equally
            often.
        gap_input: bool, whether smoothing and transition are told the gap;
            True by default.
        num_pairs: int, pairs of times of each sequence and step; 1 by default.

    Batches are frames `[batch, time, *event]`, with a sample weight `[batch]`,
    or a mask `[batch, time]` of sequences that end earlier.

    Metrics, in nats: `objective` (to be maximized), and its parts
    `log_px`, `smoothing_kl`, `log_belief` and `log_transition`; `loss` is
    minus the objective over the dimensions of a frame.

    Raises:
        ValueError: for parts that do not fit, gaps as long as the sequences,
            and times that do not increase.

    Example:

    >>> model = TDVAE(
    ...     DenseEncoder(output_channels=16, picture_size=8),
    ...     keras.layers.LSTM(16, return_sequences=True),
    ...     FactorizedDensity(DenseDecoder(1, picture_size=8), Bernoulli()),
    ...     event_shape=(8, 8, 1),
    ... )
    >>> model.compile("adam")
    >>> frames = 255 * tf.eye(8, dtype=tf.uint8)[None, None, ..., None]
    >>> frames = tf.tile(frames, [4, 6, 1, 1, 1])
    >>> history = model.fit(frames, verbose=0)
    >>> model.rollout(frames[:1], times=[1, 4], num_futures=2, seed=0).shape
    TensorShape([2, 2, 8, 8, 1])

    References:
        Gregor et al. 2019, arXiv:1806.03107, equation 6 and appendix D.
    """

    loss_names = (
        "loss",
        "objective",
        "log_px",
        "smoothing_kl",
        "log_belief",
        "log_transition",
    )

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
        gaps: Sequence[tuple[int, int]] = ((1, 4),),
        gap_weights: Sequence[float] | None = None,
        gap_input: bool = True,
        num_pairs: int = 1,
        **kwargs: Any,
    ) -> None:
        parts = (encoder, recurrent, decoder, preprocess, event_shape, seed)
        super().__init__(*parts, **kwargs)
        self._gaps = time_pairs.Gaps(gaps, gap_weights)
        self.gaps, self.gap_weights = self._gaps.ranges, self._gaps.weights
        self.gap_input = bool(gap_input)
        self.num_pairs = check_positive("num_pairs", num_pairs)
        self.hidden_units = hidden_units
        channels = int(np.sum(latent_sizes))
        told = gap_input and time_pairs.gap_channels(self._gaps.highest)

        size = self.belief_size
        sizes = dict(
            belief_density=size,
            smoothing=2 * size + channels + told,
            transition=channels + told,
        )
        for name, size in sizes.items():
            part = LayeredGaussian(latent_sizes, size, hidden_units, name=name)
            setattr(self, name, part)
        self.latent_sizes = self.transition.sizes
        self.channels = channels  # of all layers

    def build(self, input_shape: Any = None) -> None:
        self.build_parts(self.channels)
        for part in (self.belief_density, self.smoothing, self.transition):
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
        self.check_length(x.shape[1])
        pairs, each = self.num_pairs, 3 + 2 * self.channels
        noise = self.rows_noise(tf.shape(x)[0], pairs * each, training)
        noise = tf.reshape(noise, [-1, pairs, each])
        first, second = self._gaps.draw(noise[..., :3], lengths[:, tf.newaxis])
        normal = tf.math.ndtri(tf.reshape(noise[..., 3:], [-1, each - 3]))
        terms = self._terms(
            self.beliefs(x, training), x, first, second, normal, training
        )
        kl = terms.smoothing.kl_divergence(terms.earlier)
        objective = terms.log_px - kl + terms.log_transition - terms.log_belief
        metrics = dict(
            objective=objective,
            log_px=terms.log_px,
            smoothing_kl=kl,
            log_belief=terms.log_belief,
            log_transition=terms.log_transition,
        )
        # A single frame has no pair.
        valid = tf.cast(lengths > 1, tf.float32)
        metrics = {
            name: valid * tf.reduce_mean(tf.reshape(v, [-1, pairs]), axis=1)
            for name, v in metrics.items()
        }
        size = event_size(x[:, 0])
        return -metrics["objective"] / size, total(self.losses), metrics

    def _terms(self, b, x, first, second, normal, training=False):
        """Returns the `Terms` of pairs `[batch, pairs]`, flattened to rows."""
        eps2, eps1 = tf.split(normal, 2, axis=-1)
        b1, b2 = at_times(b, first), at_times(b, second)
        z2, later = self.belief_density.transform(eps2, {"global": b2})
        gap = self._told(tf.reshape(second - first, [-1]))
        z1, smoothing = self.smoothing.transform(
            eps1, {"global": tf.concat([b1, b2, z2, *gap], axis=-1)}
        )
        transition = self.transition.given(z2, self._after(z1, gap))
        log_px = self.decoder.log_prob(
            at_times(x, second), self.decoder_context(z2), training=training
        )
        return Terms(
            log_px,
            z1,
            smoothing,
            self.belief_density.given(z1, {"global": b1}),
            later.log_prob(z2),
            transition.log_prob(z2),
        )

    def _told(self, gap):
        """Returns what networks are told of gaps `[rows]`, a list of it."""
        if not self.gap_input:
            return []
        return [time_pairs.gap_features(gap, self._gaps.highest)]

    def _after(self, z, told):
        """Returns the context of the transition from z."""
        return {"global": tf.concat([z, *told], axis=-1)}

    def check_length(self, time: int | None) -> None:
        """Raises ValueError unless all gaps fit into sequences."""
        self._gaps.check_length(time)

    # The future ---------------------------------------------------------------

    @property
    def jumps(self) -> tuple[int, int]:
        return self._gaps.lowest, self._gaps.highest

    def check_gaps(self, gaps: list[int]) -> list[int]:
        """Returns gaps; raises ValueError unless training had them."""
        return self._gaps.check_jumps(super().check_gaps(gaps))

    def present(self, frames: tf.Tensor) -> tf.Tensor:
        return self.beliefs(frames)[:, -1]

    def ahead(
        self,
        present: tf.Tensor,
        gaps: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Jumps from time to time; see `SequenceModel.ahead`.

        Returns:
            z at each time, float32 `[rows, n, channels]`.
        """
        shape = tf.stack([tf.shape(present)[0], self.channels])

        def eps(number):
            noise = random.normal(shape, random.fold_in(seed, number))
            return temperature * noise

        def jump(number, z, drawn):
            told = self._told(tf.fill(shape[:1], gaps[number]))
            z, _ = self.transition.transform(
                eps(number + 1), self._after(z, told)
            )
            return number + 1, z, drawn.write(number, z)

        z, _ = self.belief_density.transform(eps(0), {"global": present})
        count = tf.shape(gaps)[0]
        _, _, drawn = tf.while_loop(
            lambda number, *_: number < count,
            jump,
            [tf.constant(0), z, tf.TensorArray(tf.float32, count)],
        )
        drawn = tf.transpose(drawn.stack(), [1, 0, 2])
        return tf.ensure_shape(drawn, [None, *gaps.shape, self.channels])

    def log_weights(
        self,
        frames: tf.Tensor | np.ndarray,
        gap: int = 1,
        num_samples: int = 1,
        seed: int | tf.Tensor = 0,
        proposal: str = "smoothing",
    ) -> tf.Tensor:
        """Returns importance weights for p(x_T | x_1, ..., x_(T - gap)).

        Args:
            frames, gap, num_samples, seed: as for `SequenceModel.log_weights`.
            proposal: "smoothing" (default): z_T from the belief that has seen
                x_T, z_(T - gap) from the smoothing distribution; "belief":
                both from the model, without x_T.

        Returns:
            float32 `[S, batch]` nats; the mean of their exponentials estimates
            the probability without bias.
        """
        check_choice("proposal", proposal, PROPOSALS)
        if proposal == "belief":
            return super().log_weights(frames, gap, num_samples, seed)
        frames, gap = self.check_prediction(frames, gap)
        num_samples = check_positive("num_samples", num_samples)
        rows = tf.shape(frames)[0]
        noise = self.rows_noise(
            rows, num_samples * 2 * self.channels, seed=random.make_seed(seed)
        )
        normal = tf.math.ndtri(tf.reshape(noise, [-1, 2 * self.channels]))
        second = tf.fill(tf.stack([rows, num_samples]), frames.shape[1] - 1)
        terms = self._terms(
            self.beliefs(frames), frames, second - gap, second, normal
        )
        ratio = terms.earlier.log_prob(terms.z1)
        ratio -= terms.smoothing.log_prob(terms.z1)
        ratio += terms.log_transition - terms.log_belief
        found = terms.log_px + ratio
        return tf.transpose(tf.reshape(found, [-1, num_samples]))
