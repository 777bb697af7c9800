"""What Keras writes of a model can be read again, or is refused."""

import os

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf import LatentGenerator


@pytest.fixture(scope="module")
def model():
    return small.autoencoder()


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.weights.h5"])
@pytest.mark.parametrize("make", [small.autoencoder, small.vae, small.prior])
def test_no_whole_model_is_written_that_cannot_be_read(tmp_path, make, name):
    with pytest.raises(ValueError, match="saved as a .keras file.*save_wei"):
        make().save(tmp_path / name)
    assert not os.listdir(tmp_path)


def test_a_tilde_in_keras_own_files_is_the_home_folder(
    model, tmp_path, monkeypatch
):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model.save("~/m.keras")
    model.save_weights("~/m.weights.h5")
    model.load_weights("~/m.weights.h5")
    exported = []
    monkeypatch.setattr(
        keras.Model,
        "export",
        lambda self, path, *_, **__: exported.append(path),
    )
    model.export("~/m", verbose=False)
    assert exported == [str(tmp_path / "home" / "m")]
    assert os.listdir(tmp_path) == ["home"]
    loaded = keras.models.load_model(tmp_path / "home" / "m.keras")
    images = small.pictures(2)
    np.testing.assert_array_equal(
        loaded.reconstruct(images), model.reconstruct(images)
    )


def test_a_model_alone_is_its_own_autoencoder_and_saved_once(model, tmp_path):
    assert model.autoencoder is model and model.prior is None
    assert "autoencoder" not in dir(model)
    generator = LatentGenerator(model, small.prior())
    assert generator.autoencoder is model and generator.prior is not None
    generator.build()
    generator.save_weights(tmp_path / "g.weights.h5")
    with h5py.File(tmp_path / "g.weights.h5") as file:
        names = []
        file.visit(names.append)
    assert "autoencoder/encoder" in names
    assert not any("autoencoder/autoencoder" in name for name in names)
    before = generator.get_weights()
    for variable in generator.weights:
        variable.assign(tf.zeros_like(variable))
    generator.load_weights(tmp_path / "g.weights.h5")
    for received, expected in zip(generator.get_weights(), before):
        np.testing.assert_array_equal(received, expected)
