"""What a command writes over, and what it leaves alone."""

import os

import numpy as np
import pytest
from PIL import Image

from support import small
from vqvae_tf import data
from vqvae_tf.commands.outputs import Outputs
from vqvae_tf.media.wav import save_wav
from vqvae_tf.utils.paths import has_ending

PICTURE = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3)


def write(outputs, path):
    """Writes a file of the kind that its ending says."""
    if has_ending(path, ".npz"):
        outputs.npz(path, codes=np.arange(3))
    elif has_ending(path, ".txt"):
        outputs.text(path, "figures")
    elif has_ending(path, ".wav"):
        outputs.wav(path, np.linspace(-0.5, 0.5, 50), 8000)
    elif has_ending(path, ".film.gif"):
        outputs.animation(path, np.stack([PICTURE, 255 - PICTURE]))
    else:
        outputs.picture(path, PICTURE)


FILES = (
    "a.png a.PNG a.jpg a.jpeg a.webp a.bmp a.gif a.film.gif a.wav a.npz a.NPZ "
    "a.txt"
).split()


@pytest.mark.parametrize("name", FILES)
def test_a_command_replaces_its_own_files_alone(tmp_path, name):
    path = tmp_path / "new" / name
    write(Outputs("sample"), path)
    write(Outputs("sample"), path)
    before = path.read_bytes()
    message = "there already, and `vqvae-tf decode` did not make it"
    with pytest.raises(ValueError, match=message):
        write(Outputs("decode"), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", FILES)
def test_files_of_others_are_never_replaced(tmp_path, name):
    path = tmp_path / name
    if has_ending(path, ".wav"):
        save_wav(path, np.zeros(20), 8000)
    elif has_ending(path, ".npz"):
        with open(path, "wb") as file:
            np.savez(file, codes=np.arange(3))
    elif has_ending(path, ".txt"):
        path.write_text("mine")
    else:
        Image.fromarray(PICTURE).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="did not make it"):
        write(Outputs("sample"), path)
    assert path.read_bytes() == before


def test_marked_files_are_what_they_were(tmp_path):
    outputs = Outputs("sample")
    for name in ("a.png", "a.bmp"):
        outputs.picture(tmp_path / name, PICTURE)
        found = small.read_picture(tmp_path / name)
        np.testing.assert_array_equal(found, PICTURE)
    waveform = np.linspace(-0.5, 0.5, 51)
    outputs.wav(tmp_path / "a.wav", waveform, 8000)
    save_wav(tmp_path / "b.wav", waveform, 8000)
    a, b = (
        data.load_waveform(tmp_path / f"{n}.wav", 8000, normalize=None)
        for n in "ab"
    )
    np.testing.assert_array_equal(a, b)
    size = int.from_bytes((tmp_path / "a.wav").read_bytes()[4:8], "little")
    assert size + 8 == (tmp_path / "a.wav").stat().st_size
    outputs.npz(tmp_path / "a.npz", codes=np.arange(3), names=np.array(["a"]))
    with np.load(tmp_path / "a.npz") as arrays:
        assert sorted(arrays) == ["codes", "names"]


@pytest.fixture
def inputs(tmp_path):
    """A folder of pictures, all made by the command that is to read them."""
    folder = tmp_path / "photos"
    for name in ("a.png", "sub/b.PNG"):
        Outputs("reconstruct").picture(folder / name, PICTURE)
    return folder


WAYS = {
    "itself": lambda path, tmp: path,
    "relative": lambda path, tmp: os.path.relpath(path),
    "dots": lambda path, tmp: path.parent / "sub" / ".." / path.name,
    "link": lambda path, tmp: _linked(os.symlink, path, tmp / "link.png"),
    "hard": lambda path, tmp: _linked(os.link, path, tmp / "hard.png"),
    "folder": lambda path, tmp: (
        _linked(os.symlink, path.parent, tmp / "links") / path.name
    ),
}


def _linked(make, path, link):
    make(path, link)
    return link


@pytest.mark.parametrize("given", ["file", "folder", "both", "link"])
@pytest.mark.parametrize("way", WAYS)
def test_no_name_of_an_input_is_written_to(tmp_path, inputs, way, given):
    file = inputs / "a.png"
    if given == "link":
        os.symlink(inputs, tmp_path / "given")
    given = {
        "file": [file],
        "folder": [inputs],
        "both": [inputs, file],
        "link": [tmp_path / "given"],
    }[given]
    outputs = Outputs("reconstruct", given, (".png",))
    before = file.read_bytes()
    message = "would be replaced by what is made of it|among the input"
    with pytest.raises(ValueError, match=message):
        outputs.picture(WAYS[way](file, tmp_path), PICTURE)
    assert file.read_bytes() == before


def test_no_output_is_among_the_inputs_of_the_next_call(tmp_path, inputs):
    outputs = Outputs("reconstruct", [inputs], (".png",))
    os.symlink(inputs, tmp_path / "link")
    for folder in (inputs, inputs / "new", tmp_path / "link" / "new"):
        with pytest.raises(ValueError, match="would be among the input"):
            outputs.check_folder(folder)
        with pytest.raises(ValueError, match="would be among the input"):
            outputs.check(folder / "new.PNG")
        outputs.check(folder / "codes.npz")  # which is no picture
    outputs.check_folder(tmp_path)
    outputs.check(tmp_path / "new.png")


def test_links_folders_and_pipes_are_no_files_to_write(tmp_path):
    outputs, link = Outputs("sample"), tmp_path / "link.png"
    os.symlink(tmp_path / "nothing.png", link)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (link, tmp_path / "pipe.png", tmp_path / "folder.png"):
        with pytest.raises(ValueError, match="did not make|is a folder"):
            outputs.check(path)
    with pytest.raises(ValueError, match="file is a file"):
        outputs.check(tmp_path / "file" / "a.png")
    with pytest.raises(ValueError, match="is a file, not a folder"):
        outputs.check_folder(tmp_path / "file")


def test_names_that_are_too_long_are_told_before_the_work(tmp_path):
    outputs = Outputs("decode")
    outputs.picture(tmp_path / ("x" * 251 + ".png"), PICTURE)
    with pytest.raises(ValueError, match="more than 255 bytes"):
        outputs.check(tmp_path / "a.png", tmp_path / ("\u00e9" * 126 + ".png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said_before_the_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="no permission to write"):
        Outputs("sample").check(tmp_path / "new" / "a.png")
