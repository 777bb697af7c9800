"""Whether a training is still one: its loss and its state are numbers."""

import math
import pathlib
from collections.abc import Iterable
from typing import Protocol

import keras
import tensorflow as tf
from absl import logging

from vqvae_tf.runtime import strategies
from vqvae_tf.utils.errors import ExplainedError


class NotFinite(ExplainedError):
    """A training whose loss or state is infinite or no number."""


class Saved(Protocol):
    """What is asked of `checkpoints.Checkpoints`, which imports this module."""

    directory: pathlib.Path
    strategy: tf.distribute.Strategy

    def steps(self) -> list[int]: ...


class StopAtNotFinite(keras.callbacks.Callback):
    """Ends a training as an epoch ends whose loss is not finite.

    Before anything is written of the epoch: put it before other callbacks.

    Args:
        checkpoints: `checkpoints.Checkpoints`, those that are kept.
        step: the steps that are done.
    """

    def __init__(self, checkpoints: Saved, step: int) -> None:
        super().__init__()
        self.checkpoints, self.step = checkpoints, step
        self._loss = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        self._loss = (logs or {}).get("loss")  # not read: that would wait

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._loss = (logs or {}).get("loss", self._loss)
        self.check()

    def check(self) -> None:
        """Raises NotFinite if the loss of the epoch so far is not finite."""
        if self._loss is None:
            return
        loss = tf.reshape(tf.convert_to_tensor(self._loss), [-1])[0]
        loss = float(loss)
        bad = int(not math.isfinite(loss))
        if max(strategies.of_all_workers(bad, self.checkpoints.strategy)):
            if _leaves_steps_out(self.model.optimizer):
                logging.warning(
                    "The epoch's mean loss is %s at step %d: a step of it has "
                    "overflowed, and was left out.",
                    loss,
                    self.step,
                )
                return
            raise NotFinite(
                f"The loss is {loss} at step {self.step}. "
                f"{kept(self.checkpoints)}"
            )


def _leaves_steps_out(optimizer) -> bool:
    """Returns whether steps that overflow change nothing, as in float16.

    Each halves the scale of the loss. Below 1 nothing is left that a smaller
    scale could mend.
    """
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return scales and float(tf.convert_to_tensor(optimizer.dynamic_scale)) >= 1


def kept(checkpoints: Saved) -> str:
    """Returns what is left of a training that diverged, and what to do."""
    steps = checkpoints.steps()
    left = (
        f"The checkpoint of step {steps[0]} in {checkpoints.directory} is kept"
        if steps
        else "There is no checkpoint yet"
    )
    return (
        f"{left}, and nothing is published. Begin again in another --workdir "
        "with a lower learning_rate, or a clip_norm (such as 1.0) of the "
        "training that this is."
    )


def unsound(variables: Iterable[keras.Variable | tf.Variable]) -> list[str]:
    """Returns the names of variables that are not finite in every number.

    Args:
        variables: of Keras or TensorFlow; those of integers are passed over.
    """
    floats = [v for v in variables if tf.as_dtype(v.dtype).is_floating]
    # 0 times a number is 0; all are read at once.
    sums = [
        tf.reduce_sum(tf.cast(tf.convert_to_tensor(v), tf.float32) * 0)
        for v in floats
    ]
    if not sums or math.isfinite(float(tf.add_n(sums))):
        return []
    return [
        getattr(variable, "path", variable.name)
        for variable, total in zip(floats, sums)
        if math.isnan(float(total))
    ]
