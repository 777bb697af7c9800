"""Generated pictures of one shape each, with known factors of variation."""

import hashlib
from typing import NamedTuple

import numpy as np

from vqvae_tf.data import decoding as pictures
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures.source import ArrayImages, ImageSource

SHAPES = ("square", "ellipse", "heart")
SIDE = 32  # of a picture, in pixels

_SCALES = np.linspace(0.5, 1.0, 6)
# Within a quarter turn, after which a square repeats.
_ANGLES = np.arange(8) * (np.pi / 2 / 8)
_POSITIONS = 16
_RADIUS = 8  # of the circle around the largest shapes, in pixels
_BOX = 2 * _RADIUS + 1
_SAMPLES = 233  # per pixel, for antialiasing
_TEST = 4096  # pictures of the test split

NAMES = ("shape", "scale", "orientation", "x", "y")
SIZES = (len(SHAPES), len(_SCALES), len(_ANGLES), _POSITIONS, _POSITIONS)


class Shapes(NamedTuple):
    """Pictures and the factors that they were generated from.

    Attributes:
        images: uint8 `[n, 32, 32, 1]`, white on black.
        factors: int64 `[n, 5]`, index of each factor's value.
        names: names of the five factors.
        sizes: number of values of each factor.
    """

    images: np.ndarray
    factors: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def load_shapes(split: str = "all") -> Shapes:
    """Generates the pictures of a split, with the factors of each.

    One white, antialiased shape on black, in every combination of five
    independent factors: `shape` (square, ellipse, heart), `scale` (6 values
    from half to full size), `orientation` (8 values, counterclockwise within a
    quarter turn), `x` and `y` (16 values each, one pixel apart, rightwards and
    downwards). All 36,864 pictures differ, so each determines its factors.

    Args:
        split: "train" (32,768 pictures) or "test" (4,096 with other
            combinations), both shuffled, or "all" (default; `y` changes
            fastest: reshape to `[*sizes, 32, 32, 1]`).

    Returns:
        `Shapes`: images, factors, names, sizes.

    Raises:
        ValueError: an unknown split.

    Example:

    >>> shapes = load_shapes("test")
    >>> shapes.images.shape, shapes.names, shapes.sizes
    ((4096, 32, 32, 1), ('shape', 'scale', 'orientation', 'x', 'y'),
     (3, 6, 8, 16, 16))
    >>> shapes.factors.max(axis=0)
    array([ 2,  5,  7, 15, 15])

    References:
        The factors follow dSprites (Matthey, Higgins, Hassabis and Lerchner
        2017, https://github.com/deepmind/dsprites-dataset), whose pictures are
        binary, 64x64, and rotated by up to a full turn.
    """
    rows = _rows(split)
    factors = np.stack(np.unravel_index(rows, SIZES), axis=-1)
    shape, scale, angle, x, y = factors.T
    sprites = _sprites()[shape, scale, angle]
    images = np.zeros([len(rows), SIDE, SIDE], np.uint8)
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
            'The source of generated pictures is "shapes", without a name. '
            f"Received: 'shapes:{name}'."
        )
    images, factors, _, _ = load_shapes(options.split)
    if options.channels != 1:
        images = pictures.convert_channels(images, options.channels).numpy()
    title = f"shapes ({options.split})"
    return ArrayImages(title, images, factors[:, 0], SHAPES)


def _rows(split):
    """Returns the indices of a split's combinations of factors."""
    every = np.arange(np.prod(SIZES))
    if split == "all":
        return every
    # A hash, since NumPy's random numbers may change between versions.
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
    # The same samples in each pixel: a Fibonacci lattice, which is aligned with
    # no straight edge. Its two offsets differ, so that no sample lies exactly
    # on an edge, where rounding would decide.
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


# Whether points lie inside a shape whose circumscribed circle is the unit
# circle; y points up.


def _in_heart(x, y):
    # The sextic (x^2 + y^2 - 1)^3 = x^2 y^3; its circle is of radius 5/4 around
    # (0, 1/4).
    x, y = 1.25 * x, 1.25 * y + 0.25
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


_INSIDE = {
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= np.sqrt(0.5),
    "ellipse": lambda x, y: x**2 + (2 * y) ** 2 <= 1,
    "heart": _in_heart,
}
