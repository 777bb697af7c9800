"""Accumulators against NumPy, whatever the batches are."""

import math

import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf.evaluation import statistics


def test_one_example_has_no_interval():
    assert statistics.half_interval([5.0]) == 0.0


def test_unigram():
    training, test = np.array([3, 0, 1]), np.array([1, 1, 2])
    p = np.array([4, 1, 2]) / 7
    expected = -(np.log2(p) * test).sum() / 4
    assert statistics.unigram_bits(training, test) == pytest.approx(expected)


def test_psnr():
    assert statistics.psnr(255.0**2) == pytest.approx(0.0)
    assert statistics.psnr(1.0) == pytest.approx(48.13, abs=0.01)
    assert statistics.psnr(0.0) == math.inf


def test_half_interval_covers():
    """Of 400 intervals 95 % cover 0: below 90 % with a chance of 1e-5."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=[400, 100])
    half = [statistics.half_interval(row) for row in samples]
    covered = np.mean(np.abs(samples.mean(axis=1)) < half)
    assert 0.90 < covered < 0.985


@pytest.mark.parametrize("size", [7, 3])
def test_distortion_is_that_of_all_values(size):
    x = small.pictures(7)
    again = np.random.default_rng(1).uniform(0, 255, x.shape)
    similar = statistics.ssim(x, tf.constant(again))["ssim"].numpy()
    distortion = statistics.Distortion()
    for i in range(0, 7, size):
        rows = slice(i, i + size)
        distortion.add(x[rows], again[rows], similar[rows])
    mse = np.mean((again - x) ** 2)
    assert distortion.figures() == pytest.approx(
        {
            "mse": mse,
            "nmse": mse / x.var(),
            "psnr": 10 * np.log10(255**2 / mse),
            "ssim": similar.mean(),
        },
        rel=1e-6,
    )
    assert distortion.psnr == distortion.figures()["psnr"]


def test_pictures_smaller_than_the_window_have_no_ssim():
    x = small.pictures(2, size=10)
    assert statistics.ssim(x, x) == {}
    distortion = statistics.Distortion()
    distortion.add(x, np.zeros(x.shape))
    assert "ssim" not in distortion.figures()


def test_bounds_are_a_dimension():
    bounds = statistics.Bounds()
    bounds.add(8, a=np.array([-2.0, -4.0]), b=np.array([1.0, 1.0]))
    bounds.add(4, a=np.array([-6.0]), b=np.array([1.0]))
    assert "a" in bounds and "c" not in bounds
    np.testing.assert_array_equal(bounds.nats("a", "b"), [-1.0, -3.0, -5.0])
    found = bounds.bits(bounds.nats("a"))
    np.testing.assert_allclose(found, np.array([2, 4, 6]) / 4 / math.log(2))
