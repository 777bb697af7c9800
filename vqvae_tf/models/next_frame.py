"""A recurrent model of the next frame, rolled out frame by frame."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.densities.base import event_size
from vqvae_tf.models.sequence_model import SequenceModel, unit_steps
from vqvae_tf.runtime import random
from vqvae_tf.runtime.step import total


@keras.saving.register_keras_serializable("vqvae_tf")
class NextFrameModel(SequenceModel):
    """Maximizes log p(x_(t+1) | b_t): the usual recurrent network.

    A future is drawn frame by frame: each is sampled, and read like those that
    were given. It has no latents.

    Args:
        encoder, recurrent, decoder, preprocess, event_shape, seed: same as for
            `BeliefModel`; the decoder's context is b_t.

    Batches are those of `TDVAE`.

    Metrics: `objective`, nats a frame, from the second frame on (to be
    maximized); `loss` is minus the objective over the dimensions of a frame.

    Raises:
        ValueError: for parts that do not fit.

    Example:

    >>> model = NextFrameModel(
    ...     keras.layers.Dense(8, "tanh"),
    ...     keras.layers.LSTM(16, return_sequences=True),
    ...     densities.LayeredGaussian((1,), global_channels=16),
    ...     preprocess=keras.layers.Identity(),
    ...     event_shape=(1,),
    ... )
    >>> model.rollout(tf.zeros([2, 5, 1]), times=[1, 4], seed=0).shape
    TensorShape([2, 2, 1])

    References:
        Gregor et al. 2019, arXiv:1806.03107, section 5.2 (its baseline).
    """

    loss_names = ("loss", "objective")

    def build(self, input_shape: Any = None) -> None:
        self.build_parts(self.belief_size)
        self.built = True

    def compute_losses(
        self,
        x: tf.Tensor,
        context: dict[str, tf.Tensor] | None = None,
        weight: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, dict]:
        self.check_context(context)
        x, lengths = self.frames_and_lengths(x, weight)
        b = self.beliefs(x[:, :-1], training)
        frames = tf.reshape(
            x[:, 1:], tf.concat([[-1], tf.shape(x)[2:]], axis=0)
        )
        log_px = self.decoder.log_prob(
            frames,
            self.decoder_context(tf.reshape(b, [-1, self.belief_size])),
            training=training,
        )
        valid = tf.sequence_mask(lengths - 1, tf.shape(b)[1], tf.float32)
        log_px = tf.reduce_sum(valid * tf.reshape(log_px, tf.shape(valid)), 1)
        # A single frame has no next one.
        log_px /= tf.maximum(tf.cast(lengths - 1, tf.float32), 1.0)
        size = event_size(x[:, 0])
        return -log_px / size, total(self.losses), {"objective": log_px}

    # The future ---------------------------------------------------------------

    @classmethod
    def context_channels(cls, units: int, **options: Any) -> int:
        return units

    def present(self, frames: tf.Tensor) -> dict:
        self.check_spec(frames)
        if not self.built:
            self.build()
        b, states = self.read(self.features(frames))
        return {"belief": b[:, -1], "states": states}

    def ahead(
        self,
        present: dict,
        gaps: tf.Tensor,
        seed: tf.Tensor,
        temperature: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """Draws frame by frame; see `SequenceModel.ahead`.

        Returns:
            b before each of the frames, float32 `[rows, n, belief_size]`.
        """

        def step(number, now):
            b = now["belief"]
            frame = self.decoder.sample(
                context=self.decoder_context(b),
                seed=random.fold_in(seed, number),
                temperature=temperature,
            )
            found, states = self.read(
                self.features(frame[:, tf.newaxis]), now["states"]
            )
            return {"belief": found[:, -1], "states": states}, b

        return unit_steps(step, present, gaps)
