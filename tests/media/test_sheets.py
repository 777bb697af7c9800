"""Sheets of pictures."""

import numpy as np
from PIL import Image

from support import small
from vqvae_tf.media import sheets

GAP = sheets.GAP


def test_grid_places_every_picture():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None]
    pictures = np.broadcast_to(pictures, [5, 3, 4, 3])
    sheet = sheets.grid(pictures, columns=2)
    assert sheet.shape == (3 * (3 + GAP) + GAP, 2 * (4 + GAP) + GAP, 3)
    for i in range(5):
        top = GAP + i // 2 * (3 + GAP)
        left = GAP + i % 2 * (4 + GAP)
        assert (sheet[top : top + 3, left : left + 4] == i).all()
    used = 5 * 3 * 4 * 3
    assert (sheet == 255).sum() == sheet.size - used


def test_grid_is_about_square():
    assert sheets.grid(np.zeros([9, 2, 2, 3], np.uint8)).shape[0] == 14


def test_pairs_put_reconstructions_below():
    originals = np.full([3, 2, 2, 3], 10, np.uint8)
    sheet = sheets.pairs(originals, originals + 5, columns=2)
    column = sheet[:, GAP, 0]
    rows = [column[GAP + i * (2 + GAP)] for i in range(4)]
    assert rows == [10, 15, 10, 15]


def test_enlarge():
    picture = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    large = sheets.enlarge(picture, 3)
    assert large.shape == (6, 6, 1)
    assert (large[:3, 3:] == 1).all()


def test_save_picture(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, [4, 5, 3], np.uint8)
    sheets.save_picture(tmp_path / "deep" / "a.png", picture)
    written = small.read_picture(tmp_path / "deep" / "a.png")
    np.testing.assert_array_equal(written, picture)
    sheets.save_picture(tmp_path / "grey.png", picture[..., :1])
    grey = small.read_picture(tmp_path / "grey.png")
    np.testing.assert_array_equal(grey, picture[..., 0])


def test_grey_animation(tmp_path):
    frames = np.zeros([3, 8, 6, 1], np.uint8)
    frames[np.arange(3), np.arange(3)] = 200
    sheets.save_animation(tmp_path / "film.gif", frames)
    with Image.open(tmp_path / "film.gif") as film:
        for t in range(3):
            film.seek(t)
            np.testing.assert_array_equal(film.convert("L"), frames[t, ..., 0])


def test_animation(tmp_path):
    frames = np.zeros([5, 8, 6, 3], np.uint8)
    frames[np.arange(5), np.arange(5), 0] = [255, 0, 0]
    path = tmp_path / "film.gif"
    sheets.save_animation(path, frames, frames_per_second=10)
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (5, (6, 8))
        assert (film.info["duration"], film.info["loop"]) == (100, 0)
        for t in range(5):
            film.seek(t)
            np.testing.assert_array_equal(film.convert("RGB"), frames[t])
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]
