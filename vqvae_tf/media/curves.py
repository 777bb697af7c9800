"""Curves over time as pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vqvae_tf.media import sheets

BLACK, GREY, BLUE, ORANGE = (
    (0, 0, 0),
    (150, 150, 150),
    (31, 119, 180),
    (230, 110, 10),
)
# Drawn larger, then reduced, so that lines are smooth.
_SCALE = 4


class Curve(NamedTuple):
    """Values at consecutive times.

    Attributes:
        values: float `[time]`.
        color: red, green and blue, 0..255.
        start: the time of the first value.
        is_dotted: whether the values are dots, and not joined by a line.
    """

    values: np.ndarray
    color: tuple[int, int, int] = BLACK
    start: int = 0
    is_dotted: bool = False


def draw(
    curves: Sequence[Curve],
    limit: float,
    length: int,
    height: int = 96,
    step: int = 4,
) -> np.ndarray:
    """Draws curves over each other, with a line at 0.

    Args:
        curves: the last on top.
        limit: the picture shows the values -limit..limit.
        length: the picture shows the times 0..length - 1.
        height: of the picture (default 96).
        step: columns a time (default 4).

    Returns:
        uint8 `[height, length * step, 3]`.

    Example:

    >>> wave = np.sin(np.arange(50) / 4)
    >>> draw([Curve(wave, BLUE)], limit=1.2, length=60).shape
    (96, 240, 3)
    """
    from PIL import Image, ImageDraw

    sizes = length * step, height
    canvas = Image.new("RGB", [_SCALE * n for n in sizes], "white")
    pen = ImageDraw.Draw(canvas)

    def place(time, value):
        across = (time + 0.5) * step * _SCALE
        down = (0.5 - 0.5 * value / limit) * (height - 1) * _SCALE
        return float(across), float(down)

    pen.line([place(0, 0), place(length, 0)], (225, 225, 225), _SCALE)
    for curve in curves:
        points = [
            place(curve.start + t, value)
            for t, value in enumerate(np.ravel(curve.values))
        ]
        if not curve.is_dotted:
            pen.line(points, curve.color, 2 * _SCALE, joint="curve")
            continue
        for x, y in points:
            r = 1.25 * _SCALE
            pen.ellipse([x - r, y - r, x + r, y + r], fill=curve.color)
    return np.asarray(canvas.resize(sizes, Image.Resampling.BOX))


def stacked(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Puts pictures of one size below each other, with gaps."""
    return sheets.grid(np.stack(pictures), columns=1)
