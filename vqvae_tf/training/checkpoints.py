"""Checkpoints, from which training resumes to the same result.

    DIRECTORY/ckpt-STEP.*                   variables and optimizer
    DIRECTORY/workers/I-of-NxR/ckpt-STEP.*  the epoch's metrics so far, of
                                            worker I of N with R replicas

Metrics differ between replicas until they are read, so each worker saves its
own, except at the end of an epoch. They are written first, so a ckpt-STEP in
DIRECTORY means that the checkpoint is complete.
"""

import pathlib
import re
import shutil

import keras
import tensorflow as tf
from absl import logging

from vqvae_tf.runtime import strategies
from vqvae_tf.training import divergence
from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf.utils.messages import first_line
from vqvae_tf.utils.paths import expand

KEPT = 2


class CheckpointError(ExplainedError):
    """A checkpoint cannot be written, or none can be read."""


class Checkpoints:
    """Saves and restores the state of training; keeps the last two.

    Args:
        model: a compiled model; it and its optimizers must be built.
        directory: where to save; with several machines, on shared storage.
    """

    def __init__(self, model: keras.Model, directory: pathlib.Path) -> None:
        self.directory = expand(directory)
        self.strategy = model.distribute_strategy
        optimizers = [optimizer for optimizer, _ in model.optimized()]
        self._variables = (model.weights, optimizers)
        self._own = self.directory / "workers" / _layout(self.strategy)
        # By number: a checkpoint of the model itself would miss non-trainable
        # state of layers in lists.
        self._state = tf.train.Checkpoint(
            variables=[variable.value for variable in model.variables],
            optimizer=model.optimizer,
            # Those after the first.
            **{f"optimizer_{i}": o for i, o in enumerate(optimizers) if i},
        )
        # Each replica's own part: summing the parts and dividing the sum among
        # replicas again would round.
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
        """Returns the steps that have checkpoints, newest first."""
        return _steps(self.directory)

    # Saving -----------------------------------------------------------------

    def save(self, step: int, within_epoch: bool = True) -> None:
        """Saves the state after `step` steps, and removes later checkpoints.

        If it fails, earlier checkpoints are kept.

        Args:
            step: the number of steps done.
            within_epoch: whether the epoch has metrics that are to be saved.

        Raises:
            NotFinite: if a variable is not finite.
            CheckpointError: if the checkpoint cannot be written.
        """
        found = self._unsound()
        if self._any_worker(found):
            found = found or ["of another worker"]
            raise divergence.NotFinite(
                f"The variable {found[0]} is not finite after step {step}. "
                f"{divergence.kept(self)}"
            )
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            if within_epoch:
                self._metrics.write(str(self._own / f"ckpt-{step}"))
            strategies.wait_for_all(self.strategy)
            if strategies.is_chief(self.strategy):
                self._state.write(str(self.directory / f"ckpt-{step}"))
            strategies.wait_for_all(self.strategy)
        except (OSError, tf.errors.OpError) as error:
            self._remove_part(step)
            left = self.steps()
            start = f"step {left[0]}" if left else "the start"
            raise CheckpointError(
                f"The checkpoint of step {step} cannot be written to "
                f"{self.directory} ({first_line(error)}). Free some space or "
                "repair the directory; the same command then resumes from "
                f"{start}."
            ) from error
        self._remove_old(step)

    def _unsound(self):
        """Returns the names of this worker's variables that are not finite."""
        weights, optimizers = self._variables
        states = [v for optimizer in optimizers for v in optimizer.variables]
        return divergence.unsound([*weights, *states])

    def _any_worker(self, found) -> bool:
        """Returns whether any worker has found something; all must ask."""
        return any(strategies.of_all_workers(int(bool(found)), self.strategy))

    def _remove_old(self, step):
        """Removes all but the last two checkpoints up to `step`.

        Later ones could not be read, or were incomplete when a run was killed.
        """
        kept = [s for s in self.steps() if s <= step][:KEPT]
        _keep(self._own, kept)
        if strategies.is_chief(self.strategy):
            _keep(self.directory, kept)
            # Those of other numbers of workers and replicas, too.
            end = self._own.name.partition("-")[2]
            for other in self._own.parent.iterdir():
                if other.name.partition("-")[2] != end:
                    shutil.rmtree(other, ignore_errors=True)

    def _remove_part(self, step):
        """Removes what was written of an incomplete checkpoint."""
        for directory in (self._own, self.directory):
            if directory.is_dir() and step not in _steps(directory):
                _remove(directory, step)

    # Restoring --------------------------------------------------------------

    def restore(self) -> int:
        """Restores the newest checkpoint that can be read.

        Returns:
            Its step; 0 if there is no checkpoint.

        Raises:
            CheckpointError: if none of the checkpoints can be read, or if
                workers see different ones.
        """
        reasons = {}
        while True:
            left = [step for step in self.steps() if step not in reasons]
            step = left[0] if left else 0
            self._check_all_see(step)
            if step == 0:
                break
            reason = self._try(step)
            if reason is None:
                logging.info("Resuming from step %d.", step)
                return step
            reasons[step] = reason
            logging.warning(
                "The checkpoint of step %d in %s cannot be read (%s).",
                step,
                self.directory,
                reason,
            )
        if reasons:
            found = "; ".join(f"step {s}: {r}" for s, r in reasons.items())
            raise CheckpointError(
                f"No checkpoint in {self.directory} can be read. Received: "
                f"{found}. Fix the cause, restore them from a backup, or start "
                "again in another --workdir."
            )
        return 0

    def restore_metrics(self, step: int) -> None:
        """Restores the epoch's metrics as of `step`, if there are any.

        Those of another number of replicas cannot be divided among these: a
        warning is logged, and the epoch's metrics start from zero.
        """
        paths = (self.directory / "workers").glob(f"*/ckpt-{step}.index")
        found = {path.parent.name.partition("-")[2] for path in paths}
        if self._own.name.partition("-")[2] in found:
            path = str(self._own / f"ckpt-{step}")
            self._metrics.read(path).assert_consumed()
        elif found:
            logging.warning(
                "The checkpoint of step %d was made with another number of "
                "replicas: this epoch's metrics cover only the steps after it.",
                step,
            )

    def _try(self, step):
        """Restores a step; returns None, or the reason why it failed."""
        reason = None
        try:
            path = str(self.directory / f"ckpt-{step}")
            self._state.read(path).assert_existing_objects_matched()
            self.restore_metrics(step)
        except _READ_ERRORS as error:
            reason = first_line(error)
        if reason is None and (found := self._unsound()):
            reason = f"{found[0]} is not finite"
        failed = self._any_worker(reason is not None)
        return reason or ("another worker cannot read it" if failed else None)

    def _check_all_see(self, step):
        seen = sorted(set(strategies.of_all_workers(step, self.strategy)))
        if len(seen) > 1:
            raise CheckpointError(
                f"All workers must share the directory {self.directory}. "
                f"Received: newest checkpoints of the steps {seen} on "
                "different workers. Restart all of them with the same "
                "--workdir, on shared storage."
            )


# What TensorFlow raises for truncated, altered or missing files.
_READ_ERRORS = (
    tf.errors.OpError,
    AssertionError,
    IndexError,
    OSError,
    ValueError,
)


def _layout(strategy):
    workers = strategies.num_workers(strategy)
    replicas = strategy.num_replicas_in_sync // workers
    return f"{strategies.worker_index(strategy)}-of-{workers}x{replicas}"


def _steps(directory):
    """Returns the steps of a directory's checkpoints, newest first."""
    found = (
        re.fullmatch(r"ckpt-(\d+)\.index", path.name)
        for path in expand(directory).glob("ckpt-*.index")
    )
    return sorted((int(match[1]) for match in found if match), reverse=True)


def _keep(directory, steps):
    """Removes all checkpoints, complete or not, except those of `steps`."""
    found = (
        re.match(r"ckpt-(\d+)[._]", path.name)
        for path in directory.glob("ckpt-*")
    )
    for step in {int(match[1]) for match in found if match} - set(steps):
        _remove(directory, step)


def _remove(directory, step):
    # The index first: without it, the other files are not a checkpoint.
    for end in ("index", "data-*"):
        for path in directory.glob(f"ckpt-{step}.{end}"):
            path.unlink(missing_ok=True)
    shutil.rmtree(directory / f"ckpt-{step}_temp", ignore_errors=True)
