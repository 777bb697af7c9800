"""What Keras writes of a model can be read again, or is refused."""

import os

import keras
import numpy as np
import pytest

from support import small


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
