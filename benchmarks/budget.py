"""Training for as long as a budget of processor time lasts."""

import json
import math
import time

import command
import keras
import numpy as np

from vqvae_tf.training.checkpoints import Checkpoints
from vqvae_tf.utils.files import write_atomically


class Budget(keras.callbacks.Callback):
    """Lets the learning rate fall over some seconds of steps, and then stops.

    By the process's own clock, so that what runs beside it takes nothing away.

    Attributes:
        spent: seconds of a core in steps so far.
        steps: steps so far.
    """

    def __init__(self, seconds, rate):
        super().__init__()
        self.seconds, self.rate = seconds, rate
        self.spent = self.steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        warm = min(1.0, (self.steps + 1) / 100)
        left = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.share))
        for optimizer, _ in self.model.optimized():
            optimizer.learning_rate = self.rate * warm * left
        self.began = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self.spent += time.process_time() - self.began
        self.steps += 1
        if self.share >= 1:
            self.model.stop_training = True

    @property
    def share(self):
        return self.spent / self.seconds


class Scratch:
    """A folder from which a stopped training goes on, to the same result.

    Args:
        model: compiled.
        folder: of this training alone; made if it is missing.
        budget: a `Budget`.
    """

    def __init__(self, model, folder, budget):
        self.model, self.folder, self.budget = model, folder, budget
        folder.mkdir(parents=True, exist_ok=True)
        model.build_optimizers()
        self._checkpoints = Checkpoints(model, folder)

    def restore(self):
        """Restores the last look; returns the curve and the best weights."""
        step = self._checkpoints.restore()
        if not step:
            return [], None
        state = json.loads((self.folder / f"state-{step}.json").read_text())
        self.budget.steps, self.budget.spent = step, state["spent"]
        with np.load(self.folder / f"best-{state['best']}.npz") as arrays:
            best = [arrays[f"arr_{i}"] for i in range(len(arrays))]
        return state["curve"], best

    def save(self, curve, best):
        """Saves after a look whose figures are the last of the curve."""
        step = self.budget.steps
        at = min(curve, key=lambda point: point["validation"])["steps"]
        if at == step:
            with write_atomically(self.folder / f"best-{step}.npz") as name:
                with open(name, "wb") as file:
                    np.savez(file, *best)
        state = {"spent": self.budget.spent, "curve": curve, "best": at}
        command.write(self.folder / f"state-{step}.json", state)
        # Last: a checkpoint means that the rest is there.
        self._checkpoints.save(step, within_epoch=False)
        kept = self._checkpoints.steps()
        for path in self.folder.glob("*-*.*"):
            number = int(path.stem.partition("-")[2] or 0)
            old = path.suffix == ".npz" and number < at
            if old or (path.suffix == ".json" and number not in kept):
                path.unlink()
