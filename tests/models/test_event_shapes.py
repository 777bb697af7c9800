"""Advice for data of a shape that a model is not for: that it is right."""

import re

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.models.event_shapes import check_event

DIGITS, PHOTOS, FREE = (28, 28, 1), (32, 32, 3), (None, None, 3)

# Event, shape, and the advice: an expression of x that mends it.
MENDED = [
    (DIGITS, (5, 28, 28), "x[..., None]"),
    (DIGITS, (28, 28), "x[None, ..., None]"),
    (DIGITS, (28, 28, 1), "x[None]"),
    (DIGITS, (5, 784), "x.reshape((-1, 28, 28, 1))"),
    (DIGITS, (5, 1, 28, 28), "np.moveaxis(x, 1, -1)"),
    (DIGITS, (1, 5, 28, 28), "x[0][..., None]"),
    (DIGITS, (5, 28, 28, 3), "tf.image.rgb_to_grayscale(x)"),
    (DIGITS, (2, 5, 28, 28, 1), "x.reshape(-1, *x.shape[2:])"),
    (PHOTOS, (5, 3, 32, 32), "np.moveaxis(x, 1, -1)"),
    (PHOTOS, (3, 32, 32), "np.moveaxis(x, 0, -1)[None]"),
    (PHOTOS, (32, 32, 3), "x[None]"),
    (PHOTOS, (5, 32, 32), "np.repeat(x[..., None], 3, axis=-1)"),
    (PHOTOS, (5, 32, 32, 1), "np.repeat(x, 3, axis=-1)"),
    (PHOTOS, (5, 32, 32, 4), "x[..., :3]"),
    (FREE, (64, 48, 3), "x[None]"),
    (FREE, (5, 64, 48), "np.repeat(x[..., None], 3, axis=-1)"),
    ((8, 8), (8, 8), "x[None]"),
    ((8, 8), (5, 8, 8, 1), "x[..., 0]"),
]


@pytest.mark.parametrize("event, shape, advice", MENDED)
def test_the_advice_leads_to_data_that_are_right(event, shape, advice):
    rank = 2
    with pytest.raises(ValueError, match=re.escape(advice)):
        check_event(shape, event, rank, 4)
    x = np.zeros(shape, np.uint8)
    mended = eval(advice, {"x": x, "np": np, "tf": tf})
    check_event(tuple(mended.shape), event, rank, 4)


@pytest.mark.parametrize(
    "shape, advice", [((9,), "x[None]"), ((2, 9, 1), "0]")]
)
def test_waveforms(shape, advice):
    with pytest.raises(ValueError, match=re.escape(advice)):
        check_event(shape, (None,), 1, 1)


def test_nothing_is_advised_where_nothing_is_known():
    with pytest.raises(ValueError, match=r"Received: shape \(2,\)\.$"):
        check_event((2,), FREE, 2, 4)
    with pytest.raises(ValueError, match=r"14, 2\), 2 channels\.$"):
        check_event((5, 28, 14, 2), DIGITS, 2, 2)


def test_unknown_sizes_are_left_alone():
    check_event((None, None, None, 3), FREE, 2, 4)
    with pytest.raises(ValueError, match=r"multiples .* to \[None, 12\]"):
        check_event((None, None, 10, 3), FREE, 2, 4)
