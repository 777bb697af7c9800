"""Generated shapes: what is drawn is what the factors say."""

import hashlib

import numpy as np
import pytest

from vqvae_tf import data
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.evaluation.disentanglement import mutual_information_gap


@pytest.fixture(scope="module")
def every():
    return data.load_shapes()


@pytest.fixture(scope="module")
def grid(every):
    """Returns uint8 [shape, scale, orientation, x, y, row, column]."""
    return every.images.reshape(*every.sizes, 32, 32)


def opened(split, **options):
    return data.open_images("shapes", split, progress=False, **options)


def moments(pictures):
    """Returns the area, and the mean place (x, y) from the left top, in pixels.

    The middle of the first pixel is at 0.5.
    """
    columns = pictures.sum(-2, dtype=np.float64) / 255
    rows = pictures.sum(-1, dtype=np.float64) / 255
    at, area = np.arange(32) + 0.5, rows.sum(-1)
    return area, columns @ at / area, rows @ at / area


# Splits


def test_every_combination_is_there_once_and_no_two_are_alike(every):
    assert every.images.shape == (36864, 32, 32, 1)
    assert every.images.dtype == np.uint8 and every.factors.dtype == np.int64
    assert every.names == ("shape", "scale", "orientation", "x", "y")
    assert every.sizes == (3, 6, 8, 16, 16)
    numbers = np.ravel_multi_index(every.factors.T, every.sizes)
    np.testing.assert_array_equal(numbers, np.arange(36864))
    assert len({image.tobytes() for image in every.images}) == 36864


def test_the_splits_part_the_whole(every):
    found = []
    for split, rows in {"train": 32768, "test": 4096}.items():
        part = data.load_shapes(split)
        assert part.images.shape == (rows, 32, 32, 1)
        numbers = np.ravel_multi_index(part.factors.T, every.sizes)
        np.testing.assert_array_equal(part.images, every.images[numbers])
        found.append(numbers)
    assert set(np.concatenate(found)) == set(range(36864))


def test_the_test_split_stays_the_same_and_is_a_fair_draw(every):
    factors = data.load_shapes("test").factors
    digest = hashlib.sha256(factors.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "ed2c79eb8e5ee108"
    for part in (factors, factors[:512]):
        for column, size in zip(part.T, every.sizes):
            counts, expected = np.bincount(column), len(part) / size
            assert len(counts) == size
            # Five standard deviations of a random choice.
            assert np.all(abs(counts - expected) < 5 * np.sqrt(expected))


# What is drawn


def test_each_step_of_x_and_y_is_a_pixel(grid):
    _, x, y = moments(grid)
    np.testing.assert_allclose(np.diff(x, axis=3), 1, atol=1e-9)
    np.testing.assert_allclose(np.diff(x, axis=4), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(y, axis=4), 1, atol=1e-9)
    np.testing.assert_allclose(np.diff(y, axis=3), 0, atol=1e-9)
    # Turned around its centre; the mass of a heart lies a little aside.
    for kind, atol in enumerate((0.01, 0.01, 0.3)):
        corner = kind, ..., 0, 0
        np.testing.assert_allclose(x[corner], 8.5, atol=atol)
        np.testing.assert_allclose(y[corner], 8.5, atol=atol)


def test_areas(grid):
    areas, _, _ = moments(grid[:, :, :, 5, 9])
    radius = 8 * np.linspace(0.5, 1, 6)[:, None]
    # Of the heart by a grid of points; its circle is of radius 5/4.
    at = np.linspace(-1.5, 1.5, 1501)
    x, y = at, at[:, None]
    heart = ((x**2 + y**2 - 1) ** 3 <= x**2 * y**3).mean() * 3**2 / 1.25**2
    for area, unit in zip(areas, (2, np.pi / 2, heart)):
        np.testing.assert_allclose(area / radius**2 / unit, 1, atol=3e-3)


@pytest.mark.parametrize("kind, fold", [(0, 4), (1, 2), (2, 3)])
def test_each_step_of_orientation_is_an_eighth_of_a_quarter(grid, kind, fold):
    """sum (z - mean)^n turns by n times the angle, if it is not 0."""
    pictures = grid[kind, :, :, 4, 4]
    _, x, y = (m[..., None, None] for m in moments(pictures))
    at = np.arange(32) + 0.5
    z = (at - x) - 1j * (at[:, None] - y)  # upwards is positive
    moment = (pictures * z**fold).sum((-2, -1))
    turned = np.angle(moment / moment[:, :1])  # in -pi..pi
    expected = fold * np.arange(8) * np.pi / 16
    apart = np.angle(np.exp(1j * (turned - expected)))
    assert np.abs(apart / fold).max() < np.radians(2)


def test_a_heart_stands_on_its_tip(grid):
    heart = grid[2, 5, 0, 8, 8]
    mirrored = np.roll(heart[:, ::-1], 1, axis=1)
    np.testing.assert_allclose(heart, mirrored / 1.0, atol=3)
    widths = heart.sum(axis=1) / 255
    rows = np.flatnonzero(widths)
    assert widths[rows[-2]] < 4 < widths[rows[1]]


def test_nothing_is_cut_off_and_edges_are_soft(grid):
    # Anywhere a shape is what it is in the middle: no edge takes part of it.
    total, _, _ = moments(grid)
    spread = np.ptp(total, axis=(3, 4))
    np.testing.assert_allclose(spread, 0, atol=1e-9)
    assert grid.min() == 0 and np.all(grid.max((-2, -1)) == 255)
    lit = grid[grid > 0]
    soft = np.mean(lit < 255)
    assert 0.2 < soft < 0.6


def test_the_place_of_the_mass_tells_x_and_y_alone():
    """The gap is near 1 where the latents are measured in the pictures."""
    images, factors, names, _ = data.load_shapes("test")
    latents = np.stack(moments(images[..., 0]), axis=-1)
    gap = mutual_information_gap(latents, factors)
    assert np.all(gap.information.argmax(axis=0)[3:] == [1, 2])
    assert np.all(gap.gaps[3:] > 0.8)
    # Area grows with the scale, and depends on the shape as well.
    assert 0.3 < gap.gaps[names.index("scale")] < 0.8


# As a source


@pytest.mark.parametrize("channels", [1, 3])
def test_source(channels):
    images = opened("test", channels=channels)
    assert isinstance(images, ArrayImages)
    assert images.shape == (32, 32, channels) and images.num_examples == 4096
    assert images.class_names == ("square", "ellipse", "heart")
    expected = data.load_shapes("test")
    batches = data.evaluation_batches(images, 64, num_classes=3)
    x, context, _ = next(iter(batches))
    np.testing.assert_array_equal(
        x, np.repeat(expected.images[:64], channels, -1)
    )
    np.testing.assert_array_equal(
        np.argmax(context["global"], -1), expected.factors[:64, 0]
    )


def test_training_batches():
    options = dict(image_size=32, flip=False)
    batches = data.training_batches(opened("train", channels=1), 8, **options)
    x = next(iter(batches))
    assert x.shape == (8, 32, 32, 1)
    known = {i.tobytes() for i in data.load_shapes("train").images}
    assert {i.tobytes() for i in x.numpy()} <= known


@pytest.mark.parametrize(
    "source, split, message",
    [
        ("shapes", "validation", '"train", "test" and "all".*validation'),
        ("shapes", "train[:10]", r"Received: split='train\[:10\]'"),
        ("shapes:64", "train", "without a name. Received: 'shapes:64'"),
        ("shape", "train", "or \"shapes\". Received: 'shape'"),
    ],
)
def test_errors(source, split, message):
    with pytest.raises(ValueError, match=message):
        data.open_images(source, split)
