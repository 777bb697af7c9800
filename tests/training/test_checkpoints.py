"""Checkpoints: all that is in them, and what happens to damaged ones."""

import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import two_replicas
from vqvae_tf.runtime import strategies
from vqvae_tf.runtime.step import StepModel
from vqvae_tf.training.checkpoints import CheckpointError, Checkpoints


class Norms(StepModel):
    """Layers in a list, with state that is not trained, and random numbers."""

    def __init__(self):
        super().__init__()
        self.norms = [keras.layers.BatchNormalization() for _ in range(2)]
        self.drop = keras.layers.Dropout(0.5)

    def build(self, input_shape=None):
        for norm in self.norms:
            norm.build((None, 3))
        self.built = True


def made(value=None):
    """Returns a compiled model, all of it filled with a value if given."""
    model = Norms()
    model.build()
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    if value is not None:
        for variable in state(model):
            variable.assign(np.full(variable.shape, value))
    return model


def state(model):
    return [
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]


def assert_filled(model, value):
    for variable in state(model):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def saved(directory, steps):
    """Saves a model filled with the step at each step."""
    for step in steps:
        Checkpoints(made(step), directory).save(step)


def restored(directory, step):
    """Asserts that a new model is restored to a step, all of it."""
    model = made()
    assert Checkpoints(model, directory).restore() == step
    assert_filled(model, step)


def test_all_state_is_saved(tmp_path):
    saved(tmp_path, [7])
    assert len(state(made())) > 8 + 1 + 2 * 4
    restored(tmp_path, 7)


def test_metrics_alone(tmp_path):
    saved(tmp_path, [7])
    model = made(3)
    Checkpoints(model, tmp_path).restore_metrics(7)
    for variable in model.metrics_variables:
        np.testing.assert_array_equal(variable, 7)
    for variable in model.variables:
        np.testing.assert_array_equal(variable, 3)


def test_two_are_kept(tmp_path):
    saved(tmp_path, [1, 9, 10, 11])
    assert Checkpoints(made(), tmp_path).steps() == [11, 10]
    names = {path.name.split(".")[0] for path in tmp_path.rglob("ckpt*")}
    assert names == {"ckpt-10", "ckpt-11"}


def test_none(tmp_path):
    model = made(3)
    assert Checkpoints(model, tmp_path / "new").restore() == 0
    assert_filled(model, 3)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


FILES = ["ckpt-9.index", "ckpt-9.data-00000-of-00001"]
FILES += [f"workers/0-of-1x1/{name}" for name in FILES]


@pytest.mark.parametrize("damage", [cut, empty, flip])
@pytest.mark.parametrize("name", FILES)
def test_of_a_damaged_one_the_one_before_is_used(
    tmp_path, caplog, name, damage
):
    saved(tmp_path, [5, 9])
    damage(tmp_path / name)
    restored(tmp_path, 5)
    assert "checkpoint of step 9" in caplog.text
    assert "cannot be read" in caplog.text


def test_a_missing_part(tmp_path):
    saved(tmp_path, [5, 9])
    (tmp_path / FILES[1]).unlink()
    restored(tmp_path, 5)


def test_what_cannot_be_read_does_not_push_out_what_can(tmp_path):
    saved(tmp_path, [5, 9, 13])
    for step in (9, 13):
        cut(tmp_path / f"ckpt-{step}.index")
    saved(tmp_path, [5])
    for step in (9, 13):
        saved(tmp_path, [step])
        flip(tmp_path / f"ckpt-{step}.data-00000-of-00001")
    # Two that cannot be read, and a run that goes on from 5.
    saved(tmp_path, [5, 6, 7])
    assert Checkpoints(made(), tmp_path).steps() == [7, 6]
    restored(tmp_path, 7)


def test_metrics_of_saves_that_were_killed_do_not_push_out_others(tmp_path):
    """They are written first; the next run may save at earlier steps."""
    run, killed = tmp_path / "run", tmp_path / "killed"
    saved(run, [5])
    for step in (9, 10):
        saved(killed, [step])
        for path in (killed / "workers/0-of-1x1").iterdir():
            path.rename(run / "workers/0-of-1x1" / path.name)
    (run / "ckpt-11.data-00000-of-00001").write_text("a part")
    (run / "ckpt-12_temp").mkdir()
    saved(run, [7])
    restored(run, 7)
    left = {path.name.split(".")[0] for path in run.rglob("ckpt-*")}
    assert left == {"ckpt-5", "ckpt-7"}


def test_at_an_epoch_s_end_there_are_no_metrics(tmp_path):
    Checkpoints(made(8), tmp_path).save(8, within_epoch=False)
    assert not list((tmp_path / "workers").rglob("ckpt-*"))
    model = made()
    assert Checkpoints(model, tmp_path).restore() == 8
    for variable in model.variables:
        np.testing.assert_array_equal(variable, 8)


def test_another_number_of_replicas(tmp_path, caplog):
    """All but the metrics of the epoch so far can be gone on with."""
    saved(tmp_path, [5, 9])
    with two_replicas().scope():
        model = made()
    checkpoints = Checkpoints(model, tmp_path)
    assert checkpoints.restore() == 9
    assert "another number of replicas" in caplog.text
    for variable in model.variables:
        for copy in two_replicas().experimental_local_results(variable.value):
            np.testing.assert_array_equal(copy, 9)
    for variable in model.metrics_variables:
        np.testing.assert_array_equal(tf.convert_to_tensor(variable), 0)
    checkpoints.save(10)
    layouts = [path.name for path in (tmp_path / "workers").iterdir()]
    assert layouts == ["0-of-1x2"]


def test_all_damaged(tmp_path):
    saved(tmp_path, [5, 9])
    for path in tmp_path.glob("ckpt-*.index"):
        cut(path)
    with pytest.raises(CheckpointError, match="step 9: .*; step 5: "):
        Checkpoints(made(), tmp_path).restore()


def test_a_full_disk(tmp_path):
    """The limit of a file's size stands for it: writing fails half-way."""
    saved(tmp_path, [5])
    checkpoints = Checkpoints(made(9), tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="resumes from step 5"):
            checkpoints.save(9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob("ckpt-9*"))
    restored(tmp_path, 5)


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(made(), tmp_path / "file" / "run")
    with pytest.raises(CheckpointError, match="resumes from the start"):
        checkpoints.save(1)


def test_workers_that_do_not_share_a_directory(tmp_path, monkeypatch):
    saved(tmp_path, [5])
    monkeypatch.setattr(
        strategies, "of_all_workers", lambda value, strategy: [value, 0]
    )
    with pytest.raises(CheckpointError, match=r"steps \[0, 5\] on different"):
        Checkpoints(made(), tmp_path).restore()
