"""A training in a process of its own, which may be killed at a moment.

    python runs.py WORKDIR DATA_DIR [--kill_after NAME:SECONDS]
                   [--strategy NAME]

NAME is "all", or the stage from whose first step on the seconds are counted.
Two workers are started with a TF_CONFIG each.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np

TESTS = pathlib.Path(__file__).resolve().parents[1]

# Where scripts find the package of this checkout, and `support`.
OF_TESTS = {
    "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

# Seconds after which a process hangs, and is not just slow on a busy machine.
HANGS = 3600


# The parent's side ----------------------------------------------------------

# The tests' seed would give the same moments each time.
CHANCE = random.SystemRandom()


def launch(script, *words, env=None):
    """Starts a script of this folder in a process; returns it."""
    path = TESTS / "support" / script
    return subprocess.Popen(
        [sys.executable, str(path), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **OF_TESTS, **(env or {})},
    )


def two_tasks() -> list[dict]:
    """Returns the environments of two workers on this machine."""
    workers = [f"127.0.0.1:{_free_port()}" for _ in range(2)]
    return [
        {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": index},
                }
            )
        }
        for index in range(2)
    ]


def start(
    work,
    data_dir,
    kill_after=None,
    strategy="one",
    env=None,
    recipe="stateful_recipe",
):
    """Starts a training; returns its process.

    Args:
        work, data_dir: folders.
        kill_after: see `random_moment`.
        strategy: as for `strategies.make_strategy`.
        env: further variables of the environment.
        recipe: a function of `support.small`.
    """
    words = [work, data_dir, "--strategy", strategy, "--recipe", recipe]
    if kill_after is not None:
        words += ["--kill_after", kill_after]
    return launch("runs.py", *words, env=env)


def start_workers(work, data_dir, kill_after=(None, None)):
    """Starts two workers; returns their processes."""
    return [
        start(work, data_dir, moment, "multiworker", env)
        for moment, env in zip(kill_after, two_tasks())
    ]


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def finished(process) -> str:
    """Waits for a process that must succeed; returns what it printed."""
    text, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0, text[-4000:]
    return text


def durations(text) -> dict:
    """Returns how many seconds things took, of what a run printed.

    Returns:
        Of "all", and of the steps of "autoencoder" and "prior".
    """
    found = re.findall(r"^(\w+) took (\S+) s$", text, re.MULTILINE)
    return {name: float(seconds) for name, seconds in found}


def random_moment(durations, name=None, share=1.1):
    """Returns a moment to kill at: of the whole run, or of some steps."""
    name = name or CHANCE.choice(["all", "autoencoder", "prior"])
    return f"{name}:{CHANCE.uniform(0, share * durations[name])}"


def results(work) -> dict:
    """Returns all that a run leaves behind and that should be reproducible."""
    from vqvae_tf.training.history import read_history

    work = pathlib.Path(work)
    found = {}
    if (work / "codes.npz").exists():  # of a run with a prior
        found["codes"] = np.load(work / "codes.npz")["codes"]
    with np.load(work / "weights.npz") as arrays:
        found.update({f"weight {k}": arrays[k] for k in arrays})
    for stage in ("autoencoder", "prior"):
        log = work / "logs" / stage
        if not log.exists():
            continue
        found[f"{stage} history"] = read_history(log / "history.jsonl")
        found[f"{stage} summaries"] = sorted(_summaries(log), key=repr)
    return found


def _summaries(log):
    """Returns (step, tag, value) of each event, the value as bytes."""
    import tensorflow as tf

    for path in log.glob("*events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tensor = value.tensor.SerializeToString()
                yield event.step, value.tag, tensor


def assert_same(received, expected, moments):
    """Asserts that two results are equal, bit for bit.

    Args:
        moments: when the first run was killed, for the message.
    """
    assert received.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            message = f"{name}, killed at {moments}"
            np.testing.assert_array_equal(received[name], value, message)
        else:
            assert received[name] == value, (name, moments)


# The child's side -----------------------------------------------------------


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("data_dir")
    parser.add_argument("--kill_after")
    parser.add_argument("--strategy")
    parser.add_argument("--recipe")
    run(**vars(parser.parse_args()))


def run(work, data_dir, kill_after, strategy, recipe):
    """Trains a small recipe, and saves weights."""
    from support import small
    from vqvae_tf.runtime import strategies
    from vqvae_tf.tasks import run as training
    from vqvae_tf.training import fitting

    made = strategies.make_strategy(strategy)
    # Now and then, not at every step: steps are lost, and made again.
    fitting.AGREE_STEPS = 3
    if strategy == "one":
        fitting.Keeper._is_due = lambda self: self.step % 3 == 0
    clock = _Clock(kill_after)
    clock.start("all")
    step, fit = fitting.Keeper.on_train_batch_end, fitting.fit

    def timed_step(self, batch, logs=None):
        clock.start(self.checkpoints.directory.name)
        step(self, batch, logs)

    def timed_fit(model, section, batches, directory, *others):
        fit(model, section, batches, directory, *others)
        clock.stop(directory.name)

    fitting.Keeper.on_train_batch_end, fitting.fit = timed_step, timed_fit
    model = training.train(
        getattr(small, recipe)(), work, data_dir, strategy=made
    )
    clock.stop("all")
    if strategies.is_chief(made):
        names = (f"{i:03}" for i in range(10**3))
        np.savez(work / "weights.npz", **dict(zip(names, model.get_weights())))


class _Clock:
    """Kills the process at a moment, and prints how long things took.

    Args:
        kill_after: "NAME:SECONDS", so long after `start(NAME)`; or None.
    """

    def __init__(self, kill_after):
        self.name, _, seconds = (kill_after or ":").partition(":")
        self.seconds = float(seconds or 0)
        self.begun = {}

    def start(self, name):
        if name in self.begun:
            return
        self.begun[name] = time.monotonic()
        if name == self.name:
            timer = threading.Timer(self.seconds, self._kill)
            timer.daemon = True
            timer.start()

    def stop(self, name):
        if name in self.begun:
            print(name, "took", time.monotonic() - self.begun[name], "s")

    def _kill(self):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
