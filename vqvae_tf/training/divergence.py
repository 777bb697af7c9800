"""Whether training has diverged: whether its loss and state are finite."""

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
    """The loss or a variable is infinite or NaN."""


class Saved(Protocol):
    """What is used of `checkpoints.Checkpoints`, which imports this module."""

    directory: pathlib.Path
    strategy: tf.distribute.Strategy

    def steps(self) -> list[int]: ...


class StopAtNotFinite(keras.callbacks.Callback):
    """Stops training at the end of an epoch whose loss is not finite.

    Must come before callbacks that write anything about the epoch.

    Args:
        checkpoints: the `checkpoints.Checkpoints` of the run.
        step: the number of steps done.
    """

    def __init__(self, checkpoints: Saved, step: int) -> None:
        super().__init__()
        self.checkpoints, self.step = checkpoints, step
        self._loss = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        self._loss = (logs or {}).get("loss")  # reading it here would wait

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._loss = (logs or {}).get("loss", self._loss)
        self.check()

    def check(self) -> None:
        """Raises NotFinite if the loss of the epoch so far is not finite."""
        if self._loss is None:
            return
        loss = float(tf.reshape(tf.convert_to_tensor(self._loss), [-1])[0])
        bad = int(not math.isfinite(loss))
        if max(strategies.of_all_workers(bad, self.checkpoints.strategy)):
            if _leaves_steps_out(self.model.optimizer):
                logging.warning(
                    "The epoch's mean loss is %s at step %d: a step overflowed "
                    "and was left out.",
                    loss,
                    self.step,
                )
                return
            raise NotFinite(
                f"The loss is {loss} at step {self.step}. "
                f"{kept(self.checkpoints)}"
            )


def _leaves_steps_out(optimizer) -> bool:
    """Returns whether overflowing steps are skipped, as in float16.

    Each halves the loss scale. Below 1, a smaller scale cannot help.
    """
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return scales and float(tf.convert_to_tensor(optimizer.dynamic_scale)) >= 1


def kept(checkpoints: Saved) -> str:
    """Returns which checkpoint is left after divergence, and what to do."""
    steps = checkpoints.steps()
    left = (
        f"The checkpoint of step {steps[0]} in {checkpoints.directory} is kept"
        if steps
        else "There is no checkpoint yet"
    )
    return (
        f"{left}, and nothing is published. Start again in another --workdir "
        "with a lower learning_rate or a clip_norm (such as 1.0) for this "
        "stage."
    )


def unsound(variables: Iterable[keras.Variable | tf.Variable]) -> list[str]:
    """Returns the names of variables with values that are not finite.

    Args:
        variables: of Keras or TensorFlow; integer ones are skipped.
    """
    floats = [v for v in variables if tf.as_dtype(v.dtype).is_floating]
    # Sums of 0 * x are 0 unless an x is not finite; all are read at once.
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
