"""Positions in grids: rotary ones, and features of places."""

import math

import numpy as np
import tensorflow as tf

# Wavelengths are 2 pi to some 2 pi times this, in rows or columns. Grids of
# codes are smaller than texts, for which 10,000 is usual.
_BASE = 100.0
# Half waves over the height, and over the width, of a place's features.
_WAVES = (1, 2, 3, 4)
PLACE_FEATURES = 4 * len(_WAVES)


class Rotation:
    """Encodes a position's row and column in queries and keys.

    Half of the channels turn with the row and half with the column, in pairs,
    so that the product of a query and a key depends on how far apart they are.

    Args:
        height, width: of the grid, integers or int32 scalar tensors.
        channels: of a head's queries and keys, a multiple of 4.

    Example:

    >>> rotation = Rotation(4, 4, channels=8)
    >>> rotation(tf.ones([1, 16, 2, 8])).shape
    TensorShape([1, 16, 2, 8])

    References:
        Su et al. 2021, arXiv:2104.09864, section 3.2 (one axis).
        Heo et al. 2024, arXiv:2403.13298, section 3.2 (two).
    """

    def __init__(
        self, height: int | tf.Tensor, width: int | tf.Tensor, channels: int
    ) -> None:
        rates = _BASE ** (-np.arange(channels // 4) / max(channels // 4, 1))
        rates = tf.constant(rates, tf.float32)
        order = tf.range(height * width)
        places = tf.stack([order // width, order % width], axis=1)
        angles = tf.cast(places, tf.float32)[..., tf.newaxis] * rates
        angles = tf.reshape(angles, [-1, 1, channels // 2])
        self.cosine, self.sine = tf.cos(angles), tf.sin(angles)

    def __call__(
        self, x: tf.Tensor, t: int | tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns turned queries or keys, of the same shape.

        Args:
            x: `[batch, positions, heads, channels]`, or with `t`
                `[batch, heads, channels]`.
            t: the position, row by row, or None for all of them.
        """
        cosine, sine = self.cosine, self.sine
        if t is not None:
            cosine, sine = tf.gather(cosine, t), tf.gather(sine, t)
        a, b = tf.split(tf.cast(x, tf.float32), 2, axis=-1)
        turned = [a * cosine - b * sine, a * sine + b * cosine]
        return tf.cast(tf.concat(turned, axis=-1), x.dtype)


def background(
    height: int | tf.Tensor, width: int | tf.Tensor, dtype: str
) -> tf.Tensor:
    """Returns the place of each position, `[height * width, 2]`.

    `row / height - 1/2` and `column / width - 1/2`, as in PixelSNAIL
    (arXiv:1712.09763).
    """
    order = tf.range(height * width)
    places = [(order // width, height), (order % width, width)]
    parts = [
        tf.cast(place, tf.float32) / tf.cast(size, tf.float32) - 0.5
        for place, size in places
    ]
    return tf.cast(tf.stack(parts, axis=1), dtype)


def place_features(
    height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Returns waves over a grid, float32 `[height * width, PLACE_FEATURES]`.

    Sines and cosines of one to four half waves over the height, and of as many
    over the width.
    """
    order = tf.range(height * width)
    parts = []
    for place, size in ((order // width, height), (order % width, width)):
        place = (tf.cast(place, tf.float32) + 0.5) / tf.cast(size, tf.float32)
        angles = (
            math.pi * place[:, tf.newaxis] * tf.constant(_WAVES, tf.float32)
        )
        parts += [tf.sin(angles), tf.cos(angles)]
    return tf.concat(parts, axis=1)
