"""Coded data sets that are read: damaged, by stock tfds, as pictures."""

import os

import numpy as np
import pytest
import tensorflow as tf

from support import coding, tfds_sets
from vqvae_tf import presets
from vqvae_tf.commands import pictures
from vqvae_tf.encoding import (
    dataset as code_sets,
    shards as code_shards,
)

encode = coding.encode
one_encoder = coding.one_encoder
tfds = tfds_sets.tfds


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home, counts=(40, 4))
    return home


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_an_emptied_shard(home, tmp_path, file_format):
    encode(home, tmp_path, file_format=file_format)
    os.truncate(sorted(tmp_path.glob("codes-train*"))[3], 0)
    words = "damaged; call the same encode again"
    with pytest.raises(ValueError, match=words):
        code_sets.load_codes(tmp_path, "train")
    with pytest.raises(ValueError, match=words):
        list(
            pictures.decoded(
                presets.load(home / "preset"),
                home / "preset",
                tmp_path,
                "train",
            )
        )
    with pytest.raises(tf.errors.OpError):
        list(code_sets.open_codes(tmp_path, "train"))
    assert len(code_sets.load_codes(tmp_path, "train[:30]")["codes"]) == 30
    assert encode(home, tmp_path, file_format=file_format)["made"] == 1
    assert len(code_sets.load_codes(tmp_path, "train")["codes"]) == 40


def test_the_order_of_stock_tfds(home, tmp_path):
    """By default it takes turns between files, 16 rows each."""
    encode(home, tmp_path, num_shards=2)
    expected = code_sets.load_codes(tmp_path, "train")["name"].tolist()
    files = [f"album-train.tfrecord-{i:05}-of-00002" for i in (0, 1)]
    assert expected == [f"{file}__{i}" for file in files for i in range(20)]
    builder = tfds.builder_from_directory(tmp_path)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    rows = builder.as_dataset(split="train", read_config=config)
    names = [row["name"].decode() for row in rows.as_numpy_iterator()]
    assert names == expected


def test_pictures_of_one_name_in_two_batches(home, tmp_path):
    coding.write_folder(tmp_path / "photos", count=6)
    files = sorted((tmp_path / "photos" / "train").rglob("*.png"))
    folder = files[0].parent
    files[0].rename(folder / "zz.png")
    files[-1].rename(folder / "zz.JPEG")
    encode(home, tmp_path / "c", str(tmp_path / "photos"), num_shards=1)
    model = presets.load(home / "preset")
    found = pictures.decoded(
        model, home / "preset", tmp_path / "c", "train", batch_size=1
    )
    words = r"train/a/zz\.JPEG and train/a/zz\.png would both be written"
    with pytest.raises(ValueError, match=words):
        list(found)


def test_another_data_set_of_tfds(home):
    folder = home / "album" / "1.0.0"
    with pytest.raises(ValueError, match="Expected a folder written by `vqv"):
        code_sets.read_plan(folder)


def test_splits_are_decoded_in_turn(home, tmp_path):
    encode(home, tmp_path, num_shards=1)
    model = presets.load(home / "preset")
    arguments = model, home / "preset", tmp_path
    both = list(pictures.decoded(*arguments, "test[:2],train[:1]"))
    assert [name.split("/")[0] for name, _ in both] == ["test", "test", "train"]
    codes = code_sets.load_codes(tmp_path, "test[:2]")["codes"]
    np.testing.assert_array_equal(
        [picture for _, picture in both[:2]], model.decode(codes)
    )
    with pytest.raises(ValueError, match='Splits are "all"'):
        list(pictures.decoded(*arguments, "all,test"))


def test_reading_what_is_not_complete(tmp_path):
    with pytest.raises(FileNotFoundError, match="written by `vqvae-tf encode"):
        code_sets.open_codes(tmp_path, "train")
    (tmp_path / "encoding.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="call the same encode again"):
        code_sets.open_codes(tmp_path, "train")


def test_episodes_of_pictures(home, tmp_path):
    encode(home, tmp_path, split="test")
    with pytest.raises(ValueError, match="Codes of episodes were expected"):
        code_sets.load_episodes(tmp_path, "test")
