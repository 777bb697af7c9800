"""Training: both stages, and going on after a kill."""

import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import small
import tensorflow as tf

from vqvae_tf import fitting, recipes, training
from vqvae_tf.data.source import ArrayImages
from vqvae_tf.step import StepModel
from vqvae_tf.systems import pictures

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    small.write_data(folder)
    config = small.recipe(num_classes=2)
    model = training.train(config, folder / "work", str(folder))
    return folder, config, model


def test_both_stages_are_trained(run):
    _, config, model = run
    assert int(model.autoencoder.optimizer.iterations) == 6
    assert int(model.prior.optimizer.iterations) == 4
    assert model.prior.global_channels == 2


def test_codes_are_the_float32_model_s(run):
    folder, config, model = run
    with np.load(folder / "work" / "codes.npz") as arrays:
        codes, labels = arrays["codes"], arrays["labels"]
    assert codes.shape == (8, 4, 4)
    assert set(labels) == {0, 1}
    assert 0 <= codes.min() <= codes.max() < 8


def test_summaries(run):
    folder, _, _ = run
    tags = {}
    for path in (folder / "work" / "logs").rglob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags.setdefault(path.parent.name, set()).add(value.tag)
    assert {"loss", "perplexity", "usage", "reconstructions"} <= tags[
        "autoencoder"
    ]
    assert {"loss", "bits_per_dim", "samples"} <= tags["prior"]


def test_the_same_command_finds_all_done(run):
    folder, config, model = run
    again = training.train(config, folder / "work", str(folder))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_recipe_is_refused(run):
    folder, config, _ = run
    other = recipes.check_recipe(small.recipe(num_classes=2))
    other.training.learning_rate = 0.5
    with pytest.raises(ValueError, match="training.learning_rate"):
        training.train(other, folder / "work", str(folder))


def test_a_run_without_data_claims_nothing(tmp_path):
    work = tmp_path / "work"
    with pytest.raises(FileNotFoundError):
        training.train(small.recipe(), work, str(tmp_path))
    assert not work.exists()


def test_stage_autoencoder_stops_early(run, tmp_path):
    folder, _, _ = run
    model = training.train(
        small.recipe(), tmp_path / "w", str(folder), stage="autoencoder"
    )
    assert not hasattr(model, "prior")
    assert not (tmp_path / "w" / "codes.npz").exists()


@pytest.mark.parametrize("passes", [1, 2])
def test_every_picture_is_encoded(passes):
    config = small.recipe(num_classes=70)  # a label for each picture
    config.data.flip = False
    config.quantizer.num_embeddings = 40_000  # more than int16 holds
    config.prior_training.encode_passes = passes
    model = recipes.make_autoencoder(config)
    images = np.random.default_rng(0).integers(0, 256, [70, 16, 16, 3])
    images = images.astype(np.uint8)
    names = [str(i) for i in range(70)]
    source = ArrayImages("noise", images, np.arange(70), names)
    arrays = pictures.encode(config, model, source)
    codes, labels = arrays["codes"], arrays["labels"]
    assert sorted(labels) == sorted([*range(70)] * passes)
    np.testing.assert_array_equal(codes, model.encode(images).numpy()[labels])
    assert codes.max() >= 2**15


# A run that is killed before it can save the step that it has just made.
_RUN = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import small
from vqvae_tf import fitting, training

class Killed(fitting.Checkpoints):
    def on_train_batch_end(self, batch, logs=None):
        here = os.path.basename(self.manager.directory) == {stage!r}
        if here and int(self.optimizer.iterations) == {step}:
            os.kill(os.getpid(), signal.SIGKILL)
        super().on_train_batch_end(batch, logs)

fitting.Checkpoints = Killed
config = small.recipe(num_classes=2)
config.training.checkpoint_minutes = 0.0
config.prior_training.checkpoint_minutes = 0.0
training.train(config, {work!r}, {data!r})
"""


def _run_until_killed(work, data_dir, stage, step):
    code = _RUN.format(
        tests=str(HERE),
        root=str(HERE.parent),
        work=str(work),
        data=str(data_dir),
        stage=stage,
        step=step,
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert result.returncode == -signal.SIGKILL, result.stderr


def _newest(directory):
    return int(tf.train.latest_checkpoint(str(directory)).rsplit("-", 1)[1])


def test_a_killed_run_goes_on(run, tmp_path, monkeypatch):
    """Killed in each stage, a run ends as one that was left alone."""
    folder, _, uninterrupted = run
    work = tmp_path / "work"
    _run_until_killed(work, folder, "autoencoder", step=4)
    assert _newest(work / "autoencoder") == 3
    _run_until_killed(work, folder, "prior", step=3)
    assert _newest(work / "autoencoder") == 6
    assert _newest(work / "prior") == 2
    kept = ["autoencoder/checkpoint", "codes.npz"]
    written = [(work / name).stat().st_mtime_ns for name in kept]
    starts = []
    restore = fitting.Checkpoints.restore
    monkeypatch.setattr(
        fitting.Checkpoints,
        "restore",
        lambda self: starts.append(restore(self)) or starts[-1],
    )
    config = small.recipe(num_classes=2)
    config.training.checkpoint_minutes = 0.0
    config.prior_training.checkpoint_minutes = 0.0
    model = training.train(config, work, str(folder))
    assert starts == [6, 2]  # all of stage 1, and the prior so far
    assert int(model.autoencoder.optimizer.iterations) == 6
    assert int(model.prior.optimizer.iterations) == _newest(work / "prior") == 4
    assert [(work / name).stat().st_mtime_ns for name in kept] == written
    for a, b in zip(
        model.get_weights(), uninterrupted.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


class Norms(StepModel):
    """Layers in a list, with state that is not trained."""

    def __init__(self):
        super().__init__()
        self.norms = [keras.layers.BatchNormalization() for _ in range(2)]

    def build(self, input_shape=None):
        for norm in self.norms:
            norm.build((None, 3))
        self.built = True


def test_checkpoints_hold_every_variable(tmp_path):
    model, fresh = Norms(), Norms()
    for made in (model, fresh):
        made.build()
        made.compile("adam")
        made.optimizer.build(made.trainable_variables)
    for i, variable in enumerate(model.variables):
        variable.assign(np.full(variable.shape, i + 2.0))
    model.optimizer.iterations.assign(7)
    fitting.Checkpoints(model, tmp_path, 1).save()
    assert fitting.Checkpoints(fresh, tmp_path, 1).restore() == 7
    assert len(fresh.variables) == 8
    for a, b in zip(fresh.variables, model.variables):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
