"""The base of models of sequences: futures, and how likely they are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks.estimators import log_mean_exp
from vqvae_tf.models.belief_model import BeliefModel
from vqvae_tf.models.time_axis import each
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive


class SequenceModel(BeliefModel):
    """A model of sequences that continues them.

    Subclasses implement `compute_losses`, `present` and `ahead`; rollouts and
    likelihoods follow.
    """

    @property
    def jumps(self) -> tuple[int, int] | None:
        """The shortest and the longest jump; None if it goes step by step."""
        return None

    @classmethod
    def context_channels(
        cls, units: int, latent_sizes: Sequence[int] = (8, 8), **options: Any
    ) -> int:
        """Returns the channels of the decoder's context.

        Args:
            units: of the recurrent layer.
            latent_sizes, options: other arguments of the class.
        """
        del cls, units, options
        return int(np.sum(latent_sizes))

    def present(self, frames: tf.Tensor) -> Any:
        """Returns what futures start from, tensors `[batch, ...]`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement present(frames)."
        )

    def ahead(
        self,
        present: Any,
        gaps: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Draws a future of each row, as the decoder's context.

        Args:
            present: from `present`.
            gaps: int32 `[n]`, from each time to the next one, the first from
                the present.
            seed: int32 [2].
            temperature: scales the spread of what is drawn.

        Returns:
            float32 `[rows, n, channels]`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement ahead(present, gaps, ...)."
        )

    def check_gaps(self, gaps: list[int]) -> list[int]:
        """Returns gaps between times; raises ValueError for unknown ones."""
        return check_increasing(gaps)

    def rollout(
        self,
        frames: tf.Tensor | np.ndarray,
        steps: int | None = None,
        times: Sequence[int] | None = None,
        num_futures: int = 1,
        seed: int | tf.Tensor | None = None,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Continues sequences, and decodes the frames that are asked for.

        Args:
            frames: the past, `[batch, time, *event]`.
            steps: n, for the times 1, ..., n.
            times: increasing times after the last frame, instead of steps.
            num_futures: F, continuations of each sequence.
            seed: an integer, or int32 [2]; None (default) for a new one.
            temperature: scales the spread of what is drawn; 0 follows means.

        Returns:
            `[batch * F, n, *event]`, the decoder's point estimates (samples,
            if it has none); the futures of a sequence are consecutive.
        """
        seed = random.make_seed(seed)
        drawn = self.rollout_context(
            frames, steps, times, num_futures, seed, temperature
        )
        return self.decoded(drawn, seed, temperature)

    def rollout_context(
        self,
        frames: tf.Tensor | np.ndarray,
        steps: int | None = None,
        times: Sequence[int] | None = None,
        num_futures: int = 1,
        seed: int | tf.Tensor | None = None,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """As `rollout`, but returns what would be decoded.

        Returns:
            float32 `[batch * F, n, channels]`.
        """
        if (steps is None) == (times is None):
            raise ValueError(
                "Pass either steps or times. Received: "
                f"steps={steps}, times={times}."
            )
        if times is None:
            times = range(1, check_positive("steps", steps) + 1)
        gaps = self.check_gaps(np.diff([0, *times]).tolist())
        frames = tensor_checks.as_tensor("frames", frames)
        self.check_input(frames)
        num_futures = check_positive("num_futures", num_futures)
        temperature = tensor_checks.temperature(temperature)
        return self.ahead(
            repeated(self.present(frames), num_futures),
            tf.constant(gaps, tf.int32),
            random.make_seed(seed),
            tf.cast(temperature, tf.float32),
        )

    def decoded(
        self,
        channels: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Decodes `[rows, n, channels]`: the mode, or a sample if it has none.

        Returns:
            `[rows, n, *event]`.
        """

        def decode(rows):
            context = self.decoder_context(rows)
            if self.decoder.has_mode:
                return self.decoder.mode(context)
            return self.decoder.sample(
                context=context,
                seed=random.fold_in(seed, -1),
                temperature=temperature,
            )

        frames = each(decode, channels)
        return tf.ensure_shape(frames, [None, None, *self.event_shape])

    def log_weights(
        self,
        frames: tf.Tensor | np.ndarray,
        gap: int = 1,
        num_samples: int = 1,
        seed: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        """Returns log p(x_T | a future drawn from x_1, ..., x_(T - gap)).

        Args:
            frames: `[batch, T, *event]`; the last one is predicted.
            gap: 1 to T - 1.
            num_samples: S.
            seed: an integer, or int32 [2].

        Returns:
            float32 `[S, batch]` nats; the mean of their exponentials estimates
            the probability without bias.
        """
        frames, gap = self.check_prediction(frames, gap)
        num_samples = check_positive("num_samples", num_samples)
        drawn = self.ahead(
            repeated(self.present(frames[:, :-gap]), num_samples),
            tf.constant([gap]),
            random.make_seed(seed),
        )
        found = self.decoder.log_prob(
            repeated(frames[:, -1], num_samples),
            self.decoder_context(drawn[:, 0]),
        )
        return tf.transpose(tf.reshape(found, [-1, num_samples]))

    def log_prob(
        self,
        frames: tf.Tensor | np.ndarray,
        gap: int = 1,
        num_samples: int = 1,
        seed: int | tf.Tensor = 0,
        **options: Any,
    ) -> tf.Tensor:
        """Returns a bound on log p(x_T | x_1, ..., x_(T - gap)), [batch] nats.

        Its expectation is at most the log-probability, and rises to it with
        the number of samples; see `log_weights` for the arguments.
        """
        return log_mean_exp(
            self.log_weights(frames, gap, num_samples, seed, **options)
        )

    def check_prediction(
        self, frames: tf.Tensor | np.ndarray, gap: int
    ) -> tuple[tf.Tensor, int]:
        """Checks frames whose last one is predicted, and how far ahead."""
        frames = tensor_checks.as_tensor("frames", frames)
        self.check_input(frames)
        gap, time = self.check_gaps([gap])[0], frames.shape[1]
        if time is None or gap >= time:
            raise ValueError(
                f"There is no frame {gap} before the last one. Received: "
                f"frames of shape {tuple(frames.shape)}. Give a longer clip."
            )
        return frames, gap


def check_increasing(gaps: list[int]) -> list[int]:
    """Returns gaps; raises ValueError unless the times they lead to rise."""
    if not gaps or min(gaps) < 1:
        raise ValueError(
            "Times must increase, from 1 on. Received: times whose "
            f"differences are {gaps}."
        )
    return gaps


def repeated(values: Any, count: int | tf.Tensor) -> Any:
    """Returns tensors `[batch * count, ...]`, equal rows next to each other."""
    return tf.nest.map_structure(
        lambda v: tf.ensure_shape(
            tf.repeat(v, count, axis=0), [None, *v.shape[1:]]
        ),
        values,
    )


def unit_steps(
    step: Callable[[tf.Tensor, Any], tuple[Any, tf.Tensor]],
    state: Any,
    gaps: tf.Tensor,
) -> tf.Tensor:
    """Takes steps of one frame, and returns what is found at some times.

    Args:
        step: of the number of the step, from 0 on, and the state `[rows,
            ...]`, returns the next state and the channels `[rows, channels]`
            that decode the frame it leads to.
        state: the first one.
        gaps: int32 `[n]`, from each time to the next one.

    Returns:
        float32 `[rows, n, channels]`.
    """
    times = tf.cumsum(gaps)

    def body(number, state, drawn):
        state, channels = step(number, state)
        return number + 1, state, drawn.write(number, channels)

    _, _, drawn = tf.while_loop(
        lambda number, *_: number < times[-1],
        body,
        [tf.constant(0), state, tf.TensorArray(tf.float32, times[-1])],
    )
    found = tf.gather(drawn.stack(), times - 1)
    return tf.transpose(found, [1, 0, 2])
