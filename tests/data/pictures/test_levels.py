"""Grey of more than 8 bits, and floats: scaled or refused, never black."""

import struct

import numpy as np
import pytest
from PIL import Image

from support.data_helpers import noise, write
from vqvae_tf import data
from vqvae_tf.data import load_picture


def save(path, values, **options):
    Image.fromarray(values).save(path, **options)
    return path


def grey(path):
    """Returns [height, width], of both ways to load it."""
    colour, luma = load_picture(path), load_picture(path, channels=1)
    assert (colour == luma).all()
    return luma[:, :, 0]


GREY = noise(9, 12)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.png", np.uint16),
        ("a.tif", np.uint16),
        ("a.tif", np.int32),
        ("a.pgm", np.uint16),
        ("a.pgm", np.int32),
    ],
)
def test_sixteen_bits_are_scaled(tmp_path, name, kind):
    values = GREY.astype(kind) * 256 + 77
    assert (grey(save(tmp_path / name, values)) == GREY).all()


def test_dark_sixteen_bits_stay_dark(tmp_path):
    values = np.minimum(GREY, 9).astype(np.uint16) * 256
    assert grey(save(tmp_path / "a.png", values)).max() == 9
    assert not grey(save(tmp_path / "b.png", 0 * values)).any()


def test_twelve_bits_are_scaled(tmp_path):
    # Baseline TIFF of one row: two levels of 12 bits in three bytes.
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 122)]
    tags += [(277, 1), (278, 1), (279, 3)]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    entries[2] = struct.pack("<HHIHH", 258, 3, 1, 12, 0)
    content = b"II*\0" + struct.pack("<IH", 8, 9) + b"".join(entries)
    content = content.ljust(122, b"\0") + bytes.fromhex("80f123")
    (tmp_path / "a.tif").write_bytes(content)
    assert grey(tmp_path / "a.tif").tolist() == [[0x80, 0x12]]


def test_integers_of_32_bits_up_to_255_are_never_black(tmp_path):
    found = grey(save(tmp_path / "a.tif", GREY.astype(np.int32)))
    assert (found == GREY).all() and found.max() > 200


def test_whole_floats_are_levels(tmp_path):
    found = grey(save(tmp_path / "a.tif", GREY.astype(np.float32)))
    assert (found == GREY).all()
    assert not grey(save(tmp_path / "b.tif", np.zeros([3, 4], "f4"))).any()


def test_a_transparent_level_of_16_bits_is_white(tmp_path):
    values = np.array([[257, 9 * 256]], np.uint16)
    path = save(tmp_path / "a.png", values, transparency=257)
    assert grey(path).tolist() == [[255, 9]]


NOISE = np.random.default_rng(0).random([5, 6]).astype(np.float32)
REFUSED = {
    "floats_of_0_to_1": (NOISE, "mode F.*values in 0.0"),
    "floats_of_0_and_1": (np.float32(NOISE > 0.5), r"mode F.*in 0\.\.1"),
    "large_floats": (NOISE * 4000, "mode F.*values in .*39"),
    "negative_floats": (np.round(NOISE * 200) - 99, r"mode F.*in -\d+"),
    "fractions": (NOISE * 255, "32-bit floats"),
    "nan": (np.where(NOISE < 0.5, np.nan, 7), "in 7..7 and NaN"),
    "nothing_but_nan": (NOISE * np.nan, "no finite number and NaN"),
    "integers_of_0_and_1": (np.int32(NOISE > 0.5), r"mode I\) .*in 0\.\.1"),
    "large_integers": (np.int32(NOISE * 1e6), "32-bit integers.*in .*e?"),
    "negative_integers": (np.int32(NOISE * 99) - 9, "values in -"),
    "8_bits_in_16": (GREY.astype(np.uint16), r"16-bit int.*0\.\.2\d\d"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_become_black_or_white_is_refused(tmp_path, name):
    values, message = REFUSED[name]
    kind = np.float32 if values.dtype.kind == "f" else values.dtype
    path = save(tmp_path / "odd.tif", values.astype(kind))
    with pytest.raises(ValueError, match=message) as raised:
        load_picture(path)
    assert repr(str(path)) in str(raised.value)
    assert "save it with 8 bits" in str(raised.value)
    path = tmp_path / "odd.png"  # its kind is told by content, not by name
    save(path, values.astype(kind), format="tiff")
    write(tmp_path / "sound.png", GREY)
    with pytest.raises(ValueError, match="on_corrupt"):
        data.open_images("folder", "train", str(tmp_path), progress=False)
    (tmp_path / "odd.tif").unlink()
    options = {"on_corrupt": "skip", "progress": False}
    found = data.open_images("folder", "train", str(tmp_path), **options)
    assert found.num_examples == 1


@pytest.mark.parametrize(
    "mode, pixel, expected",
    [
        ("1", 1, [255, 255, 255]),
        ("L", 90, [90, 90, 90]),
        ("LA", (90, 255), [90, 90, 90]),
        ("LA", (90, 0), [255, 255, 255]),
        ("RGBA", (90, 80, 70, 255), [90, 80, 70]),
        ("RGBA", (90, 80, 70, 0), [255, 255, 255]),
        ("CMYK", (0, 0, 0, 0), [255, 255, 255]),
        ("CMYK", (255, 0, 0, 0), [0, 255, 255]),
        ("YCbCr", (90, 128, 128), [90, 90, 90]),
    ],
)
def test_modes(tmp_path, mode, pixel, expected):
    path = tmp_path / "a.tif"
    Image.new(mode, (3, 2), pixel).save(path)
    assert (load_picture(path) == expected).all()


def test_premultiplied_colours_are_divided_again(tmp_path):
    # Half transparent white is stored as (128, 128): (white + white) / 2.
    path = tmp_path / "a.tif"
    Image.new("LA", (3, 2), (128, 128)).save(path)
    content = path.read_bytes()
    extra = content.index(b"\x52\x01\x03\x00\x01\x00\x00\x00") + 8
    content = content[:extra] + b"\1\0" + content[extra + 2 :]
    path.write_bytes(content)
    with Image.open(path) as image:
        assert image.mode == "La"
    assert (load_picture(path) == 255).all()
