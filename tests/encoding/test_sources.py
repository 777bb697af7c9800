"""Sources of coded data sets: damaged, of several sizes, of odd kinds."""

import os

import numpy as np
import pytest
from PIL import Image

from support import coding, small, tfds_sets
from vqvae_tf.encoding import dataset as code_sets, streams as pieces
from vqvae_tf.encoding.plan import LAST

encode = coding.encode
one_encoder = coding.one_encoder
tfds = tfds_sets.tfds


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a preset, one of a model that takes any size, and sets."""
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    model = small.autoencoder()
    parts = model.encoder, model.quantizer, model.decoder
    type(model)(*parts).save_to_preset(home / "any_size")
    coding.write_pictures(home)
    return home


# Files with fewer records than they should have -----------------------------


@pytest.mark.parametrize("corrupt", [(), (1,)])
def test_pictures_are_missing_at_the_edge_of_a_record(home, tmp_path, corrupt):
    # One by one, after the first batch, where a picture is corrupt.
    coding.write_pictures(tmp_path, "cut", corrupt=corrupt)
    path = sorted((tmp_path / "cut" / "1.0.0").glob("cut-train*"))[0]
    coding.drop_last(path, 2)
    kwargs = dict(source="tfds:cut", num_shards=1, data_dir=str(tmp_path))
    words = "files are damaged.*tfds:cut.*contain 5 .*only 3 "
    with pytest.raises(ValueError, match=words):
        encode(home, tmp_path / "codes", on_corrupt="skip", **kwargs)
    assert not (tmp_path / "codes" / LAST).exists()
    assert not list((tmp_path / "codes").glob("codes-*"))


def test_episodes_are_missing(home, tmp_path):
    tfds_sets.write_clips(tmp_path, "clips", small.SIZE)
    path = sorted((tmp_path / "clips" / "1.0.0").glob("clips-train*"))[0]
    os.truncate(path, 0)
    kwargs = dict(split="train", num_shards=1, data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="damaged.*clips.* contained only 0"):
        encode(home, tmp_path / "codes", "tfds:clips", **kwargs)


def test_array_records_are_missing(home, tmp_path):
    coding.write_pictures(tmp_path, "cut", counts=(4, 2))
    folder = tmp_path / "cut" / "1.0.0"
    coding.as_array_record(folder)
    kwargs = dict(data_dir=str(tmp_path), num_shards=2)
    whole = encode(home, tmp_path / "a", "tfds:cut", **kwargs)
    path = sorted(folder.glob("cut-train.array_record*"))[1]
    os.truncate(path, 0)
    with pytest.raises(ValueError, match="files are damaged.*cut-train"):
        encode(home, tmp_path / "b", "tfds:cut", **kwargs)
    assert whole["examples"] == 6


# Sizes ----------------------------------------------------------------------


@pytest.mark.parametrize("num_shards, batch_size", [(1, 4), (6, 4), (1, 3)])
def test_a_picture_of_another_size(home, tmp_path, num_shards, batch_size):
    coding.write_folder(tmp_path / "photos")
    kwargs = dict(source=str(tmp_path / "photos"), num_shards=num_shards)
    kwargs |= dict(preset=f"{home}/any_size", batch_size=batch_size)
    encode(home, tmp_path / "codes", **kwargs)
    found = code_sets.load_codes(tmp_path / "codes", "train")
    assert found["codes"].shape == (6, 5, 5)
    # The first of the second batch of three.
    odd = tmp_path / "photos" / "train" / "b" / "1.png"
    Image.fromarray(small.pictures(1, 16)[0]).save(odd)
    with pytest.raises(ValueError, match=r"one size.*Received: b/1\.png of"):
        encode(home, tmp_path / "other", **kwargs)
    assert not (tmp_path / "other" / LAST).exists()


def test_splits_of_two_sizes(home, tmp_path):
    arrays = {f"x_{n}": small.pictures(2, s) for n, s in (("a", 20), ("b", 16))}
    np.savez(tmp_path / "x.npz", **arrays)
    kwargs = dict(source=str(tmp_path / "x.npz"), num_shards=1)
    with pytest.raises(ValueError, match=r"one size.* 0 of shape \(16, 16, 3"):
        encode(home, tmp_path / "c", preset=f"{home}/any_size", **kwargs)


def test_episodes_of_two_sizes(home, tmp_path):
    image = tfds.features.Image(shape=(None, None, 3))
    steps = tfds.features.Dataset({"observation": {"image": image}})
    rows = [
        {"steps": [{"observation": {"image": p}} for p in small.pictures(3, s)]}
        for s in (16, 20)
    ]
    tfds_sets.prepare(tmp_path, "sizes", {"steps": steps}, {"train": rows})
    kwargs = dict(preset=f"{home}/any_size", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="one size.* Received: episode 1 "):
        encode(home, tmp_path / "c", "tfds:sizes", num_shards=1, **kwargs)


def test_the_first_picture_decides_the_size_unless_it_is_corrupt(
    home, tmp_path
):
    coding.write_folder(tmp_path / "photos", count=4)
    files = sorted((tmp_path / "photos" / "train").rglob("*.png"))
    files[0].write_bytes(b"no picture")
    kwargs = dict(source=str(tmp_path / "photos"), num_shards=1)
    kwargs |= dict(preset=f"{home}/any_size", on_corrupt="skip")
    assert encode(home, tmp_path / "codes", **kwargs)["examples"] == 3
    for file in files:
        file.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="No picture of the split 'train'"):
        encode(home, tmp_path / "other", **kwargs)


def test_rows_of_another_shape_begin_a_batch():
    sizes = [3, 3, 3, 2, 2, 3]
    rows = [{"a": np.zeros([1, size])} for size in sizes]
    shapes = [batch["a"].shape for batch in pieces.batched(rows, 2)]
    assert shapes == [(2, 3), (1, 3), (2, 2), (1, 3)]
    shapes = [batch["a"].shape for batch in pieces.batched(rows, 3)]
    assert shapes == [(3, 3), (2, 2), (1, 3)]


# Odd kinds ------------------------------------------------------------------


def test_labels_in_bytes(home, tmp_path):
    labels = np.array([2, 0, 250], np.uint8)
    np.savez(tmp_path / "x.npz", images=small.pictures(3), labels=labels)
    encode(home, tmp_path / "c", str(tmp_path / "x.npz"), num_shards=1)
    found = code_sets.load_codes(tmp_path / "c", "train")
    assert found["label"].tolist() == [2, 0, 250]
    builder = tfds.builder_from_directory(tmp_path / "c")
    assert builder.info.features["label"].num_classes == 251


@pytest.mark.parametrize(
    "action, value",
    [
        ({"move": np.int64}, {"move": 1}),
        (tfds.features.Text(), "left"),
    ],
)
def test_actions_that_are_no_numbers(home, tmp_path, action, value):
    image = tfds.features.Image(shape=(small.SIZE, small.SIZE, 3))
    observation = {"image": image, "last_action": action}
    features = {"observation": observation, "action": action}
    steps = [
        {"observation": {"image": p, "last_action": value}, "action": value}
        for p in small.pictures(3)
    ]
    features = {"steps": tfds.features.Dataset(features)}
    rows = {"train": [{"steps": steps}]}
    tfds_sets.prepare(tmp_path, "odd", features, rows)
    kwargs = dict(num_shards=1, data_dir=str(tmp_path))
    encode(home, tmp_path / "c", "tfds:odd", **kwargs)
    found = code_sets.load_episodes(tmp_path / "c", "train")
    assert found.lengths.tolist() == [3] and found.actions is None


def test_all_is_no_split_among_others(home, tmp_path):
    with pytest.raises(ValueError, match='Splits are "all", or .*all,train'):
        encode(home, tmp_path / "codes", split="all,train")


def test_corrupt_file_of_a_folder(home, tmp_path):
    coding.write_folder(tmp_path / "photos")
    (tmp_path / "photos" / "train" / "a" / "2.png").write_bytes(b"no picture")
    photos = str(tmp_path / "photos")
    with pytest.raises(ValueError, match=r"2\.png"):
        encode(home, tmp_path / "refused", photos)
    encode(home, tmp_path / "codes", photos, on_corrupt="skip")
    found = code_sets.load_codes(tmp_path / "codes", "train")
    assert found["name"].tolist() == [
        f"{c}/{n}.png" for c, n in zip("aabbb", (0, 4, 1, 3, 5))
    ]
