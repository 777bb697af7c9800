"""Folders with links: each is read once."""

import os

import numpy as np
import pytest

from support.data_helpers import noise, write
from vqvae_tf import data
from vqvae_tf.commands.inputs import pictures as picture_inputs
from vqvae_tf.commands.inputs.files import PICTURES
from vqvae_tf.data.folders import list_files
from vqvae_tf.encoding import sources as code_sources
from vqvae_tf.encoding.picture_format import PictureFormat


def files(root):
    return list_files(str(root), (".png",))


@pytest.fixture
def root(tmp_path):
    """Two pictures in cats/, one in dogs/x/, in a folder of its own."""
    for name in ("cats/0.png", "cats/1.PNG", "dogs/x/2.png", "dogs/.3.png"):
        write(tmp_path / "root" / name, noise(4, 4, 3))
    (tmp_path / "root" / ".git").mkdir()
    write(tmp_path / "root" / ".git" / "4.png", noise(4, 4, 3))
    (tmp_path / "root" / "cats" / "notes.txt").write_text("none")
    return tmp_path / "root"


THREE = ["cats/0.png", "cats/1.PNG", "dogs/x/2.png"]


@pytest.mark.parametrize(
    "place, target",
    [
        ("cats/up", ".."),
        ("cats/self", "."),
        ("dogs/x/top", "../.."),
        ("dogs/other", "../cats"),  # in the tree, under its own name
        ("aaa", "cats"),  # though it comes first
        ("dogs/out", "../.."),  # above the folder itself
        ("loop", "loop"),
        ("gone", "nowhere"),
    ],
)
def test_a_link_inside_never_repeats_a_picture(root, place, target):
    os.symlink(target, root / place)
    assert files(root) == THREE


def test_links_to_each_other_never_repeat_a_picture(root, tmp_path):
    write(tmp_path / "far" / "5.png", noise(4, 4, 3))
    os.symlink(tmp_path / "far", root / "far")
    os.symlink(tmp_path / "far", root / "again")
    os.symlink(root, tmp_path / "far" / "back")
    os.symlink(tmp_path, tmp_path / "far" / "all")
    assert files(root) == ["again/5.png", *THREE]


def test_links_elsewhere_are_followed(root, tmp_path, caplog):
    write(tmp_path / "far" / "a" / "5.png", noise(4, 4, 3))
    write(tmp_path / "further" / "6.png", noise(4, 4, 3))
    os.symlink("../far", root / "far")
    os.symlink("../../further", tmp_path / "far" / "a" / "b")
    os.symlink(root / "cats", tmp_path / "start")
    assert files(root) == [*THREE, "far/a/5.png", "far/a/b/6.png"]
    assert files(tmp_path / "start") == ["0.png", "1.PNG"]
    assert not caplog.messages


def test_a_folder_that_is_left_out_is_told_of_once(root, caplog):
    os.symlink("cats", root / "puppies")
    assert files(root) == files(root) == THREE
    (message,) = caplog.messages
    assert message.startswith(f"Skipped {root}/puppies: it links to {root}/ca")


def test_a_link_to_above_never_puts_a_split_into_another(root):
    os.renames(root / "cats", root / "train" / "cats")
    os.renames(root / "dogs", root / "test" / "dogs")
    os.symlink("../..", root / "train" / "cats" / "up")
    source = data.open_images("folder", "train", str(root), progress=False)
    assert source.num_examples == 2


def test_every_reader_of_folders_reads_each_once(root):
    os.symlink("..", root / "cats" / "up")
    source = data.open_images("folder", "train", str(root), progress=False)
    assert source.num_examples == 3 and source.class_names == ("cats", "dogs")
    assert [name for _, name in PICTURES.list_inputs([root])] == THREE
    form = PictureFormat(4)
    (reader,) = code_sources.open_source(str(root), "train", form).values()
    assert len(reader) == 3


def test_speakers_are_read_once(tmp_path):
    pytest.importorskip("soundfile")
    from support.audio_helpers import opened, tone, write as write_audio

    write_audio(tmp_path / "train" / "ann" / "1.wav", tone(400))
    write_audio(tmp_path / "test" / "bob" / "1.wav", tone(500))
    os.symlink("..", tmp_path / "train" / "ann" / "up")
    os.symlink("ann", tmp_path / "train" / "eve")
    os.symlink("train", tmp_path / "validation")
    assert opened(tmp_path).lengths.tolist() == [400]
    assert sorted(opened(tmp_path, split="all").lengths) == [400, 500]


def test_a_folder_that_cannot_be_read_is_named(root, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match="cannot be read.*denied.*root/dogs"):
        files(root)


def test_a_broken_link_to_a_picture_is_named(root):
    os.symlink("nowhere.png", root / "cats" / "9.png")
    with pytest.raises(ValueError, match="No such picture file.*cats/9.png"):
        data.open_images("folder", "train", str(root), progress=False)
    form = PictureFormat(4)
    with pytest.raises(ValueError, match="cats/9.png"):
        list(picture_inputs.picture_batches(str(root), form))
    (reader,) = code_sources.open_source(
        str(root), "train", form, on_corrupt="skip"
    ).values()
    assert reader.origin["files_sha256"]
    found = np.concatenate([b["name"] for b in reader.batches(0, 4, 2)])
    assert found.tolist() == THREE


def test_the_order_of_sets_for_training_stays_that_of_plain_paths(tmp_path):
    for number in (1, 2, 10):
        picture = np.full([4, 4, 3], number, np.uint8)
        write(tmp_path / "root" / f"{number}.png", picture)
    assert files(tmp_path / "root") == ["1.png", "10.png", "2.png"]
    options = {"data_dir": str(tmp_path), "progress": False}
    source = data.open_images("folder:root", "train", **options)
    assert [source.get(i)["image"][0, 0, 0] for i in range(3)] == [1, 10, 2]
