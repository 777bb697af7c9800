"""Saving presets: what is replaced, what is kept, what is refused."""

import json
import os
import shutil
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf import presets
from vqvae_tf.presets.files import check_preset_alone
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.utils import folders, scratch


def test_other_folders_and_files_are_not_replaced(tmp_path):
    (tmp_path / "run" / "prior").mkdir(parents=True)
    for path in (tmp_path / "run", __file__):
        with pytest.raises(presets.PresetError, match="Choose a new folder"):
            small.autoencoder().save_to_preset(path)
    assert (tmp_path / "run" / "prior").is_dir()
    (tmp_path / "empty").mkdir()
    small.autoencoder().save_to_preset(tmp_path / "empty")
    assert (tmp_path / "empty" / "metadata.json").is_file()


LISTS_ALL = '{"files": {"%s": {"sha256": "", "size": 1}}}'


@pytest.mark.parametrize("name", [".git/HEAD", "notes.txt", "codes/a.npz"])
def test_saving_never_deletes_a_strangers_file(preset, copy, tmp_path, name):
    """Neither in a preset's folder nor in one that looks like one."""
    photos = tmp_path / "photos"
    for folder in (copy, photos):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    first = name.split("/")[0]
    for metadata in ("{}", "[1]", "no json", LISTS_ALL % first):
        (photos / "metadata.json").write_text(metadata)
        for folder in (copy, photos):
            with pytest.raises(presets.PresetError, match="Choose a new fold"):
                presets.check_replaceable(folder)
            with pytest.raises(presets.PresetError, match="Choose a new fold"):
                preset[1].save_to_preset(folder)
            assert (folder / name).read_text() == "precious"
    with pytest.raises(presets.PresetError, match=f"holds '{first}'"):
        presets.check_replaceable(copy)
    presets.verify(copy)


def test_all_that_a_preset_holds_is_replaced(copy):
    (copy / "README.md").write_text("a card")
    (copy / "samples.png").write_bytes(b"shown")
    presets.write_metadata(copy, {})
    leave_scratch(copy)  # of writing its metadata, killed
    presets.check_replaceable(copy)


def leave_scratch(folder):
    """Leaves what a writer to a folder leaves that was killed."""
    work = folder / f"{scratch.PREFIX}{os.getuid()}" / "abcd_123"
    (work / "new").mkdir(parents=True)
    (work / "new" / "metadata.json").write_text("half")
    (work / "lock").touch()
    return work


MINE = f"{scratch.PREFIX}{os.getuid()}"


@pytest.mark.parametrize(
    "name",
    [
        f"{scratch.PREFIX}notes",
        f"{scratch.PREFIX}x/a.jpg",
        MINE,
        f"{MINE}/a.jpg",
        f"{MINE}/photos/a.jpg",
        f"{MINE}/abcdefgh/a.jpg",
        f"{MINE}/abcdefgh/old-abcdefgh/kept/a.jpg",
    ],
)
def test_a_name_alone_makes_no_scratch_folder(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text("precious")
    with pytest.raises(presets.PresetError, match="Choose a new folder"):
        presets.check_replaceable(copy)
    assert (copy / name).read_text() == "precious"


def test_an_empty_scratch_folder_leaves_a_folder_empty(tmp_path):
    leave_scratch(tmp_path / "p")
    presets.check_replaceable(tmp_path / "p")


@pytest.mark.parametrize("unlisted", [True, False])
def test_files_that_share_a_name_with_a_presets_are_kept(copy, unlisted):
    """Those that it does not list, and those that were changed since."""
    metadata = json.loads((copy / "metadata.json").read_text())
    entry = metadata["files"]["prior.json"]
    if unlisted:
        del metadata["files"]["prior.json"]
        (copy / "metadata.json").write_text(json.dumps(metadata))
        contents = ["mine"]
    else:
        contents = ["mine", "x" * entry["size"], ""]
    for text in contents:
        (copy / "prior.json").write_text(text)
        with pytest.raises(presets.PresetError, match="'prior.json'.*move it"):
            presets.check_replaceable(copy)
    (copy / "prior.json").unlink()
    presets.check_replaceable(copy)


def test_a_preset_is_found_where_a_killed_save_has_left_it(copy, tmp_path):
    """And none is lost where folders cannot be exchanged, as of old."""
    expected = presets.verify(copy)
    home = tmp_path / f"{scratch.PREFIX}{os.getuid()}"
    for place in (tmp_path / ".copy.old", home / "x" / "old-y" / "copy"):
        place.parent.mkdir(parents=True, exist_ok=True)
        copy.rename(place)
        found = presets.find_preset(copy)
        assert found == place.resolve() and presets.verify(found) == expected
        place.rename(copy)
    home.rename(tmp_path / "gone")
    shutil.rmtree(copy)
    with pytest.raises(presets.PresetError, match="There is no preset"):
        presets.find_preset(copy)


def test_readers_beside_a_writer_see_one_preset(preset, tmp_path):
    """They neither fail nor mix what is replaced with what replaces it."""
    both = [shutil.copytree(preset[0], tmp_path / n) for n in "ab"]
    for number, folder in enumerate(both):
        (folder / "README.md").write_text(f"# {number}")
        presets.write_metadata(folder, {"seed": number})
    path, stop = tmp_path / "p", threading.Event()
    shutil.copytree(both[0], path)

    def write():
        while not stop.is_set():
            for folder in both:
                with folders.new_folder(path, check_preset_alone) as new:
                    shutil.copytree(folder, new)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(40):
            card = presets.verify(path)["files"]["README.md"]["sha256"]
            assert card in [
                presets.sha256(folder / "README.md") for folder in both
            ]
        presets.load(path)
    finally:
        stop.set()
        writer.join()


def test_saving_follows_links_and_keeps_them(copy, tmp_path, monkeypatch):
    (tmp_path / "latest").symlink_to("copy")
    small.autoencoder().save_to_preset(tmp_path / "latest", {"seed": 7})
    assert (tmp_path / "latest").is_symlink()
    assert presets.verify(copy)["seed"] == 7
    monkeypatch.chdir(copy)
    small.autoencoder().save_to_preset(".", {"seed": 8})
    assert presets.verify(copy)["seed"] == presets.verify(".")["seed"] == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "latest"]


def test_a_tilde_in_a_presets_path_is_the_home_folder(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    monkeypatch.chdir(copy)
    presets.load("~/copy")
    assert presets.verify("~/copy") == presets.verify(copy)
    small.autoencoder().save_to_preset("~/other")
    assert not (copy / "~").exists()
    presets.load("~/other")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(
    tmp_path, value
):
    model = small.autoencoder()
    model.save_to_preset(tmp_path / "a")
    variable = model.decoder.trainable_variables[0]
    values = variable.numpy()
    values.flat[-1] = value
    variable.assign(values)
    message = f"{variable.path} with 1 of {values.size:,} values NaN or inf"
    for path in ("a", "b"):
        with pytest.raises(presets.PresetError, match=message):
            model.save_to_preset(tmp_path / path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    presets.load(tmp_path / "a")
    # As one was saved that nobody checked.
    model.save_weights(tmp_path / "a" / "model.weights.h5")
    presets.write_metadata(tmp_path / "a", {})
    with pytest.raises(presets.PresetError, match="model.weights.h5: .* 1 of"):
        presets.load(tmp_path / "a")


def test_metadata_describes_every_file(preset):
    metadata = presets.verify(preset[0])
    assert metadata["seed"] == 3
    assert metadata["class"] == "LatentGenerator"
    assert metadata["parameters"] == preset[1].autoencoder.count_params()
    assert metadata["prior_parameters"] == preset[1].prior.count_params()
    assert metadata["keras_version"] == keras.__version__
    names = {p.name for p in preset[0].iterdir()}
    assert set(metadata["files"]) == names - {"metadata.json"}


def test_saving_replaces_an_older_preset(copy):
    small.autoencoder().save_to_preset(copy)
    assert {p.name for p in copy.iterdir()} == {
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_optimizers_are_not_saved(tmp_path):
    """Their moments are two thirds of what a trained model holds."""
    model, images = small.vae(), small.pictures(4)
    model.save_to_preset(tmp_path / "before")
    model.compile(Adam(0.01))
    model.decoder.compile(Adam(0.01))
    model.fit(images, epochs=2, verbose=0)
    model.save_to_preset(tmp_path / "after")
    files = [tmp_path / n / "model.weights.h5" for n in ("before", "after")]
    assert abs(files[0].stat().st_size - files[1].stat().st_size) < 1000
    np.testing.assert_array_equal(
        presets.load(tmp_path / "after").encode(images), model.encode(images)
    )
    # The model goes on as if nothing had been saved.
    assert int(model.optimizer.iterations) == 2
    model.fit(images, verbose=0)
    assert int(model.optimizer.iterations) == 3
    saved = tf.train.Checkpoint(model).save(str(tmp_path / "ckpt"))
    names = [name for name, _ in tf.train.list_variables(saved)]
    assert any("optimizer" in name for name in names)


def test_policy_of_training_is_not_saved(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    small.autoencoder().save_to_preset(tmp_path / "a")
    keras.config.set_dtype_policy("float32")
    loaded = presets.load(tmp_path / "a")
    assert loaded.encoder.compute_dtype == "float32"
