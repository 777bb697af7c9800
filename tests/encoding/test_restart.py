"""Coded data sets: kills, damage, full disks, corrupt pictures."""

import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from support import coding, runs, small, tfds_sets
from vqvae_tf.encoding import (
    dataset as code_sets,
    shards as code_shards,
    streams as pieces,
)
from vqvae_tf.encoding.job import OpenJob

LAST = "dataset_info.json"
encode = coding.encode
one_encoder = coding.one_encoder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a preset, pictures in two files a split, and episodes."""
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home, counts=(40, 4))
    coding.write_pictures(home, "spoilt", corrupt=(3, 7))
    return home


# Kills ----------------------------------------------------------------------

_PROCESS = """
import sys
from vqvae_tf.encoding import dataset as code_sets
preset, folder, data_dir, file_format = sys.argv[1:]
code_sets.encode_dataset(
    preset, "tfds:album", folder, data_dir=data_dir, num_shards=20,
    batch_size=2, split="train", file_format=file_format, progress=False)
"""


def start(home, folder, file_format):
    words = [home / "preset", folder, home, file_format]
    return subprocess.Popen(
        [sys.executable, "-c", _PROCESS, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(process, folder, new, delay):
    """Kills a process some time after `new` more shards have appeared."""
    before = len(list(folder.glob("codes-*")))
    while process.poll() is None:
        if len(list(folder.glob("codes-*"))) >= before + new:
            time.sleep(delay)
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    _, stderr = process.communicate()
    # It may have ended before, but by itself and with all that it should do.
    done = process.returncode == 0 and (folder / LAST).exists()
    assert process.returncode == -signal.SIGKILL or done, stderr[-2000:]


def check_kills(home, tmp_path, file_format, kills, seed):
    draw = random.Random(seed)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    kwargs = dict(num_shards=20, batch_size=2, file_format=file_format)
    encode(home, whole, split="train", **kwargs)
    expected, shards = coding.contents(whole), []
    for number in range(kills):
        process = start(home, killed, file_format)
        new = draw.randint(0, 3) if number else 3
        kill_after(process, killed, new, draw.random() * 0.03)
        found = coding.contents(killed)
        # A file that is there under its name is whole.
        for name in set(found) & set(expected):
            assert found[name] == expected[name], name
        before = {
            path: path.stat().st_mtime_ns
            for path in killed.glob("codes-*")
            if (killed / ".shards" / f"{path.name}.json").exists()
        }
        shards.append(len(before))
    # Of three shards the last may lack its note. Others were to be made.
    assert shards[0] >= 2 and shards == sorted(shards) and shards[0] < 20
    done = encode(home, killed, split="train", **kwargs)
    assert done["kept"] == len(before) and done["examples"] == 40
    for path, modified in before.items():
        assert path.stat().st_mtime_ns == modified
    assert coding.contents(killed) == expected


def test_killed(home, tmp_path):
    check_kills(home, tmp_path, "tfrecord", kills=1, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_killed_many_times(home, tmp_path, file_format):
    for seed in range(3):
        folder = tmp_path / str(seed)
        check_kills(home, folder, file_format, kills=8, seed=seed)


# Shards that are not whole --------------------------------------------------


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_damaged_shards_are_made_again(home, tmp_path, file_format):
    encode(home, tmp_path, file_format=file_format)
    expected = coding.contents(tmp_path)
    cut, changed, lost = sorted(tmp_path.glob("codes-train*"))[:3]
    os.truncate(cut, cut.stat().st_size - 1)
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    lost.unlink()
    noteless = sorted(tmp_path.glob(".shards/codes-test*"))[0]
    noteless.write_text("{")
    (tmp_path / f".{cut.name}.abc").write_text("left by a kill")
    done = encode(home, tmp_path, file_format=file_format)
    assert done == {"examples": 44, "kept": 4, "made": 4}
    assert coding.contents(tmp_path) == expected


# Disks ----------------------------------------------------------------------


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_a_disk_that_takes_no_more(home, tmp_path, file_format, monkeypatch):
    kwargs = dict(num_shards=2, file_format=file_format, split="train")
    encode(home, tmp_path, **kwargs)
    expected = coding.contents(tmp_path)
    gone = [tmp_path / LAST, sorted(tmp_path.glob("codes-*"))[1]]
    for path in gone:
        path.unlink()
    kept = set(coding.contents(tmp_path))
    make = code_sets.make_shards

    def limited(*arguments):
        # Half of a shard: further writes fail, as on a full disk.
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (900, unlimited[1]))
        try:
            yield from make(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    with monkeypatch.context() as patch:
        patch.setattr(code_sets, "make_shards", limited)
        with pytest.raises(OSError, match="Cannot write .* run the same"):
            encode(home, tmp_path, **kwargs)
    left = coding.contents(tmp_path)
    assert set(left) <= kept
    shards = [name for name in left if name.startswith("codes-")]
    assert len(shards) == 1 and left[shards[0]] == expected[shards[0]]
    assert encode(home, tmp_path, **kwargs)["kept"] == 1
    assert coding.contents(tmp_path) == expected


def test_a_folder_that_cannot_be_made(home, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        encode(home, tmp_path / "file" / "codes")


# Corrupt sources ------------------------------------------------------------


def test_corrupt_pictures_of_tfds(home, tmp_path):
    kwargs = dict(source="tfds:spoilt", split="train", num_shards=3)
    with pytest.raises(ValueError) as caught:
        encode(home, tmp_path / "refused", **kwargs)
    name = "spoilt-train.tfrecord-00000-of-00002__3"
    assert f"Cannot decode {name}" in str(caught.value)
    assert "on_corrupt=" in str(caught.value)
    files = [p.name for p in (tmp_path / "refused").glob("codes-*")]
    assert files == ["codes-train.tfrecord-00000-of-00003"]
    done = encode(home, tmp_path / "codes", on_corrupt="skip", **kwargs)
    assert done["examples"] == 8
    found = code_sets.load_codes(tmp_path / "codes", "train")
    coding.write_pictures(tmp_path, "sound")
    whole = tmp_path / "whole"
    encode(home, whole, "tfds:sound", split="train", data_dir=str(tmp_path))
    sound = code_sets.load_codes(whole, "train")["codes"]
    kept = [0, 1, 2, 4, 5, 6, 8, 9]
    np.testing.assert_array_equal(found["codes"], sound[kept])
    assert found["name"][3] == "spoilt-train.tfrecord-00000-of-00002__4"


def test_every_picture_corrupt(home, tmp_path):
    coding.write_pictures(tmp_path, "bad", counts=(2, 1), corrupt=(0, 1))
    kwargs = dict(num_shards=1, data_dir=str(tmp_path), on_corrupt="skip")
    with pytest.raises(ValueError, match="No picture of the split 'train'"):
        encode(home, tmp_path / "codes", "tfds:bad", **kwargs)
    assert not (tmp_path / "codes" / LAST).exists()


def test_damaged_records(home, tmp_path):
    coding.write_pictures(tmp_path, "cut")
    path = sorted((tmp_path / "cut" / "1.0.0").glob("cut-train*"))[1]
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(ValueError, match="prepared files are damaged.*cut"):
        encode(home, tmp_path / "codes", "tfds:cut", data_dir=str(tmp_path))


def test_episode_with_a_missing_step(home, tmp_path):
    tfds_sets.write_clips(tmp_path, "clips", small.SIZE)
    path = sorted((tmp_path / "clips" / "1.0.0").glob("clips-train*"))[0]

    def move_start(number, example):
        first = example.features.feature["steps/is_first"].int64_list.value
        first[0] = int(number != 1)

    coding.rewrite(path, move_start)
    kwargs = dict(source="tfds:clips", split="train", num_shards=1)
    kwargs["data_dir"] = str(tmp_path)
    with pytest.raises(ValueError, match="Episode 1 of tfds:clips"):
        encode(home, tmp_path / "refused", **kwargs)
    encode(home, tmp_path / "codes", on_corrupt="skip", **kwargs)
    found = code_sets.load_codes(tmp_path / "codes", "train")
    assert np.unique(found["episode"]).tolist() == [0, 2]


# Memory and threads ---------------------------------------------------------


def test_few_batches_are_in_memory():
    """What is read ahead of the writer does not grow with the source."""
    for count in (50, 200):
        made, ahead, written = [0], [], [0]

        class Reader:
            def batches(self, start, stop, batch_size, made=made):
                for _ in range(start, stop):
                    made[0] += 1
                    yield {"image": np.zeros([2, 4, 4, 3]), "name": [0, 1]}

        class Encoder:
            batch_size = 2

            def __call__(self, images):
                return {"codes": images[..., 0]}

        shards = [
            code_shards.Shard("train", 0, 1, 0, count, "tfrecord"),
        ]
        opened = OpenJob(None, Encoder(), {"train": Reader()})
        for batch in opened.batches(shards, {"codes": (4, 4)}):
            time.sleep(0.001)
            written[0] += batch is not None
            ahead.append(made[0] - written[0])
        assert written[0] == count and 1 <= max(ahead) <= 10


def test_ahead_hands_errors_on_and_ends_its_thread():
    closed = []

    def items():
        try:
            yield from range(100)
            raise ValueError("the last")
        finally:
            closed.append(True)

    before = threading.active_count()
    some = pieces.ahead(items())
    assert [next(some) for _ in range(3)] == [0, 1, 2]
    some.close()
    assert closed == [True] and threading.active_count() == before
    with pytest.raises(ValueError, match="the last"):
        list(pieces.ahead(items()))
    assert threading.active_count() == before


def test_mapped_keeps_the_order_and_runs_two_at_once():
    both, most = threading.Barrier(2, timeout=runs.HANGS), []

    def function(item):
        if item < 2:
            both.wait()  # two threads must be here together
        return 2 * item

    def items():
        for item in range(9):
            most.append(item)
            yield item

    found = pieces.mapped(function, items())
    assert next(found) == 0 and most == [0, 1, 2]
    assert list(found) == list(range(2, 18, 2))


def test_mapped_hands_errors_on_and_ends_its_threads():
    before = threading.active_count()

    def function(item):
        if item == 3:
            raise ValueError("the third")
        return item

    some = pieces.mapped(function, range(100))
    assert next(some) == 0
    some.close()
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="the third"):
        list(pieces.mapped(function, range(100)))
    assert threading.active_count() == before


def test_mapped_hands_errors_of_the_items_on_after_the_results():
    def items():
        yield from (1, 2, 3)
        raise ValueError("the last")

    found = []
    with pytest.raises(ValueError, match="the last"):
        for result in pieces.mapped(abs, items()):
            found.append(result)
    assert found == [1, 2, 3]


def test_files_of_a_shard(tmp_path):
    shard = code_shards.Shard("train", 1, 3, 0, 2, "tfrecord")
    assert shard.file == "codes-train.tfrecord-00001-of-00003"
    rows = {"codes": np.zeros([2, 1], np.uint8), "name": ["a", "b"]}
    rows["name"] = np.array(rows["name"], object)
    content = code_shards.write_shard(tmp_path, shard, [rows])
    assert content.examples == 2
    assert code_shards.whole(tmp_path, shard) == content
    files = [p.name for p in pathlib.Path(tmp_path).iterdir() if p.is_file()]
    assert files == [shard.file]
