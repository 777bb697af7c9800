"""Coded data sets that are gone on with: what may differ, and who may."""

import errno
import fcntl
import os

import numpy as np
import pytest

from support import coding, small
from vqvae_tf.encoding import dataset as code_sets
from vqvae_tf.encoding.plan import PLAN
from vqvae_tf.utils import locking

encode = coding.encode
one_encoder = coding.one_encoder
FEW = dict(split="test", num_shards=2)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home)
    coding.write_pictures(home, "spoilt", corrupt=(3, 7))
    return home


# Corrupt pictures -----------------------------------------------------------


def test_error_then_skip_goes_on(home, tmp_path):
    kwargs = dict(source="tfds:spoilt", split="train")
    with pytest.raises(ValueError, match="Cannot decode"):
        encode(home, tmp_path / "codes", **kwargs)
    kwargs["on_corrupt"] = "skip"
    done = encode(home, tmp_path / "codes", **kwargs)
    assert done == {"examples": 8, "kept": 1, "made": 3}
    encode(home, tmp_path / "other", **kwargs)
    found = coding.contents(tmp_path / "codes")
    assert found == coding.contents(tmp_path / "other")
    assert coding.plan_of(tmp_path / "codes")["on_corrupt"] == "skip"
    assert code_sets.read_plan(tmp_path / "codes")["on_corrupt"] == "skip"
    kwargs["on_corrupt"] = "error"
    with pytest.raises(
        ValueError, match="left out. Resume with --on_corrupt=s"
    ):
        encode(home, tmp_path / "codes", **kwargs)
    assert coding.contents(tmp_path / "codes") == found


def test_a_repair_before_the_first_shard(home, tmp_path):
    coding.write_folder(tmp_path / "photos")
    spoilt = tmp_path / "photos" / "train" / "a" / "0.png"
    sound = spoilt.read_bytes()
    spoilt.write_bytes(b"no picture")
    kwargs = dict(source=str(tmp_path / "photos"), num_shards=2)
    with pytest.raises(ValueError, match=r"0\.png"):
        encode(home, tmp_path / "codes", **kwargs)
    spoilt.write_bytes(sound)
    assert encode(home, tmp_path / "codes", **kwargs)["examples"] == 6
    encode(home, tmp_path / "other", **kwargs)
    other = coding.contents(tmp_path / "other")
    assert coding.contents(tmp_path / "codes") == other


def test_a_repair_when_shards_are_there(home, tmp_path):
    coding.write_folder(tmp_path / "photos")
    spoilt = tmp_path / "photos" / "train" / "b" / "5.png"
    spoilt.write_bytes(b"no picture")
    kwargs = dict(source=str(tmp_path / "photos"), num_shards=3)
    with pytest.raises(ValueError, match=r"5\.png"):
        encode(home, tmp_path / "codes", **kwargs)
    spoilt.unlink()
    with pytest.raises(ValueError, match="repaired.* Remove the folder"):
        encode(home, tmp_path / "codes", **kwargs)


# The source -----------------------------------------------------------------


def test_other_classes(home, tmp_path):
    """A class of another split moves the numbers of all that follow it."""
    photos = tmp_path / "photos"
    coding.write_folder(photos)
    coding.write_folder(photos, "test", 2)
    kwargs = dict(source=str(photos), split="train", num_shards=1)
    encode(home, tmp_path / "codes", **kwargs)
    (photos / "test" / "a").rename(photos / "test" / "aa")
    with pytest.raises(ValueError, match="another set of features or classes"):
        encode(home, tmp_path / "codes", **kwargs)


def test_other_labels_of_tfds(home, tmp_path):
    """Files made again may have equal names, counts and lengths."""
    coding.write_pictures(tmp_path, counts=(4, 1))
    kwargs = dict(data_dir=str(tmp_path), split="train", num_shards=1)
    encode(home, tmp_path / "codes", **kwargs)
    path = sorted((tmp_path / "album" / "1.0.0").glob("album-train*"))[0]
    length = path.stat().st_size
    coding.relabel(path)
    assert path.stat().st_size == length
    with pytest.raises(ValueError, match="another state of the source"):
        encode(home, tmp_path / "codes", **kwargs)


def test_other_labels_of_npz(home, tmp_path):
    path, images = tmp_path / "x.npz", small.pictures(4)
    kwargs = dict(source=str(path), num_shards=1)
    np.savez(path, images=images, labels=np.array([0, 1, 2, 0]))
    encode(home, tmp_path / "codes", **kwargs)
    np.savez(path, images=images, labels=np.array([0, 2, 1, 0]))
    with pytest.raises(ValueError, match="another state of the source"):
        encode(home, tmp_path / "codes", **kwargs)


# What a kill leaves ---------------------------------------------------------


def test_killed_before_the_first_shard(home, tmp_path):
    (tmp_path / ".encoding.json.x1.json").write_text("{")
    (tmp_path / locking.LOCK).touch()
    assert encode(home, tmp_path, **FEW)["made"] == 2
    assert [p.name for p in tmp_path.glob(".*")] == [".shards"]


def test_plan_that_is_no_json(home, tmp_path):
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        encode(home, tmp_path, **FEW)


def test_leftovers_go_and_other_files_stay(home, tmp_path):
    encode(home, tmp_path, **FEW)
    expected = coding.contents(tmp_path)
    shard = sorted(tmp_path.glob("codes-*"))[0].name
    for name in (
        ".features.json.ab",
        f".{shard}.c",
        f".shards/.{shard}.json.d",
    ):
        (tmp_path / name).write_text("left by a kill")
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "x").write_text("of a worker")
    (tmp_path / ".gitignore").write_text("mine")
    assert encode(home, tmp_path, **FEW)["kept"] == 2
    expected[".gitignore"] = b"mine"
    assert coding.contents(tmp_path) == expected
    assert not (tmp_path / ".unfinished").exists()


def test_not_complete_while_a_shard_is_made_again(home, tmp_path, monkeypatch):
    encode(home, tmp_path, **FEW)
    sorted(tmp_path.glob("codes-*"))[1].unlink()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(code_sets, "make_shards", lambda *_: iter(killed, None))
        with pytest.raises(KeyboardInterrupt):
            encode(home, tmp_path, **FEW)
    with pytest.raises(FileNotFoundError, match="not complete"):
        code_sets.open_codes(tmp_path, "test")
    assert encode(home, tmp_path, **FEW)["made"] == 1


# One process at a time ------------------------------------------------------


def test_one_process_at_a_time(home, tmp_path):
    folder = tmp_path / "codes"
    with locking.locked(folder, "testing"):
        with pytest.raises(ValueError, match="Another process is encoding"):
            encode(home, folder, **FEW)
        # The second of two that start at once has not written its plan.
        assert os.listdir(folder) == [locking.LOCK]
    assert encode(home, folder, **FEW)["made"] == 2
    assert not (folder / locking.LOCK).exists()


def test_lock_of_a_file_that_is_gone(home, tmp_path, monkeypatch):
    """The first has ended since the second opened its lock."""
    lock = fcntl.flock

    def late(file, kind):
        (tmp_path / locking.LOCK).unlink()
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(ValueError, match="Another process is encoding"):
        encode(home, tmp_path, **FEW)


def test_file_systems_without_locks(home, tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert encode(home, tmp_path, **FEW)["made"] == 2
    assert "has no locks" in caplog.text
