"""Files that are too large, damaged, or no pictures."""

import numpy as np
import pytest
from PIL import Image

from support.broken_files import damaged, pictures
from support.data_helpers import noise, write
from vqvae_tf import data
from vqvae_tf.data import load_picture
from vqvae_tf.data.pictures import files as picture_files

ENDINGS = ("png", "jpg", "gif", "bmp", "webp", "tif")


@pytest.mark.parametrize("ending", ENDINGS)
def test_too_many_pixels_are_refused(tmp_path, monkeypatch, ending):
    path = write(tmp_path / f"large.{ending}", noise(30, 40, 3))
    assert load_picture(path).shape == (30, 40, 3)
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 1199)
    message = "at most 1,199 pixels.*40 x 30.*MAX_PIXELS.*large"
    with pytest.raises(ValueError, match=message):
        load_picture(path)
    write(tmp_path / "small.png", noise(9, 9, 3))
    if ending != "tif":
        with pytest.raises(ValueError, match=message):
            data.open_images("folder", "train", str(tmp_path), progress=False)


@pytest.mark.parametrize("side", [12_000, 20_000])
def test_a_small_file_of_many_pixels_is_never_decoded(
    tmp_path, monkeypatch, side
):
    path = tmp_path / "bomb.png"
    Image.new("1", (side, side)).save(path)  # a few kilobytes
    if side < 13_000:  # PIL itself would but warn
        monkeypatch.setattr(picture_files, "MAX_PIXELS", 100_000_000)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(ValueError, match="pixels was expected.*bomb.png"):
        load_picture(path)


def test_a_program_that_is_called_a_picture_never_runs(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    path = tmp_path / "a.png"
    Image.fromarray(noise(5, 6, 3)).save(path, format="EPS")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # what runs it
    with pytest.raises(ValueError, match="cannot be decoded.*a program.*a.png"):
        load_picture(path)


def test_a_picture_that_does_not_fit_into_memory_is_named(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "a.png", noise(5, 6, 3))

    def convert(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(ValueError, match="fits into memory.*a.png.* 6 x 5"):
        load_picture(path)


def test_many_frames_are_not_read(tmp_path):
    for ending in ("gif", "tif", "png", "webp"):
        frames = [Image.fromarray(noise(5, 6, 3, seed=n)) for n in range(30)]
        path = tmp_path / f"film.{ending}"
        options = {"lossless": True} if ending == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        assert load_picture(path).shape == (5, 6, 3)


@pytest.mark.parametrize("ending", ENDINGS[:5])
def test_endings_in_capitals(tmp_path, ending):
    write(tmp_path / f"A.{ending.upper()}", noise(6, 6, 3))
    found = data.open_images("folder", "train", str(tmp_path), progress=False)
    assert found.num_examples == 1


def check(path, content):
    """Raises AssertionError unless a file is read, or refused by name."""
    path.write_bytes(content)
    try:
        picture = load_picture(path)
    except ValueError as error:
        assert str(path) in str(error)
        return False
    assert picture.dtype == np.uint8 and picture.shape[2:] == (3,)
    if not picture.any():
        with Image.open(path) as image:
            deep = image.mode[0] in "IF"
            assert not deep or not np.asarray(image).any(), "became black"
    return True


def fuzz(folder, count):
    """Returns how many of `count` damaged pictures are read."""
    kinds, read = list(pictures()), 0
    for number in range(count):
        ending, content = kinds[number % len(kinds)]
        content = damaged(content, np.random.default_rng(number))
        read += check(folder / f"{number}.{ending}", content)
    return read


@pytest.fixture
def few_pixels(monkeypatch):
    """Damage that makes a picture large costs time, and is refused anyway."""
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 10**6)


def test_damaged_pictures_are_read_or_named(tmp_path, few_pixels):
    assert 20 < fuzz(tmp_path, 300) < 280


@pytest.mark.slow
def test_thousands_of_damaged_pictures(tmp_path, few_pixels, caplog):
    read = fuzz(tmp_path, 5000)
    options = {"on_corrupt": "skip", "progress": False}
    found = data.open_images("folder", "train", str(tmp_path), **options)
    assert 0 < found.num_examples <= read  # no TIFF
    print(f"{read} of 5000 damaged pictures could be read")


def test_a_folder_of_damaged_pictures_alone_is_named(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    options = {"on_corrupt": "skip", "progress": False}
    with pytest.raises(
        ValueError, match="at least one readable.*" + str(tmp_path)
    ):
        data.open_images("folder", "train", str(tmp_path), **options)
