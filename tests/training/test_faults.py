"""What can go wrong in a training leaves its checkpoint, and a message."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from support import runs, small
from support.command_line import run
from vqvae_tf import data, presets
from vqvae_tf.commands import table as cli
from vqvae_tf.tasks import publish as publishing, run as training
from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.training import fitting
from vqvae_tf.training.checkpoints import CheckpointError, Checkpoints
from vqvae_tf.training.divergence import NotFinite, StopAtNotFinite
from vqvae_tf.training.history import read_history
from vqvae_tf.training.interruption import Interrupted
from vqvae_tf.utils import locking


@pytest.fixture
def data_dir(tmp_path):
    small.write_data(tmp_path)
    return tmp_path


def config(**settings):
    """The small recipe, still smaller, saved after every step."""
    made = small.recipe()
    for section in (made.encoder, made.decoder):
        section.num_residual_layers = 0
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
from support import small

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
        cwd=runs.TESTS.parent,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})},
    )


def wait_for_an_epoch(process):
    for line in process.stdout:
        if line.startswith("3/3"):
            return
    raise AssertionError(process.stderr.read())


def test_sigterm_ends_the_command(data_dir):
    recipe = RECIPE.format(tests=str(runs.TESTS), steps=10**6, policy="float32")
    (data_dir / "recipe.py").write_text(recipe)
    process = command(data_dir)
    wait_for_an_epoch(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=runs.HANGS)
    assert process.returncode == 128 + signal.SIGTERM, errors
    (step,) = steps(data_dir)
    assert errors.strip().splitlines()[-1] == (
        f"vqvae-tf: Stopped at step {step} of 1000000, which is saved; the "
        "same command resumes there."
    )


@pytest.mark.slow
def test_sigterm_of_one_worker_ends_both(data_dir):
    """And all goes on to a preset, in half precision, which encodes anew."""
    recipe = RECIPE.format(
        tests=str(runs.TESTS), steps=90, policy="mixed_bfloat16"
    )
    (data_dir / "recipe.py").write_text(recipe)
    words = "--strategy=multiworker", "--verbosity=-1"
    workers = [command(data_dir, *words, env=env) for env in runs.two_tasks()]
    wait_for_an_epoch(workers[0])
    workers[1].send_signal(signal.SIGTERM)
    for worker in workers:
        _, errors = worker.communicate(timeout=runs.HANGS)
        assert worker.returncode == 128 + signal.SIGTERM, errors
        assert "which is saved; the same command resumes there" in errors
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
    assert "resumes from step 4" in message
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
    made.prior.head_channels = 2**31 - 1
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


# Numbers ----------------------------------------------------------------------


def diverge(monkeypatch, step, values):
    """Has the model's weights be multiplied before a step."""
    models = []
    begin = fitting.Keeper.on_train_begin
    monkeypatch.setattr(
        fitting.Keeper,
        "on_train_begin",
        lambda self, logs=None: (models.append(self.model), begin(self)),
    )

    def act():
        for variable in models[-1].trainable_variables[:1]:
            variable.assign(variable * values)

    before_step(monkeypatch, step, act)


def test_a_loss_that_is_not_finite_stops_and_saves_nothing(
    data_dir, monkeypatch
):
    """Steps 3 and 4 are saved; the loss is NaN from step 5 on."""
    made = config()
    with monkeypatch.context() as patch:
        diverge(patch, 5, float("nan"))
        with pytest.raises(NotFinite) as caught:
            train(made, data_dir)
    message = cli.explain(caught.value)
    assert "step 4 in" in message and "nothing is published" in message
    assert steps(data_dir) == [3, 4]
    rows = read_history(data_dir / "work/logs/autoencoder/history.jsonl")
    assert [row["step"] for row in rows] == [3]
    train(made, data_dir)
    assert steps(data_dir) == [5, 6]


def test_a_loss_is_looked_at_as_an_epoch_ends(data_dir, monkeypatch):
    made = config(checkpoint_minutes=60.0)
    diverge(monkeypatch, 2, float("inf"))
    with pytest.raises(NotFinite, match="at step 3. There is no checkpoint"):
        train(made, data_dir)
    assert steps(data_dir) == []
    assert not (data_dir / "work/logs/autoencoder/history.jsonl").read_text()


def test_a_state_that_is_not_finite_is_never_saved(data_dir, monkeypatch):
    """The last step's loss is of the weights before it."""
    made = config()
    save = Checkpoints.save

    def spoil(self, step, within_epoch=True):
        if step == 6:
            weights, _ = self._variables
            weight = next(w for w in weights if w.trainable)
            weight.assign(weight * float("nan"))
        save(self, step, within_epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", spoil)
        with pytest.raises(NotFinite, match="is not finite after step 6"):
            train(made, data_dir)
    assert steps(data_dir) == [4, 5]


def test_a_checkpoint_that_is_not_finite_is_not_gone_on_from(
    data_dir, monkeypatch, caplog
):
    """Such as older versions have saved."""
    made = config()
    with monkeypatch.context() as patch:
        diverge(patch, 5, float("nan"))
        patch.setattr(Checkpoints, "_unsound", lambda self: None)
        patch.setattr(StopAtNotFinite, "check", lambda self: None)
        train(made, data_dir)
    assert steps(data_dir) == [5, 6]
    with pytest.raises(CheckpointError, match="is not finite"):
        train(made, data_dir)


def test_the_command_publishes_nothing_that_is_not_finite(
    data_dir, monkeypatch, capsys
):
    text = RECIPE.format(tests=str(runs.TESTS), steps=6, policy="float32")
    (data_dir / "recipe.py").write_text(text)
    words = [f"--config={data_dir / 'recipe.py'}", f"--data_dir={data_dir}"]
    words += [f"--workdir={data_dir / 'work'}"]
    diverge(monkeypatch, 2, float("nan"))
    assert run("train", *words) == 1
    assert "The loss is nan at step 3." in capsys.readouterr().err
    assert not (data_dir / "work" / "preset").exists()
    for flag in ("learning_rate=nan", "learning_rate=0", "steps=0"):
        assert run("train", *words, f"--config.training.{flag}") == 1
        error = capsys.readouterr().err
        assert f"Received: training.{flag.split('=')[0]}=" in error


def test_figures_that_are_no_numbers_are_not_published():
    publishing._check_figures({"psnr": 3.0, "found": 2, "gap": float("inf")})
    with pytest.raises(NotFinite, match="figure psnr is nan"):
        publishing._check_figures({"psnr": float("nan")})


# The work directory -----------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["codes.npz", "autoencoder", "preset", "logs", "recipe.json"]
)
def test_a_run_never_takes_files_of_others_for_its_own(data_dir, name):
    work = data_dir / "work"
    work.mkdir()
    (work / "notes.txt").write_text("mine")  # in nobody's way
    (work / name).write_text("[1]")
    with pytest.raises(ValueError, match="no run made it|not the recipe of"):
        train(config(), data_dir)
    assert (work / name).read_text() == "[1]"
    assert sorted(p.name for p in work.iterdir()) == sorted(["notes.txt", name])


def test_two_runs_never_share_a_directory(data_dir):
    with locking.locked(data_dir / "work", "testing"):
        with pytest.raises(locking.FolderInUse, match="training in"):
            train(config(), data_dir)
