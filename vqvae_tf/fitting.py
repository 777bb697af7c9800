"""Fitting one model of a run: checkpoints, summaries, going on."""

import sys
import time

import keras
import tensorflow as tf
from absl import logging

from vqvae_tf import recipes


def fit(model, training, batches, directory, pictures):
    """Fits one stage up to its number of steps, from its last checkpoint.

    Args:
        model: a model with variables; it is compiled here.
        training: the recipe's section: steps, learning rate and so on.
        batches: a function of the number of steps that are done already; it
            returns the dataset that goes on from there.
        directory: where checkpoints are; the logs are beside it, in `logs/`.
        pictures: a function that returns a dict of uint8 pictures to log.
    """
    model.compile(recipes.make_optimizer(training))
    model.optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(model, directory, training.checkpoint_minutes)
    done = checkpoints.restore()
    if done >= training.steps:
        return
    remaining = training.steps - done
    epoch = min(training.steps_per_epoch, remaining)
    logging.info("%s: steps %d to %d.", directory.name, done, training.steps)
    model.fit(
        batches(done),
        steps_per_epoch=epoch,
        epochs=-(-remaining // epoch),
        verbose=verbosity(),
        callbacks=[
            StopAt(training.steps),
            Summaries(directory.parent / "logs" / directory.name, pictures),
            checkpoints,
        ],
    )
    checkpoints.save()


def verbosity():
    """Returns the `verbose` of Keras: a bar on a terminal, else lines."""
    return 1 if sys.stdout.isatty() else 2


class StopAt(keras.callbacks.Callback):
    """Ends a fit when the optimizer has made so many steps in all."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= self.steps:
            self.model.stop_training = True


class Checkpoints(keras.callbacks.Callback):
    """Saves model and optimizer every few minutes; keeps the last two.

    A checkpoint counts once TensorFlow has renamed its index into place, so a
    run that is killed while saving goes on from the one before.

    Args:
        model: a compiled model with variables.
        directory: where to save.
        minutes: the longest time that a killed run loses.
    """

    def __init__(self, model, directory, minutes):
        super().__init__()
        self.minutes = minutes
        # By number: a checkpoint of the model itself would not see what is
        # in lists of layers, and lose their state that is not trained.
        checkpoint = tf.train.Checkpoint(
            variables=[variable.value for variable in model.variables],
            optimizer=model.optimizer,
        )
        self.manager = tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=2
        )
        self.optimizer = model.optimizer
        self.saved_at = time.monotonic()

    def restore(self) -> int:
        """Restores the newest checkpoint; returns its step, 0 without one."""
        newest = self.manager.latest_checkpoint
        if newest is None:
            return 0
        status = self.manager.checkpoint.restore(newest)
        status.assert_existing_objects_matched()
        logging.info("Going on from %s.", newest)
        return int(self.optimizer.iterations)

    def save(self):
        """Saves now."""
        self.manager.save(int(self.optimizer.iterations))
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.saved_at >= 60 * self.minutes:
            self.save()


class Summaries(keras.callbacks.Callback):
    """Writes an epoch's metrics, and pictures, for TensorBoard.

    Args:
        directory: the log directory.
        pictures: a function without arguments that returns a dict of uint8
            `[height, width, channels]` pictures.
    """

    def __init__(self, directory, pictures):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(directory))
        self.pictures = pictures

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations)
        with self.writer.as_default(step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            rate = self.model.optimizer.learning_rate
            tf.summary.scalar("learning_rate", tf.convert_to_tensor(rate))
            for name, picture in self.pictures().items():
                tf.summary.image(name, tf.convert_to_tensor(picture)[None])
        self.writer.flush()
