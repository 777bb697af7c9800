"""Checkpoints of a training, from which it goes on to the same result.

    DIRECTORY/ckpt-STEP.*            variables and optimizer, of the chief
    DIRECTORY/workers/I/ckpt-STEP.*  the epoch's metrics so far, of worker I

Metrics differ between replicas until they are read, so each worker keeps its
own. They are written first: where there is a ckpt-STEP, there are all parts.
"""

import pathlib
import re
import shutil

import tensorflow as tf
from absl import logging

from vqvae_tf import strategies
from vqvae_tf.messages import first_line

KEPT = 2


class CheckpointError(Exception):
    """Checkpoints that cannot be written, or none of which can be read."""


class Checkpoints:
    """Saves and restores the state of a training; keeps the last two.

    Args:
        model: a compiled model whose variables, and the optimizer's, are made.
        directory: where to save; on several machines, one that all of them see.
    """

    def __init__(self, model, directory):
        self.directory = pathlib.Path(directory)
        self.strategy = model.distribute_strategy
        index = strategies.worker_index(self.strategy)
        self._own = self.directory / "workers" / str(index)
        # By number: a checkpoint of the model itself would not see what is
        # in lists of layers, and lose their state that is not trained.
        self._state = tf.train.Checkpoint(
            variables=[variable.value for variable in model.variables],
            optimizer=model.optimizer,
        )
        # Each replica's own part, as it is: a sum that is read and divided
        # again would round.
        self._metrics = tf.train.Checkpoint(
            parts=[
                part
                for variable in model.metrics_variables
                for part in self.strategy.experimental_local_results(
                    variable.value
                )
            ]
        )

    def steps(self) -> list[int]:
        """Returns the steps of which there are checkpoints, newest first."""
        return _steps(self.directory)

    def save(self, step):
        """Saves the state after `step` steps.

        Raises:
            CheckpointError: if it cannot be written; earlier ones stay.
        """
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            self._metrics.write(str(self._own / f"ckpt-{step}"))
            strategies.wait_for_all(self.strategy)
            if strategies.is_chief(self.strategy):
                self._state.write(str(self.directory / f"ckpt-{step}"))
            strategies.wait_for_all(self.strategy)
        except (tf.errors.UnavailableError, tf.errors.AbortedError):
            raise  # another worker is lost
        except (OSError, tf.errors.OpError) as error:
            self._remove_part(step)
            raise CheckpointError(self._cannot_save(step, error)) from error
        self._remove_old()

    def restore(self) -> int:
        """Restores the newest checkpoint that can be read.

        Returns:
            Its step, 0 without any.

        Raises:
            CheckpointError: if there are some, and none can be read.
        """
        steps = self.steps()
        for step in steps:
            if self._restore(step):
                return step
        if steps:
            raise CheckpointError(
                f"No checkpoint in {self.directory} can be read. Received: "
                f"those of steps {', '.join(map(str, steps))}. Copy them from "
                "a backup, or remove the directory to begin again."
            )
        return 0

    def restore_metrics(self, step):
        """Restores what the epoch's metrics were after `step` steps."""
        self._metrics.read(str(self._own / f"ckpt-{step}")).assert_consumed()

    def _restore(self, step):
        """Returns whether every worker could restore this step."""
        try:
            path = str(self.directory / f"ckpt-{step}")
            self._state.read(path).assert_existing_objects_matched()
            self.restore_metrics(step)
            read = True
        except _READ_ERRORS as error:
            read = False
            logging.warning(
                "The checkpoint of step %d in %s cannot be read (%s). "
                "Going on from the one before.",
                step,
                self.directory,
                first_line(error),
            )
        if min(strategies.of_all_workers(int(read), self.strategy)) == 0:
            return False
        logging.info("Going on from step %d in %s.", step, self.directory)
        return True

    def _remove_old(self):
        for step in _steps(self._own)[KEPT:]:
            _remove(self._own, step)
        if strategies.is_chief(self.strategy):
            for step in self.steps()[KEPT:]:
                _remove(self.directory, step)

    def _remove_part(self, step):
        """Removes what was written of a checkpoint that is not whole."""
        for directory in (self._own, self.directory):
            if step not in _steps(directory):
                _remove(directory, step)
                part = directory / f"ckpt-{step}_temp"
                shutil.rmtree(part, ignore_errors=True)

    def _cannot_save(self, step, error):
        left = self.steps()
        start = f"step {left[0]}" if left else "the start"
        return (
            f"The checkpoint of step {step} cannot be written to "
            f"{self.directory} ({first_line(error)}). Make room, or mend the "
            f"directory; the same command then goes on from {start}."
        )


# What TensorFlow raises for files that are cut, altered or not there.
_READ_ERRORS = (
    tf.errors.OpError,
    AssertionError,
    IndexError,
    OSError,
    ValueError,
)


def _steps(directory):
    """Returns the steps of a directory's checkpoints, newest first."""
    found = (
        re.fullmatch(r"ckpt-(\d+)\.index", path.name)
        for path in pathlib.Path(directory).glob("ckpt-*.index")
    )
    return sorted((int(match[1]) for match in found if match), reverse=True)


def _remove(directory, step):
    # The index first: without it, the rest is not taken for a checkpoint.
    for end in ("index", "data-*"):
        for path in directory.glob(f"ckpt-{step}.{end}"):
            path.unlink(missing_ok=True)
