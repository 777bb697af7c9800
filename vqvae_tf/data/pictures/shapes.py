"""Generated pictures of one shape each, whose factors are known."""

import hashlib
from typing import NamedTuple

import numpy as np

from vqvae_tf.data import decoding as pictures
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures.source import ArrayImages, ImageSource

SHAPES = ("square", "ellipse", "heart")
SIDE = 32  # of a picture, in pixels

_SCALES = np.linspace(0.5, 1.0, 6)
# A quarter of a turn: after it a square is the same again.
_ANGLES = np.arange(8) * (np.pi / 2 / 8)
_POSITIONS = 16
_RADIUS = 8  # of the circle around the largest shapes, in pixels
_BOX = 2 * _RADIUS + 1
_SAMPLES = 233  # of a pixel
_TEST = 4096  # pictures of the test split

NAMES = ("shape", "scale", "orientation", "x", "y")
SIZES = (len(SHAPES), len(_SCALES), len(_ANGLES), _POSITIONS, _POSITIONS)


class Shapes(NamedTuple):
    """Pictures and what they were made of.

    Attributes:
        images: uint8 `[n, 32, 32, 1]`, white on black.
        factors: int64 `[n, 5]`, the number of each factor's value.
        names: the five factors.
        sizes: how many values each factor has.
    """

    images: np.ndarray
    factors: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def load_shapes(split: str = "all") -> Shapes:
    """Draws the pictures of a split, and says what each shows.

    One white shape on black, in each combination of five factors, which are
    independent of each other: `shape` (square, ellipse, heart), `scale` (6
    values from half to full size), `orientation` (8 values counterclockwise,
    within a quarter turn), `x` and `y` (16 values, one pixel apart, to the
    right and downwards). No two of the 36,864 pictures are the same, so that
    each shows its factors. Edges are antialiased.

    Args:
        split: "train" (32,768 pictures), "test" (4,096 of other combinations,
            in an order without a pattern as are those of "train") or "all"
            (each picture, `y` changing fastest: they can be reshaped to
            `[*sizes, 32, 32, 1]`).

    Returns:
        `Shapes`: images, factors, names, sizes.

    Raises:
        ValueError: for another split.

    Example:

    >>> shapes = load_shapes("test")
    >>> shapes.images.shape, shapes.names, shapes.sizes
    ((4096, 32, 32, 1), ('shape', 'scale', 'orientation', 'x', 'y'),
     (3, 6, 8, 16, 16))
    >>> shapes.factors.max(axis=0)
    array([ 2,  5,  7, 15, 15])

    References:
        The factors are in the manner of dSprites: Matthey, Higgins, Hassabis
        and Lerchner 2017, https://github.com/deepmind/dsprites-dataset. There
        pictures are binary and 64x64, and turn by a full circle.
    """
    rows = _rows(split)
    factors = np.stack(np.unravel_index(rows, SIZES), axis=-1)
    shape, scale, angle, x, y = factors.T
    sprites = _sprites()[shape, scale, angle]
    images = np.zeros([len(rows), SIDE, SIDE], np.uint8)
    # Those of one place at a time.
    place = x * _POSITIONS + y
    for number in range(_POSITIONS**2):
        left, top = divmod(number, _POSITIONS)
        here = place == number
        images[here, top : top + _BOX, left : left + _BOX] = sprites[here]
    return Shapes(images[..., None], factors.astype(np.int64), NAMES, SIZES)


def open_shapes(name: str, options: OpenOptions) -> ImageSource:
    """Opens "shapes"; see `open_images`. The classes are the three shapes."""
    if name:
        raise ValueError(
            'The generated pictures are the source "shapes", with nothing '
            f"after it. Received: 'shapes:{name}'."
        )
    images, factors, _, _ = load_shapes(options.split)
    if options.channels != 1:
        images = pictures.convert_channels(images, options.channels).numpy()
    title = f"shapes ({options.split})"
    return ArrayImages(title, images, factors[:, 0], SHAPES)


def _rows(split):
    """Returns the numbers of a split's combinations of factors."""
    every = np.arange(np.prod(SIZES))
    if split == "all":
        return every
    # A hash, since the random numbers of NumPy may change with its version.
    keys = [hashlib.sha256(b"%d" % row).digest() for row in every.tolist()]
    order = np.array(sorted(every.tolist(), key=keys.__getitem__))
    splits = {"test": order[:_TEST], "train": order[_TEST:]}
    if split not in splits:
        raise ValueError(
            'The generated shapes have the splits "train", "test" and "all". '
            f"Received: split={split!r}."
        )
    return splits[split]


def _sprites():
    """Draws each shape, scale and orientation: uint8 [3, 6, 8, box, box]."""
    # The same samples in each pixel: a Fibonacci lattice, which lies across
    # straight edges of any orientation. Its two offsets differ, so that no
    # sample is on an edge, where rounding would decide.
    number = np.arange(_SAMPLES)
    across = (number + 0.5) / _SAMPLES
    down = (144 * number % _SAMPLES + 0.25) / _SAMPLES
    pixels = np.arange(_BOX)[:, None] - _BOX / 2
    x, y = (pixels + across) / _RADIUS, -(pixels + down)[:, None] / _RADIUS
    sprites = np.empty([*SIZES[:3], _BOX, _BOX], np.uint8)
    for i, scale in enumerate(_SCALES):
        for j, angle in enumerate(_ANGLES):
            cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
            u, v = cos * x + sin * y, cos * y - sin * x
            for k, shape in enumerate(SHAPES):
                share = _INSIDE[shape](u, v).mean(axis=-1)
                sprites[k, i, j] = np.round(255 * share)
    return sprites


# Which points lie in a shape that touches the unit circle from inside; y is up.


def _in_square(x, y):
    return np.maximum(abs(x), abs(y)) <= np.sqrt(0.5)


def _in_ellipse(x, y):
    return x**2 + (2 * y) ** 2 <= 1


def _in_heart(x, y):
    # The sextic (x^2 + y^2 - 1)^3 = x^2 y^3; its circle is of radius 5/4 around
    # (0, 1/4).
    x, y = 1.25 * x, 1.25 * y + 0.25
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


_INSIDE = {"square": _in_square, "ellipse": _in_ellipse, "heart": _in_heart}
