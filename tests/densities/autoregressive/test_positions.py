"""Rotary positions and PixelSNAIL's background."""

import numpy as np
from hypothesis import given, settings, strategies as st

from vqvae_tf.densities.autoregressive.positions import (
    PLACE_FEATURES,
    Rotation,
    background,
    place_features,
)


def in_numpy(x, row, column):
    """Turns pairs of channels as complex numbers."""
    rates = 100.0 ** (-np.arange(len(x) // 4) / (len(x) // 4))
    angles = np.concatenate([row * rates, column * rates])
    half = len(x) // 2
    turned = (x[:half] + 1j * x[half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag])


def test_rotation_equals_complex_numbers():
    x = np.random.default_rng(0).normal(size=[2, 6, 3, 8]).astype(np.float32)
    result = Rotation(2, 3, 8)(x)
    for b, t, h in np.ndindex(2, 6, 3):
        expected = in_numpy(np.float64(x[b, t, h]), *divmod(t, 3))
        np.testing.assert_allclose(result[b, t, h], expected, atol=1e-6)


def test_one_position_equals_that_of_all():
    x = np.random.default_rng(0).normal(size=[2, 6, 3, 8]).astype(np.float32)
    rotation = Rotation(2, 3, 8)
    for t in range(6):
        np.testing.assert_array_equal(rotation(x[:, t], t), rotation(x)[:, t])


@settings(deadline=None, max_examples=30)
@given(
    places=st.tuples(*[st.integers(0, 5)] * 4),
    shift=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)
def test_products_depend_on_the_distance_alone(places, shift):
    rng = np.random.default_rng(sum(places))
    q, k = rng.normal(size=[2, 1, 1, 8]).astype(np.float32)
    rotation = Rotation(12, 12, 8)

    def product(row, column, row0, column0):
        a = rotation(q, row * 12 + column)
        b = rotation(k, row0 * 12 + column0)
        return np.sum(a * b)

    r, c, r0, c0 = places
    down, right = shift
    np.testing.assert_allclose(
        product(r + down, c + right, r0 + down, c0 + right),
        product(r, c, r0, c0),
        atol=1e-4,
    )


def test_background():
    places = background(2, 4, "float32").numpy().reshape(2, 4, 2)
    np.testing.assert_array_equal(places[:, 0, 0], [-0.5, 0])
    np.testing.assert_array_equal(places[1, :, 1], [-0.5, -0.25, 0, 0.25])


def test_place_features():
    found = place_features(2, 3).numpy()
    assert found.shape == (6, PLACE_FEATURES)
    row, column = 1, 2  # the last position
    k = np.arange(1, 5)
    down, right = np.pi * k * (row + 0.5) / 2, np.pi * k * (column + 0.5) / 3
    expected = [np.sin(down), np.cos(down), np.sin(right), np.cos(right)]
    np.testing.assert_allclose(found[5], np.concatenate(expected), atol=1e-5)
    assert len(np.unique(found.round(4), axis=0)) == 6
