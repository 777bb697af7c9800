"""What can go wrong in a training leaves its checkpoint, and a message."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import runs
import small
import tensorflow as tf
from PIL import Image

from vqvae_tf import cli, data, fitting, presets, training
from vqvae_tf.checkpoints import CheckpointError
from vqvae_tf.history import read_history
from vqvae_tf.interruption import Interrupted
from vqvae_tf.systems import pictures


@pytest.fixture
def data_dir(tmp_path):
    small.write_data(tmp_path)
    return tmp_path


def config(**settings):
    """The small recipe, without a prior, saved after every step."""
    made = small.recipe()
    made.training.checkpoint_minutes = 0.0
    made.training.update(settings)
    return made


def train(made, folder, **options):
    options = {"stage": "autoencoder", **options}
    return training.train(made, folder / "work", str(folder), **options)


def steps(folder, stage="autoencoder"):
    """Returns the steps of the checkpoints that a run has left."""
    paths = (folder / "work" / stage).glob("ckpt-*.index")
    return sorted(int(path.stem.split("-")[1]) for path in paths)


def before_step(monkeypatch, step, act):
    """Has `act` called after the step before `step`."""
    after = fitting.Keeper.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        after(self, batch, logs)
        if self.step == step - 1:
            act()

    monkeypatch.setattr(
        fitting.Keeper, "on_train_batch_end", on_train_batch_end
    )


# Signals ----------------------------------------------------------------------


@pytest.mark.slow  # test_sigterm_ends_the_command is the fast one
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_first(data_dir, monkeypatch, number):
    made = config(checkpoint_minutes=60.0)
    with monkeypatch.context() as patch:
        before_step(patch, 5, lambda: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted, match="at step 5 of 6") as caught:
            train(made, data_dir)
    assert caught.value.signal == number
    assert steps(data_dir) == [5]
    stopped = train(made, data_dir)
    assert steps(data_dir) == [5, 6]
    alone = training.train(
        made, data_dir / "alone", str(data_dir), stage="autoencoder"
    )
    for a, b in zip(stopped.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    histories = [
        read_history(data_dir / name / "logs/autoencoder/history.jsonl")
        for name in ("work", "alone")
    ]
    assert histories[0] == histories[1]
    assert [row["step"] for row in histories[0]] == [3, 6]


RECIPE = """
import sys
sys.path.append({tests!r})
import small

def get_config():
    config = small.recipe()
    config.dtype_policy = {policy!r}
    config.training.steps = {steps}
    config.training.checkpoint_minutes = 60.0
    return config
"""


def command(folder, *words, env=None):
    """Starts `vqvae-tf train` in a process."""
    recipe = folder / "recipe.py"
    words = [f"--config={recipe}", f"--workdir={folder / 'work'}", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "vqvae_tf_cli", "train", *words]
        + [f"--data_dir={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=runs.HERE.parent,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})},
    )


def wait_for_an_epoch(process):
    for line in process.stdout:
        if line.startswith("3/3"):
            return
    raise AssertionError(process.stderr.read())


def test_sigterm_ends_the_command(data_dir):
    recipe = RECIPE.format(tests=str(runs.HERE), steps=10**6, policy="float32")
    (data_dir / "recipe.py").write_text(recipe)
    process = command(data_dir)
    wait_for_an_epoch(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=runs.HANGS)
    assert process.returncode == 128 + signal.SIGTERM, errors
    (step,) = steps(data_dir)
    assert errors.strip().splitlines()[-1] == (
        f"vqvae-tf: Stopped at step {step} of 1000000, which is saved; the "
        "same command goes on."
    )


@pytest.mark.slow
def test_sigterm_of_one_worker_ends_both(data_dir):
    """And all goes on to a preset, in half precision, which encodes anew."""
    recipe = RECIPE.format(
        tests=str(runs.HERE), steps=90, policy="mixed_bfloat16"
    )
    (data_dir / "recipe.py").write_text(recipe)
    words = "--strategy=multiworker", "--verbosity=-1"
    workers = [command(data_dir, *words, env=env) for env in runs.two_tasks()]
    wait_for_an_epoch(workers[0])
    workers[1].send_signal(signal.SIGTERM)
    for worker in workers:
        _, errors = worker.communicate(timeout=runs.HANGS)
        assert worker.returncode == 128 + signal.SIGTERM, errors
        assert "which is saved; the same command goes on" in errors
    (step,) = steps(data_dir)
    assert 3 <= step < 90
    workers = [command(data_dir, *words, env=env) for env in runs.two_tasks()]
    for worker in workers:
        output, errors = worker.communicate(timeout=runs.HANGS)
        assert worker.returncode == 0, output + errors
    assert steps(data_dir)[-1] == 90
    generator = presets.load(data_dir / "work")
    assert generator.sample(2, seed=0).shape == (2, small.SIZE, small.SIZE, 3)


# Disks ------------------------------------------------------------------------


def limit_files(size):
    """Has all writing beyond so many bytes of a file fail, as a full disk."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@pytest.fixture
def unlimited():
    yield
    limit_files(resource.RLIM_INFINITY)


def test_a_disk_that_fills(data_dir, monkeypatch, unlimited):
    made = config()
    with monkeypatch.context() as patch:
        before_step(patch, 5, lambda: limit_files(1000))
        with pytest.raises(CheckpointError) as caught:
            train(made, data_dir)
    limit_files(resource.RLIM_INFINITY)
    message = cli.explain(caught.value)
    assert "step 5 cannot be written" in message
    assert "goes on from step 4" in message
    assert steps(data_dir) == [3, 4]
    train(made, data_dir)
    assert steps(data_dir) == [5, 6]


def test_codes_that_cannot_be_written(data_dir, unlimited):
    made = config()
    train(made, data_dir)
    limit_files(100)
    with pytest.raises(OSError, match="too large"):
        train(made, data_dir, stage="all")
    limit_files(resource.RLIM_INFINITY)
    assert not list((data_dir / "work").glob("*codes*"))
    assert steps(data_dir)[-1] == 6
    train(made, data_dir, stage="all")


def test_an_output_that_cannot_be(data_dir):
    (data_dir / "work").write_text("a file, not a folder")
    with pytest.raises(OSError) as caught:
        train(config(), data_dir)
    assert str(data_dir / "work") in cli.explain(caught.value)


# Data -------------------------------------------------------------------------


def folder_of_photos(folder):
    """Eight photos of more than one size, too many for the memory bound."""
    for split, count in (("train", 8), ("test", 4)):
        (folder / split).mkdir()
        for i, picture in enumerate(small.pictures(count, 20)):
            picture = picture[: 16 + i % 4]
            Image.fromarray(picture).save(folder / split / f"{i}.png")


def test_a_picture_that_is_damaged_during_an_epoch(tmp_path, monkeypatch):
    folder_of_photos(tmp_path)
    made = config()
    made.data.update(source="folder:", crop="center")
    victim = tmp_path / "train" / "3.png"
    whole = victim.read_bytes()

    def open_and_damage(description, split, data_dir):
        images = data.open_images("folder:", split, data_dir, cache_bytes=0)
        if split == "test":  # which is opened last
            victim.write_bytes(whole[:50])
        return images

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "open_split", open_and_damage)
        with pytest.raises(tf.errors.OpError) as caught:
            train(made, tmp_path)
    message = cli.explain(caught.value)
    assert "3.png" in message and "\n" not in message
    victim.write_bytes(whole)
    train(made, tmp_path)
    assert steps(tmp_path)[-1] == 6


def test_fewer_pictures_than_a_batch(data_dir, caplog):
    train(config(batch_size=32), data_dir)
    assert "fewer than a batch of 32" in caplog.text
    assert steps(data_dir)[-1] == 6


# Memory -----------------------------------------------------------------------


@pytest.mark.slow
def test_no_memory_for_the_prior(data_dir, monkeypatch):
    made = config()
    made.prior.head_channels = 10**12
    with pytest.raises(Exception) as caught:
        train(made, data_dir, stage="all")
    message = cli.explain(caught.value)
    assert message.startswith("Out of memory (") and "\n" not in message
    assert "--config.prior_training.batch_size" in message
    assert steps(data_dir)[-1] == 6
    written = (data_dir / "work/autoencoder/ckpt-6.index").stat().st_mtime_ns
    made.prior.head_channels = 8
    train(made, data_dir, stage="all")
    assert steps(data_dir, "prior")[-1] == 4
    again = (data_dir / "work/autoencoder/ckpt-6.index").stat().st_mtime_ns
    assert again == written


def test_what_is_a_full_disk_is_not_called_memory():
    full = tf.errors.ResourceExhaustedError(
        None, None, "a; No space left on device"
    )
    assert cli.explain(full).startswith("The disk is full (a; No space")
