"""Fitting one model of a run, with checkpoints, history and summaries."""

import functools
import pathlib
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from ml_collections import ConfigDict

from vqvae_tf.recipes import building
from vqvae_tf.runtime import strategies
from vqvae_tf.training import (
    averaging,
    divergence,
    history,
    interruption,
)
from vqvae_tf.training.checkpoints import Checkpoints
from vqvae_tf.utils.progress import verbosity

# Workers agree whether to save or stop only after so many steps or seconds,
# whichever comes first, since asking takes time.
AGREE_STEPS, AGREE_SECONDS = 20, 5.0


def fit(
    model: keras.Model,
    training: ConfigDict,
    batches: Callable[..., tf.data.Dataset],
    directory: pathlib.Path,
    pictures: Callable[[], dict],
    optimizers: Callable[[ConfigDict], dict] | None = None,
) -> None:
    """Fits one stage up to its number of steps, from its last checkpoint.

    If it is killed at any time and called again, the variables, history and
    summaries are bit for bit those of an uninterrupted run. With
    `training.ema_momentum` the weights end as their averages.

    Args:
        model: a built model; it is compiled here.
        training: the recipe's section: steps, learning rate and so on.
        batches: a function that returns a dataset, given `skip_steps`, the
            number of steps already done, and `part`, (index, count) of the
            worker whose rows of each batch are wanted.
        directory: where checkpoints are; the logs are beside it, in `logs/`.
        pictures: a function that returns what to log at the end of an epoch:
            a dict of uint8 pictures and of numbers.
        optimizers: makes the arguments of `compile` from the section; by
            default those of `building.make_optimizer`.

    Raises:
        checkpoints.CheckpointError: if one cannot be written, or none read.
        divergence.NotFinite: if the loss or a variable is not finite; the last
            good checkpoint is kept.
        interruption.Interrupted: on Ctrl-C or SIGTERM, after saving.
    """
    with model.distribute_strategy.scope():
        model.compile(**(optimizers or _one_optimizer)(training))
        model.build_optimizers()
    checkpoints = Checkpoints(model, directory)
    done = checkpoints.restore()
    if done < training.steps:
        _fit_rest(model, training, batches, checkpoints, done, pictures)
    averaging.use_averages(model)


def _one_optimizer(training):
    return {"optimizer": building.make_optimizer(training)}


def _fit_rest(model, training, batches, checkpoints, done, pictures):
    """Fits the steps after the first `done`."""
    directory = checkpoints.directory
    logging.info("%s: steps %d to %d.", directory.name, done, training.steps)
    logs = directory.parent / "logs" / directory.name
    with interruption.requests() as request:
        stop = divergence.StopAtNotFinite(checkpoints, done)
        callbacks = [stop]
        if strategies.is_chief():
            callbacks.append(Records(logs, done, training, pictures))
        callbacks.append(
            Keeper(checkpoints, training, done, request, stop.check)
        )
        _fit(model, training, batches, done, callbacks)


def _fit(model, training, batches, done, callbacks):
    """Fits the rest of an epoch, whole epochs, and the remaining steps."""
    size, last = training.steps_per_epoch, training.steps
    total = -(-last // size)
    while done < last:
        epoch = done // size
        steps = min(size - done % size, last - done)
        epochs = (last - done) // size if steps == size else 1
        model.fit(
            strategies.distributed(functools.partial(batches, skip_steps=done)),
            steps_per_epoch=steps,
            initial_epoch=epoch,
            epochs=total,
            verbose=verbosity(strategies.is_chief()),
            callbacks=[*callbacks, StopAfter(epochs)],
        )
        done += steps * epochs


class StopAfter(keras.callbacks.Callback):
    """Ends a fit after some of the epochs whose total Keras shows."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.left = epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.left -= 1
        self.model.stop_training = self.left == 0


class Keeper(keras.callbacks.Callback):
    """Saves every few minutes, at the end, and when asked to stop.

    Args:
        checkpoints: where to save.
        training: the recipe's section.
        step: the number of steps done.
        request: whether to stop.
        check: called before saving; an error prevents it.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        training: ConfigDict,
        step: int,
        request: interruption.Request,
        check: Callable[[], None],
    ) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self.training = training
        self.step = step
        self.request = request
        self.check = check
        self.saved_at = self.began_at = time.monotonic()
        self.first = step
        self.agree_at = step + 1

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        # Keras has just reset them.
        if self.step % self.training.steps_per_epoch:
            self.checkpoints.restore_metrics(self.step)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1
        # At the end of an epoch `on_epoch_end` saves, after the records.
        if not self._ends_epoch():
            self._keep()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._keep()

    def _ends_epoch(self):
        size = self.training.steps_per_epoch
        return self.step % size == 0 or self.step == self.training.steps

    def _keep(self):
        """Saves, and stops, if necessary."""
        wish = self.request.signal or int(self._is_due())
        wish = self._agree(wish)
        if not wish and self.step < self.training.steps:
            return
        self.check()
        self.checkpoints.save(self.step, within_epoch=not self._ends_epoch())
        self.saved_at = time.monotonic()
        if wish > 1:
            raise interruption.Interrupted(
                f"Stopped at step {self.step} of {self.training.steps}, which "
                "is saved; the same command resumes there.",
                wish,
            )

    def _agree(self, wish):
        """Returns the greatest wish of all workers; 0 between agreements."""
        if not strategies.is_multi_worker(self.model.distribute_strategy):
            return wish
        if self.step < self.agree_at and not self._ends_epoch():
            return 0
        wishes = strategies.of_all_workers(wish, self.model.distribute_strategy)
        seconds = time.monotonic() - self.began_at
        seconds /= self.step - self.first
        pace = min(AGREE_STEPS, max(1, int(AGREE_SECONDS / seconds)))
        paces = strategies.of_all_workers(pace, self.model.distribute_strategy)
        self.agree_at = self.step + min(paces)
        return max(wishes)

    def _is_due(self):
        minutes = (time.monotonic() - self.saved_at) / 60
        return minutes >= self.training.checkpoint_minutes


class Records(keras.callbacks.Callback):
    """Writes each epoch's metrics and pictures to history and TensorBoard.

    Args:
        directory: the log directory; entries of later steps are dropped.
        step: the number of steps done.
        training: the recipe's section.
        pictures: a function that returns a dict of uint8 pictures `[height,
            width, channels]`, and of numbers, which are added to the metrics.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        step: int,
        training: ConfigDict,
        pictures: Callable[[], dict],
    ) -> None:
        super().__init__()
        history.cut_summaries(directory, step)
        self.history = history.History(directory / "history.jsonl", step)
        self.writer = tf.summary.create_file_writer(str(directory))
        self.step = step
        self.training = training
        self.pictures = pictures

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        rate = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
        row = {**(logs or {}), "learning_rate": rate}
        with averaging.averaged(self.model):
            found = self.pictures()
        row |= {k: v for k, v in found.items() if not np.ndim(v)}
        with self.writer.as_default(self.step):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            for name, picture in found.items():
                if name not in row:
                    tf.summary.image(name, tf.convert_to_tensor(picture)[None])
        self.writer.flush()
        self.history.add(self.step, row)
