"""Checkpoints: all that is in them, and what happens to damaged ones."""

import resource

import keras
import numpy as np
import pytest

from vqvae_tf.checkpoints import CheckpointError, Checkpoints
from vqvae_tf.step import StepModel


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


def test_all_state_is_saved(tmp_path):
    saved(tmp_path, [7])
    fresh = made()
    assert len(state(fresh)) > 8 + 1 + 2 * 4
    assert Checkpoints(fresh, tmp_path).restore() == 7
    assert_filled(fresh, 7)


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
FILES += [f"workers/0/{name}" for name in FILES]


@pytest.mark.parametrize("damage", [cut, empty, flip])
@pytest.mark.parametrize("name", FILES)
def test_of_a_damaged_one_the_one_before_is_used(
    tmp_path, caplog, name, damage
):
    saved(tmp_path, [5, 9])
    damage(tmp_path / name)
    model = made()
    assert Checkpoints(model, tmp_path).restore() == 5
    assert_filled(model, 5)
    assert "checkpoint of step 9" in caplog.text
    assert "cannot be read" in caplog.text


def test_a_missing_part(tmp_path):
    saved(tmp_path, [5, 9])
    (tmp_path / FILES[1]).unlink()
    assert Checkpoints(made(), tmp_path).restore() == 5


def test_all_damaged(tmp_path):
    saved(tmp_path, [5, 9])
    for path in tmp_path.glob("ckpt-*.index"):
        cut(path)
    with pytest.raises(CheckpointError, match="those of steps 9, 5"):
        Checkpoints(made(), tmp_path).restore()


def test_a_full_disk(tmp_path):
    """The limit of a file's size stands for it: writing fails half-way."""
    saved(tmp_path, [5])
    checkpoints = Checkpoints(made(9), tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="goes on from step 5"):
            checkpoints.save(9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob("ckpt-9*"))
    model = made()
    assert Checkpoints(model, tmp_path).restore() == 5
    assert_filled(model, 5)


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(made(), tmp_path / "file" / "run")
    with pytest.raises(CheckpointError, match="goes on from the start"):
        checkpoints.save(1)
