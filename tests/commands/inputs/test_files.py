"""Which files a command reads, and what it names those it writes."""

import pytest

from vqvae_tf.commands.inputs.files import PICTURES
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.samples.photos import sample_pictures


def names(*inputs):
    return [name for _, name in PICTURES.list_inputs(inputs)]


def test_folder_gives_its_pictures_alone():
    folder = sample_pictures()[0].parent
    assert names(folder) == [path.name for path in sample_pictures()]


def test_file_is_named_by_itself():
    path = sample_pictures()[0]
    assert PICTURES.list_inputs([path]) == [(path, path.name)]


def test_missing_and_empty_inputs(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder .*none"):
        names(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(FileNotFoundError, match="no picture .*in or below"):
        names(tmp_path)


def outputs(*received):
    rows = [(f"in/{name}", name) for name in received]
    return list(PICTURES.output_names(rows).values())


def test_output_names_keep_folders_and_dots():
    received = ["a/1.jpg", "b/1.JPG", "scan.001", "scan.002", "3"]
    expected = ["a/1", "b/1", "scan.001", "scan.002", "3"]
    assert outputs(*received) == [f"{name}.png" for name in expected]


def test_output_names_that_meet_are_refused():
    with pytest.raises(ValueError, match="in/1.jpg and in/1.png would both"):
        outputs("1.jpg", "1.png")


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png"])
def test_output_names_outside_are_refused(name):
    with pytest.raises(ValueError, match="must be relative paths"):
        outputs("a.png", name)


@pytest.mark.parametrize("name", ["", ".", "a/...", "a\0b"])
def test_output_names_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="must not be empty"):
        outputs("a.png", name)


def test_a_link_to_nothing_is_told_before_the_others_are_read(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to("none")
    arguments = [tmp_path], tmp_path / "out", Outputs("reconstruct")
    with pytest.raises(ValueError, match="b.png is a broken link. Repair"):
        PICTURES.targets(*arguments, "error")
    inputs, targets = PICTURES.targets(*arguments, "skip")
    assert [name for _, name in inputs] == ["a.png", "b.png"]
    assert targets["b.png"] == tmp_path / "out" / "b.png"
