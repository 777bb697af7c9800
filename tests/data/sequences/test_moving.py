"""Moving pictures against np.roll, and what their position does not tell."""

import numpy as np
import pytest
import tensorflow as tf

from support.data_helpers import noise
from vqvae_tf import data
from vqvae_tf.data.pictures.source import ArrayImages, LazyImages, PackedImages


def grey(rows=6, height=4, width=5):
    pictures = noise(rows, height, width, 1)
    names = ["even", "odd"]
    return pictures, ArrayImages("grey", pictures, np.arange(rows) % 2, names)


def both_ways(rows):
    """Returns noise of rows that move to the right and left in turn."""
    uniform = np.linspace(0.01, 0.99, rows).astype(np.float32)
    return np.stack([np.arange(rows) % 2 * 0.5 + 0.3, uniform], axis=1)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("length", [2, 7])  # longer than a round
def test_frames_are_rolled_pictures(binary, length):
    pictures, images = grey()
    source = data.MovingPictures(images, length, binary)
    assert (source.shape, source.length) == ((4, 5, 1), length)
    index = np.array([0, 3, 5, 5, 1, 2, 4])
    drawn = both_ways(len(index)).astype(np.float32)
    frames, mask = source.get(index, drawn)
    known = source.known(index, drawn)
    assert mask is None and frames.dtype == tf.uint8
    assert known["direction"].numpy().tolist() == [1, -1, 1, -1, 1, -1, 1]
    assert known["start"].numpy().tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert known["direction"].dtype == known["start"].dtype == tf.int32
    if binary:
        pictures = np.where(pictures > 127, 255, 0)
    for row, i in enumerate(index):
        start = known["start"].numpy()[row]
        direction = known["direction"].numpy()[row]
        for t in range(length):
            expected = np.roll(pictures[i], start + direction * t, axis=1)
            np.testing.assert_array_equal(frames[row, t], expected)


def test_pixels_above_127_are_on():
    pictures = np.array([0, 127, 128, 255], np.uint8).reshape([1, 2, 2, 1])
    source = data.MovingPictures(ArrayImages("edge", pictures))
    frames, _ = source.get([0], np.array([[0.1, 0.1]], np.float32))
    assert frames[0, 0, ..., 0].numpy().tolist() == [[0, 0], [255, 255]]


def test_labels_are_known_where_there_are_any():
    pictures, images = grey()
    source = data.MovingPictures(images)
    known = source.known([5, 2], both_ways(2))
    assert known["label"].numpy().tolist() == [1, 0]
    assert known["label"].dtype == tf.int64
    assert source.class_names == ("even", "odd")
    plain = data.MovingPictures(ArrayImages("plain", pictures))
    assert set(plain.known([5], both_ways(1))) == {"direction", "start"}
    assert plain.class_names is None


def test_position_does_not_tell_time():
    dots = np.zeros([3000, 1, 5, 1], np.uint8)
    dots[:, 0, 2] = 255
    source = data.MovingPictures(ArrayImages("dots", dots), length=8)
    frames, _, known = data.evaluation_sequences(source)
    places = frames[:, :, 0, :, 0].argmax(axis=-1)
    right = known["direction"] == 1
    for moved in (right, ~right):
        share = moved.sum() / 3000
        assert abs(share - 0.5) < 0.04  # 4 standard deviations
        for t in range(8):
            counts = np.bincount(places[moved, t], minlength=5)
            expected = moved.sum() / 5
            # 99.99 % of the chi-square distribution of 4 degrees of freedom.
            assert ((counts - expected) ** 2 / expected).sum() < 23.5


def test_pictures_that_are_decoded_at_each_use():
    pictures, images = grey()
    lazy = LazyImages("lazy", 6, (4, 5, 1), images.get, images.class_names)
    index, drawn = np.array([4, 1]), both_ways(2)
    expected = data.MovingPictures(images)
    found = data.MovingPictures(lazy)
    np.testing.assert_array_equal(
        found.get(index, drawn)[0], expected.get(index, drawn)[0]
    )
    assert found.known(index, drawn)["label"].numpy().tolist() == [0, 1]
    bare = LazyImages("bare", 6, (4, 5, 1), lambda i: {"image": pictures[0]})
    assert "label" not in data.MovingPictures(bare).known(index, drawn)


def test_what_cannot_move():
    pictures, images = grey()
    sizes = PackedImages("sizes", [pictures[0], pictures[1, 1:]])
    with pytest.raises(ValueError, match=r"one size.*sizes with.*\(None, 5, 1"):
        data.MovingPictures(sizes)
    with pytest.raises(ValueError, match="open_images.*Received: ndarray"):
        data.MovingPictures(pictures)
    for length in (1, 2.5, True):
        with pytest.raises(ValueError, match=f"two. Received: {length}"):
            data.MovingPictures(images, length)
