"""Mu-law companding: its curve, its levels, and what it refuses."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import run_layer_test
from vqvae_tf.layers import MuLaw

SAMPLES = st.floats(-1, 1, width=32)


def curve(x, mu):
    """The curve of G.711, in float64."""
    x = np.asarray(x, np.float64)
    return np.sign(x) * np.log(1 + mu * np.abs(x)) / np.log(1 + mu)


def inverse(y, mu):
    y = np.asarray(y, np.float64)
    return np.sign(y) * ((1 + mu) ** np.abs(y) - 1) / mu


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("num_levels", [2, 16, 256, 1024])
def test_formulas(num_levels):
    law, mu = MuLaw(num_levels), num_levels - 1
    x = np.concatenate([noise(2, 500), 0.01 * noise(2, 500)], axis=1)
    x[0, :3] = [-1, 0, 1]
    np.testing.assert_allclose(law.compand(x), curve(x, mu), atol=1e-6)
    steps = (curve(x, mu) + 1) / 2 * mu
    levels = law.encode(x)
    assert levels.dtype == tf.int32
    clear = abs(steps % 1 - 0.5) > 1e-3  # elsewhere float32 may round away
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(levels[clear], np.round(steps)[clear])
    centres = inverse(2 * levels.numpy() / mu - 1, mu)
    waveform = law.decode(levels)
    assert waveform.dtype == tf.float32
    np.testing.assert_allclose(waveform, centres, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("num_levels", [2, 3, 255, 256, 65536])
def test_each_level_is_that_of_its_waveform(num_levels):
    law, levels = MuLaw(num_levels), np.arange(num_levels)[None]
    waveform = law.decode(levels).numpy()
    assert np.all(np.diff(waveform) > 0)
    np.testing.assert_allclose(waveform[0, [0, -1]], [-1, 1], atol=1e-6)
    np.testing.assert_allclose(waveform, -waveform[:, ::-1], rtol=1e-5)
    assert np.max(abs(waveform)) <= 1
    np.testing.assert_array_equal(law.encode(waveform), levels)


def test_louder_than_1_is_clipped():
    levels = MuLaw().encode([[-3.0, -1.001, 1.001, 40.0]])
    np.testing.assert_array_equal(levels, [[0, 0, 255, 255]])


@given(st.lists(SAMPLES, min_size=2, max_size=20), st.sampled_from([4, 256]))
@settings(max_examples=50, deadline=None)
def test_order_and_error(samples, num_levels):
    law, mu = MuLaw(num_levels), num_levels - 1
    x = np.sort(np.array([samples], np.float32))
    levels = law.encode(x).numpy()
    assert levels.min() >= 0 and levels.max() < num_levels
    assert np.all(np.diff(levels) >= 0)
    decoded = law.decode(levels).numpy()
    # Half a bin of f, times the steepest slope of its inverse in between.
    loudest = np.maximum(abs(x), abs(decoded))
    bound = np.log1p(mu) * (1 + mu * loudest) / mu**2
    assert np.all(abs(decoded - x) <= bound * (1 + 1e-4) + 1e-6)
    again = law.decode(law.encode(decoded))
    np.testing.assert_array_equal(again, decoded)


def test_harness():
    x = noise(2, 64)
    run_layer_test(MuLaw, x, (2, 64, 1))
    np.testing.assert_array_equal(MuLaw()(x)[..., 0], MuLaw().compand(x))
    assert MuLaw(dtype="bfloat16")(x).dtype == tf.float32


@pytest.mark.parametrize(
    "x",
    [
        noise(2, 10),
        noise(2, 10).astype(np.float64),
        noise(2, 10).astype(ml_dtypes.bfloat16),
        np.zeros([1, 5], np.float32),  # silence
        np.array([[-1.0, 1.0]]),
        tf.constant([[0.5]]),
    ],
    ids=range(6),
)
def test_legal_waveforms(x):
    MuLaw().check(x)


@pytest.mark.parametrize(
    "x, message",
    [
        (noise(2, 10, 1), r"shape \[batch, time\] .* Received: .*\(2, 10, 1\)"),
        (noise(10), r"shape \[batch, time\] .* Received: .*\(10,\)"),
        (np.zeros([2, 10], np.int16), "dtype int16. Divide 16-bit samples"),
        (np.zeros([2, 0], np.float32), r"one sample. Received: .*\(2, 0\)"),
        (np.array([[0.1, np.nan]]), "Received: 1 NaN or infinite"),
        (np.array([[np.inf, -np.inf]]), "Received: 2 NaN or infinite"),
        (np.array([[-1.5, 0.5]]), r"values in \[-1.5, 0.5\]"),
        (np.array([[-2e4, 3e4]]), r"\[-20000, 30000\]. Divide 16-bit samp"),
    ],
)
def test_waveforms_that_cannot_be_meant(x, message):
    with pytest.raises(ValueError, match=message):
        MuLaw().check(x)


@pytest.mark.parametrize("num_levels", [0, 1, 2.5])
def test_number_of_levels(num_levels):
    with pytest.raises(ValueError, match="num_levels must be .*Received: "):
        MuLaw(num_levels)
