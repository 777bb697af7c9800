"""Decoding, channels, resizing, cropping."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st
from PIL import Image

from support.data_helpers import coordinates, noise, write
from vqvae_tf.data import decoding as pictures, load_picture, resize_and_crop


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "jpg", "gif"])
def test_formats(tmp_path, ending):
    colour = np.full([20, 30, 3], [200, 30, 60], np.uint8)
    options = {"lossless": True} if ending == "webp" else {}
    picture = load_picture(write(tmp_path / f"a.{ending}", colour, **options))
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - colour).max() <= 3  # JPEG's rounding


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = noise(6, 7)
    path = write(tmp_path / "grey.png", grey)
    assert (load_picture(path) == grey[:, :, None]).all()
    assert load_picture(path).shape == (6, 7, 3)
    assert (load_picture(path, channels=1)[:, :, 0] == grey).all()


def test_sixteen_bit_grey_is_scaled(tmp_path):
    values = np.array([[0, 256, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert load_picture(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 255]


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    path = str(tmp_path / "alpha.png")
    Image.fromarray(pixels).save(path)
    expected = [[10, 20, 30], [255, 255, 255]]
    assert load_picture(path)[0].tolist() == expected
    assert pictures.convert_channels(pixels, 3)[0].numpy().tolist() == expected


def test_palette_with_transparent_colour(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([250, 0, 0, 0, 250, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    picture = load_picture(tmp_path / "palette.png")
    assert picture[0].tolist() == [[255, 255, 255], [0, 250, 0]]


def test_exif_orientation_is_applied(tmp_path):
    upright = np.zeros([8, 16, 3], np.uint8)
    upright[:, 8:] = 255  # the right half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying: turn by 90 degrees clockwise
    stored = np.rot90(upright, k=1)  # counter-clockwise
    path = write(tmp_path / "phone.png", stored, exif=exif)
    assert (load_picture(path) == upright).all()


def test_luma_equals_pil():
    colour = noise(9, 9, 3)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    found = pictures.convert_channels(colour, 1)
    assert (found[..., 0].numpy() == expected).all()


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"1 \(grey\), 3 .* Received: shape"):
        pictures.convert_channels(noise(4, 4, 2), 3)


@pytest.mark.parametrize("size", [(20, 30), (40, 26), (77, 90)])
def test_resize_equals_pil(size):
    image = noise(61, 47, 3)
    found = pictures.resize(tf.constant(image), *size).numpy()
    expected = np.asarray(
        Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    )
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (7, 9), (24, 24)])
def test_resize_and_crop_is_a_centred_square(shape):
    ramp = np.broadcast_to(
        np.arange(shape[1], dtype=np.uint8)[:, None], [*shape, 3]
    )
    square = resize_and_crop(ramp, 24).numpy()
    assert square.shape == (24, 24, 3)
    # Centred: the mean of a horizontal ramp stays, up to half a source pixel.
    assert (
        abs(square.mean() - ramp.mean()) <= 0.5 * max(1, min(shape) / 24) + 0.5
    )


@pytest.mark.parametrize("name", pictures.RESIZE_FILTERS)
@pytest.mark.parametrize("shape", [(60, 48), (20, 33)])
def test_filters_are_those_of_pil(name, shape):
    """Both to smaller and to larger pictures."""
    # Without extremes, which PIL clips between its two passes.
    image = 64 + noise(*shape, 3) // 2
    size, short = 24, min(shape)
    target = [max(round(n * size / short), size) for n in shape]
    kernel = getattr(Image.Resampling, name.upper())
    whole = np.asarray(Image.fromarray(image).resize(target[::-1], kernel))
    top, left = ((n - size) // 2 for n in target)
    expected = whole[top : top + size, left : left + size].astype(int)
    found = resize_and_crop(image, size, name).numpy()
    assert np.abs(found - expected).max() <= 2
    number = list(pictures.RESIZE_FILTERS).index(name)
    again = pictures.resized_square(
        tf.constant(image), size, size, resize_filter=tf.constant(number)
    )
    np.testing.assert_array_equal(again, found)


def test_resize_and_crop_keeps_a_square_of_that_size():
    image = noise(24, 24, 3)
    assert (resize_and_crop(image, 24).numpy() == image).all()


def square(image, size, fractions=None):
    side = min(image.shape[:2])
    found = pictures.resized_square(tf.constant(image), side, size, fractions)
    return found.numpy()


def test_the_middle_is_cut():
    image = coordinates(9, 15)
    assert (square(image, 5) == image[2:7, 5:10]).all()


def test_squares_reach_every_position_equally():
    image = coordinates(6, 8)
    fractions = (np.arange(60, dtype=np.float32) + 0.5) / 60
    tops = [square(image, 4, (u, 0.0))[0, 0, 0] for u in fractions]
    lefts = [square(image, 4, (0.0, u))[0, 0, 1] for u in fractions]
    assert np.bincount(tops).tolist() == [20] * 3
    assert np.bincount(lefts).tolist() == [12] * 5
    assert (square(image, 4, (1.0, 1.0)) == image[2:, 4:]).all()


fractions = st.floats(0, 1, width=32, exclude_max=True)


@given(
    height=st.integers(5, 60),
    width=st.integers(5, 60),
    size=st.integers(1, 20),
    extra=st.integers(0, 20),
    place=st.none() | st.tuples(fractions, fractions),
)
def test_a_resized_square_is_cut_out_of_the_resized_picture(
    height, width, size, extra, place
):
    image, side = tf.constant(noise(height, width, 3)), size + extra
    scale = side / min(height, width)
    target = [max(round(n * scale), side) for n in (height, width)]
    whole = pictures.resize(image, *target).numpy().astype(int)
    room = np.array(target) - size
    offset = room // 2
    if place is not None:
        drawn = np.float32(place) * (room + 1).astype(np.float32)
        offset = np.minimum(drawn.astype(int), room)
    top, left = offset
    expected = whole[top : top + size, left : left + size]
    found = pictures.resized_square(image, side, size, place).numpy()
    assert found.shape == (size, size, 3)
    assert np.abs(found - expected).max() <= 1  # another order of rounding


def test_load_picture_equals_resize_and_crop(tmp_path):
    image = noise(40, 50, 3)
    path = write(tmp_path / "a.png", image)
    expected = resize_and_crop(image, 16).numpy()
    assert (load_picture(path, 16) == expected).all()


def test_missing_picture_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: .*none.png"):
        load_picture(tmp_path / "none.png")


@pytest.mark.parametrize("content", [b"", b"no picture", "truncated"])
def test_damaged_picture_is_named(tmp_path, content):
    path = tmp_path / "bad.png"
    write(path, noise(30, 30, 3))
    if content == "truncated":
        content = path.read_bytes()[:-1000]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be decoded.*bad.png"):
        load_picture(path)


@pytest.mark.parametrize(
    "image, size, message",
    [
        (np.zeros([4, 4, 3], np.float32), 2, "must be uint8.*float32"),
        (np.zeros([4, 4], np.uint8), 2, "must be uint8"),
        (np.zeros([4, 4, 3], np.uint8), 0, "size must be a positive integer"),
    ],
)
def test_resize_and_crop_refuses(image, size, message):
    with pytest.raises(ValueError, match=message):
        resize_and_crop(image, size)
