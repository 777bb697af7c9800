"""Loading presets: what is altered, foreign or of another model is refused."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest

import vqvae_tf as vq
from support import preset_files, small
from vqvae_tf import presets


class Joint(vq.LatentGenerator):
    pass


@pytest.mark.parametrize(
    "name, expected",
    [
        ("Joint", Joint),
        # Older metadata has none, and somebody's class is not ours.
        (None, vq.LatentGenerator),
        ("Unknown", vq.LatentGenerator),
        ("VQVAE", vq.LatentGenerator),
        ("Gaussian", vq.LatentGenerator),
    ],
)
def test_metadata_names_the_class(copy, name, expected):
    metadata = preset_files.read(copy, "metadata.json")
    del metadata["class"]
    metadata |= {} if name is None else {"class": name}
    preset_files.write(copy, "metadata.json", metadata)
    with keras.saving.custom_object_scope({"vqvae_tf>Joint": Joint}):
        assert type(presets.load(copy)) is expected


def test_parts_that_build_leaves_out_are_noticed(copy):
    metadata = json.loads((copy / "metadata.json").read_text())
    metadata["parameters"] += 1
    (copy / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(presets.PresetError, match="not built by build"):
        presets.load(copy)


@pytest.mark.parametrize("make", [small.autoencoder, small.vae])
def test_weights_in_float16(make, tmp_path):
    """Half the bytes: float32 in use, rounded to 11 bits."""
    original, images = make(), small.pictures(2)
    folder = tmp_path / "a"
    original.save_to_preset(folder)
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        halve_weights(file)
    presets.write_metadata(folder, {"parameters": original.count_params()})
    loaded = presets.load(folder)
    for a, b in zip(loaded.get_weights(), original.get_weights()):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2**-11, atol=1e-7)
    error = (
        loaded.reconstruct(images).numpy()
        - 1.0 * original.reconstruct(images).numpy()
    )
    assert np.abs(error).mean() < 1


def halve_weights(group):
    """Turns the float32 arrays of an HDF5 group into float16."""
    for name, item in list(group.items()):
        if isinstance(item, h5py.Group):
            halve_weights(item)
        elif item.dtype == np.float32:
            values = item[()].astype(np.float16)
            del group[name]
            group[name] = values


def test_dtype_policy_is_the_present_one(copy):
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert presets.load(copy).autoencoder.encoder.compute_dtype == "bfloat16"


@pytest.mark.parametrize("name", ["model.weights.h5", "prior.json"])
def test_flipped_byte(copy, name):
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(presets.PresetError, match=f"{name} was altered"):
        presets.load(copy)


def test_missing_file(copy):
    (copy / "prior.weights.h5").unlink()
    with pytest.raises(presets.PresetError, match="has no prior.weights.h5"):
        presets.load(copy)


def test_truncated_file(copy):
    path = copy / "model.weights.h5"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    expected = f"expected {len(content)}: it is truncated"
    with pytest.raises(presets.PresetError, match=expected):
        presets.load(copy)


def test_wrong_class(tmp_path):
    small.autoencoder().save_to_preset(tmp_path / "a")
    with pytest.raises(presets.PresetError, match="use VQVAE.from_preset"):
        vq.LatentGenerator.from_preset(tmp_path / "a")


def test_metadata_that_is_no_json(copy):
    (copy / "metadata.json").write_text("{")
    with pytest.raises(presets.PresetError, match="not valid JSON"):
        presets.load(copy)


def test_foreign_classes_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["encoder"] = {
        "module": "os",
        "class_name": "system",
        "registered_name": None,
        "config": {},
    }
    (copy / "config.json").write_text(json.dumps(config))
    presets.write_metadata(copy, {})
    with pytest.raises(presets.PresetError, match="'system' of 'os'"):
        presets.load(copy)


def test_weights_of_another_model(copy, tmp_path):
    small.autoencoder(3).save_to_preset(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.weights.h5", copy)
    presets.write_metadata(copy, {})
    with pytest.raises(presets.PresetError, match="does not match the model"):
        presets.load(copy)
