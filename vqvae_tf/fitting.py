"""Fitting one model of a run: checkpoints, history, summaries, going on."""

import functools
import sys
import time

import keras
import tensorflow as tf
from absl import logging

from vqvae_tf import history, interruption, recipes, strategies
from vqvae_tf.checkpoints import Checkpoints
from vqvae_tf.messages import first_line

# So often workers agree whether to save, or to stop: asking takes a moment.
AGREE_STEPS = 20


class WorkerLost(Exception):
    """Another process of the training is gone."""


def fit(model, training, batches, directory, pictures):
    """Fits one stage up to its number of steps, from its last checkpoint.

    Killed at any moment and called again, it ends with the same variables,
    history and summaries, bit for bit, as if it had been left alone.

    Args:
        model: a model with variables; it is compiled here.
        training: the recipe's section: steps, learning rate and so on.
        batches: a function that returns a dataset, of `skip_steps`, the
            number of steps that are done already, and `part`, (index, count)
            of the worker whose rows of each batch it holds.
        directory: where checkpoints are; the logs are beside it, in `logs/`.
        pictures: a function that returns a dict of uint8 pictures to log.

    Raises:
        checkpoints.CheckpointError: if one cannot be written, or none read.
        interruption.Interrupted: on Ctrl-C or SIGTERM, after saving.
        WorkerLost: where another worker has stopped.
    """
    with model.distribute_strategy.scope():
        model.compile(recipes.make_optimizer(training))
        model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(model, directory)
    done = checkpoints.restore()
    if done >= training.steps:
        return
    logging.info("%s: steps %d to %d.", directory.name, done, training.steps)
    logs = directory.parent / "logs" / directory.name
    with interruption.requests() as request:
        callbacks = [
            *_records(logs, done, training, pictures),
            Keeper(checkpoints, training, done, request),
        ]
        try:
            _fit(model, training, batches, done, callbacks)
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            if not strategies.is_multi_worker(model.distribute_strategy):
                raise
            raise WorkerLost(
                "Another worker has stopped, or cannot be reached "
                f"({first_line(error)}). Start all of them again with the same "
                "command: they go on from the last checkpoint."
            ) from error


def _fit(model, training, batches, done, callbacks):
    """Calls `fit` for the rest of an epoch, whole epochs, and what is left."""
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
            verbose=verbosity(),
            callbacks=[*callbacks, StopAfter(epochs)],
        )
        done += steps * epochs


class StopAfter(keras.callbacks.Callback):
    """Ends a fit after so many epochs, of the total that it shows."""

    def __init__(self, epochs):
        super().__init__()
        self.left = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.left -= 1
        self.model.stop_training = self.left == 0


def _records(logs, done, training, pictures):
    """Returns the callbacks that write of the course; none but the chief's."""
    if not strategies.is_chief():
        return []
    return [Records(logs, done, training, pictures)]


def verbosity():
    """Returns the `verbose` of Keras: a bar on a terminal, else lines."""
    if not strategies.is_chief():
        return 0
    return 1 if sys.stdout.isatty() else 2


class Keeper(keras.callbacks.Callback):
    """Saves every few minutes, at the end, and when it is asked to stop.

    Args:
        checkpoints: `checkpoints.Checkpoints`.
        training: the recipe's section.
        step: the steps that are done.
        request: `interruption.Request`.
    """

    def __init__(self, checkpoints, training, step, request):
        super().__init__()
        self.checkpoints = checkpoints
        self.training = training
        self.step = step
        self.request = request
        self.saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        # Keras has set them back just now.
        if self.step % self.training.steps_per_epoch:
            self.checkpoints.restore_metrics(self.step)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        # At an epoch's end its records come first, in `on_epoch_end`.
        if not self._ends_epoch():
            self._keep()

    def on_epoch_end(self, epoch, logs=None):
        if self.step == self.training.steps:
            self.checkpoints.save(self.step)
        else:
            self._keep()

    def _ends_epoch(self):
        size = self.training.steps_per_epoch
        return self.step % size == 0 or self.step == self.training.steps

    def _keep(self):
        """Saves, and stops, if it is time to."""
        wish = 2 * (self.request.signal is not None) or self._is_due()
        if strategies.is_multi_worker():
            if self.step % AGREE_STEPS:
                return
            wish = max(strategies.of_all_workers(wish))
        if not wish:
            return
        self.checkpoints.save(self.step)
        self.saved_at = time.monotonic()
        if wish == 2:
            self._stop()

    def _is_due(self):
        minutes = (time.monotonic() - self.saved_at) / 60
        return int(minutes >= self.training.checkpoint_minutes)

    def _stop(self):
        number = self.request.signal
        raise interruption.Interrupted(
            f"Stopped at step {self.step} of {self.training.steps}, which is "
            "saved; the same command goes on.",
            number,
        )


class Records(keras.callbacks.Callback):
    """Writes an epoch's metrics, and pictures, for people and TensorBoard.

    Args:
        directory: the log directory; what it says of later steps is dropped.
        step: the steps that are done.
        training: the recipe's section.
        pictures: a function without arguments that returns a dict of uint8
            `[height, width, channels]` pictures.
    """

    def __init__(self, directory, step, training, pictures):
        super().__init__()
        history.cut_summaries(directory, step)
        self.history = history.History(directory / "history.jsonl", step)
        self.writer = tf.summary.create_file_writer(str(directory))
        self.step = step
        self.training = training
        self.pictures = pictures

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1

    def on_epoch_end(self, epoch, logs=None):
        rate = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
        row = {**(logs or {}), "learning_rate": rate}
        with self.writer.as_default(self.step):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            for name, picture in self.pictures().items():
                tf.summary.image(name, tf.convert_to_tensor(picture)[None])
        self.writer.flush()
        self.history.add(self.step, row)
