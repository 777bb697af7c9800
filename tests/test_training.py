"""Training: both stages, and going on after a kill."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import small
import tensorflow as tf

from vqvae_tf import recipes, training

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


def test_stage_autoencoder_stops_early(run, tmp_path):
    folder, _, _ = run
    model = training.train(
        small.recipe(), tmp_path / "w", str(folder), stage="autoencoder"
    )
    assert not hasattr(model, "prior")
    assert not (tmp_path / "w" / "codes.npz").exists()


_RUN = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import small
from vqvae_tf import training
config = small.recipe()
config.training.steps = 4000
config.training.steps_per_epoch = 50
config.training.checkpoint_minutes = 0.005
training.train(config, {work!r}, {data!r}, stage="autoencoder")
"""


def _newest(work):
    state = tf.train.get_checkpoint_state(str(work / "autoencoder"))
    return int(state.model_checkpoint_path.rsplit("-", 1)[1]) if state else 0


def test_a_killed_run_goes_on(tmp_path):
    small.write_data(tmp_path)
    work = tmp_path / "work"
    code = _RUN.format(
        tests=str(HERE),
        root=str(HERE.parent),
        work=str(work),
        data=str(tmp_path),
    )
    steps = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        before, deadline = _newest(work), time.monotonic() + 120
        while _newest(work) <= before and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        steps.append(_newest(work))
    assert 0 < steps[0] < steps[1]
    # And the checkpoint can be used: go on to just beyond it.
    config = small.recipe()
    model = recipes.make_autoencoder(config)
    model.compile(recipes.make_optimizer(config.training))
    model.optimizer.build(model.trainable_variables)
    found = training.Checkpoints(model, work / "autoencoder", 1).restore()
    assert found == steps[1]
