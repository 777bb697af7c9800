"""Files of presets that come from strangers: refused by a PresetError."""

import hashlib
import json
import os
import random
import shutil

import h5py
import numpy as np
import pytest

from support import preset_files, small
from vqvae_tf import presets
from vqvae_tf.presets import PresetError, checks as preset_checks

FILE = {"size": 1, "sha256": "0" * 64}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    small.vae().save_to_preset(folder)
    return folder


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset, tmp_path / "copy")


# metadata.json ---------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"{}",
        b'{"files": {}}',
        b"\xff\xfe{}",
        b"1" * 5000,
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b" " * (preset_checks.MAX_JSON_BYTES + 1),
    ],
    ids=lambda content: repr(content[:8]),
)
def test_metadata_of_another_form_is_explained(copy, content):
    (copy / "metadata.json").write_bytes(content)
    for look in (presets.load, presets.verify):
        with pytest.raises(PresetError, match="copy/metadata.json"):
            look(copy)


@pytest.mark.parametrize(
    "entries",
    [
        {"files": []},
        {"files": "config.json"},
        {"files": {"config.json": None}},
        {"files": {"config.json": {**FILE, "size": -1}}},
        {"files": {"config.json": {**FILE, "size": True}}},
        {"files": {"config.json": {**FILE, "size": "1"}}},
        {"files": {"config.json": {**FILE, "sha256": 7}}},
        {"files": {"config.json": {**FILE, "sha256": "0" * 63}}},
        {"files": {"../config.json": FILE}},
        {"files": {"/etc/passwd": FILE}},
        {"files": {"": FILE}},
        {"files": {"..": FILE}},
        {"files": {"a\\b": FILE}},
        {"files": {"a\0b": FILE}},
        {"parameters": "many"},
        {"parameters": None},
        {"metrics": []},
        {"data": "mnist"},
        {"data": {"source": 5}},
        {"data": {"image_size": "x"}},
        {"data": {"image_size": -1}},
        {"data": {"image_size": [1]}},
        {"data": {"image_size": 10**5}},
        {"data": {"sample_rate": 1e9}},
        {"data": {"normalize": 5}},
        {"class": 3},
    ],
    ids=repr,
)
def test_metadata_with_wrong_entries_is_explained(copy, entries):
    metadata = preset_files.read(copy, "metadata.json")
    preset_files.write(copy, "metadata.json", {**metadata, **entries})
    with pytest.raises(PresetError, match="does not describe a preset"):
        presets.load(copy)


def test_mutated_metadata_raise_nothing_but_preset_errors(copy):
    rng = random.Random(0)
    metadata = preset_files.read(copy, "metadata.json")
    places = [path for path, _ in preset_files.leaves(metadata)]
    others = [..., None, 7, -1, 1e30, "", "../x", [], {}, [[]], {"a": {}}]
    refused = 0
    for _ in range(300):
        path, new = rng.choice(places), rng.choice(others)
        mutated = preset_files.changed(metadata, path, new)
        preset_files.write(copy, "metadata.json", mutated)
        try:
            presets.verify(copy)
        except PresetError:
            refused += 1
    assert 100 < refused < 300


# Files -----------------------------------------------------------------------


def test_links_out_of_the_folder_are_refused(copy):
    shutil.move(copy / "config.json", copy.parent)
    (copy / "config.json").symlink_to(copy.parent / "config.json")
    with pytest.raises(PresetError, match="outside of the preset"):
        presets.load(copy)


def test_links_within_the_folder_and_to_it_are_followed(copy):
    (copy / "config.json").rename(copy / "other")
    (copy / "config.json").symlink_to("other")
    (copy.parent / "link").symlink_to(copy)
    presets.verify(copy.parent / "link")


def test_the_layout_of_the_hub_is_read(copy, tmp_path):
    """Its snapshots are links to files that are named by their content."""
    snapshot = tmp_path / "snapshots" / "1234"
    (tmp_path / "blobs").mkdir()
    snapshot.mkdir(parents=True)
    for path in copy.iterdir():
        shutil.move(path, tmp_path / "blobs")
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    presets.verify(snapshot)


def test_what_is_no_file_is_not_opened(copy):
    """A named pipe would be waited for."""
    (copy / "config.json").unlink()
    os.mkfifo(copy / "config.json")
    with pytest.raises(PresetError, match="has no config.json"):
        presets.load(copy)


def test_huge_files_are_not_read(copy):
    """They take no room on a disk, but would in memory."""
    for name in ("config.json", "model.weights.h5"):
        path, size = copy / name, preset_checks.MAX_FILE_BYTES + 1
        before = path.read_bytes()
        os.truncate(path, size)
        metadata = preset_files.read(copy, "metadata.json")
        metadata["files"][name]["size"] = size
        preset_files.write(copy, "metadata.json", metadata)
        with pytest.raises(PresetError, match="Expected at most"):
            presets.load(copy)
        preset_files.write(copy, name, before)


# Weights ---------------------------------------------------------------------


def change_weights(copy, change):
    path = copy / "model.weights.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    preset_files.trust(copy, path.name)


def replaced(file, **options):
    """Replaces the first array of a file by one that is made otherwise."""
    names = []
    file.visititems(
        lambda name, item: (
            names.append((name, item.shape))
            if isinstance(item, h5py.Dataset)
            else None
        )
    )
    name, shape = names[0]
    del file[name]
    file.create_dataset(name, **{"shape": shape, "dtype": "f4", **options})


def bomb(file):
    replaced(file, shape=(2**16, 2**16), chunks=(256, 256), compression="gzip")


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (4,))
    file.create_virtual_dataset("other", layout)


@pytest.mark.parametrize(
    "change",
    [
        bomb,
        virtual,
        lambda file: replaced(file, shape=(2**20, 2**20)),
        lambda file: replaced(file, external=[("/etc/passwd", 0, 2**20)]),
        lambda file: replaced(file, dtype=h5py.string_dtype()),
        lambda file: replaced(file, dtype=[("a", "f4"), ("b", "f4")]),
        lambda file: file.update(x=h5py.ExternalLink("/etc/x.h5", "/")),
        lambda file: file.update(x=h5py.SoftLink("/layers")),
    ],
)
def test_weights_that_unpack_or_refer_to_others_are_refused(copy, change):
    change_weights(copy, change)
    with pytest.raises(PresetError, match="model.weights.h5 cannot be used"):
        presets.load(copy)


def test_weights_in_a_circle_are_no_endless_loop(copy):
    change_weights(copy, lambda file: file.update(again=file["/"]))
    presets.load(copy)


def test_compressed_weights_are_weights(copy):
    """What is zero, say unused codes, is packed to next to nothing."""
    path = copy / "model.weights.h5"
    before = preset_checks.measure_weights(path, path)

    def compress(group):
        for name, item in list(group.items()):
            if isinstance(item, h5py.Group):
                compress(item)
            elif item.shape:
                values = item[()]
                del group[name]
                group.create_dataset(name, data=values, compression="gzip")

    change_weights(copy, compress)
    assert preset_checks.measure_weights(path, path) == before
    presets.load(copy)


def test_damaged_weights_raise_nothing_but_preset_errors(copy):
    rng, path = np.random.default_rng(0), copy / "model.weights.h5"
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(30):
        damaged = content[: rng.choice([len(content), rng.integers(4096)])]
        damaged = damaged.copy()
        places = rng.integers(len(damaged), size=8)
        damaged[places] = rng.integers(256, size=8)
        path.write_bytes(damaged.tobytes())
        try:
            preset_checks.measure_weights(path, path)
        except PresetError:
            pass


# Pins ------------------------------------------------------------------------


def test_a_pin_keeps_other_presets_out(copy):
    pin = presets.sha256(copy / "metadata.json")
    assert presets.verify(copy, sha256=pin.upper())
    model = presets.load(copy, sha256=pin)
    assert type(model).from_preset(copy, sha256=pin).built
    preset_files.trust(copy, "config.json")  # equal files, another spelling
    text = json.dumps(preset_files.read(copy, "metadata.json"))
    assert hashlib.sha256(text.encode()).hexdigest() != pin
    for look in (presets.load, presets.verify, type(model).from_preset):
        with pytest.raises(PresetError, match=f"expected {pin}"):
            look(copy, sha256=pin)


@pytest.mark.parametrize("pin", ["", "abc", 7, "g" * 64])
def test_what_is_no_pin_is_told(copy, pin):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        presets.load(copy, sha256=pin)
