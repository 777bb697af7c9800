"""What a model does to its data, and what it refuses to take."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.layers import CodeEmbedding, PixelScaling


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("policy", ["float32", "bfloat16"])
def test_pixels_are_mapped_to_minus_1_to_1(dtype, policy):
    pixels = np.arange(256).astype(dtype).reshape(1, 16, 16, 1)
    scaled = PixelScaling(dtype=policy)(pixels)
    assert scaled.dtype == tf.float32
    expected = pixels.astype(np.float64) / 127.5 - 1
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-7)
    assert scaled[0, 0, 0, 0] == -1 and scaled[0, -1, -1, 0] == 1


def test_pixel_scaling_harness():
    pixels = np.random.default_rng(0).integers(0, 256, [2, 4, 4, 3])
    pixels = pixels.astype(np.float32)
    run_layer_test(PixelScaling, pixels, pixels.shape)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros([2, 4, 4, 3], np.uint8),
        np.zeros([2, 4, 4, 3], np.float32),  # black
        np.ones([2, 4, 4, 3], np.float32),  # all but black
        np.ones([2, 4, 4, 3], np.uint8),
        np.zeros([2, 4, 4, 3], bool),
        np.array([0, 1, 2], np.uint8),  # dark
        np.array([0.0, 1.0, 255.0]),
        np.array([0.0, 0.5, 3.0]),
        np.array([0.0, 255.0]),
        np.array([0, 255], np.int64),
        np.array([0, 255], ml_dtypes.bfloat16),
        tf.constant([0.0, 255.0]),
    ],
    ids=str,
)
def test_legal_pixels(pixels):
    PixelScaling().check(pixels)


@pytest.mark.parametrize(
    "pixels, message",
    [
        (np.zeros([0, 4, 4, 3]), r"one picture. Received: .* \(0, 4, 4, 3\)"),
        (np.array([0.0, np.nan]), "Received: 1 NaN or infinite values"),
        (np.array([np.inf, -np.inf]), "Received: 2 NaN or infinite values"),
        (np.array([0.0, 0.5, 1.0]), r"\[0, 1\], which looks like pictures sc"),
        (np.array([0, 1], np.uint8), r"binary pictures. .* x \* 255"),
        (np.array([0.0, 1.0], np.float32), "float32 values that are all 0 or"),
        (np.array([1, 0], np.int64), "binary pictures"),
        (np.array([1, 0], ml_dtypes.bfloat16), "binary pictures"),
        (np.array([True, False]), r"bool values .* \(for bool, x\.astype"),
        (np.array([True, True]), "binary pictures"),
        (tf.constant([0.0, 1.0]), "binary pictures"),
        (np.array([-0.5, 1.0]), r"\[-0.5, 1\], which looks like pictures sca"),
        (
            np.array([0.0, 0.5], ml_dtypes.bfloat16),
            r"\[0, 0.5\], which looks like pictures scaled",
        ),
        (np.array([-3.0, 200.0]), r"Received: values in \[-3, 200\]"),
        (np.array([0.0, 256.0]), r"Received: values in \[0, 256\]"),
        (np.array([-1, 3]), r"Received: values in \[-1, 3\]"),
        (np.array([0, 65535], np.uint16), r"Received: values in \[0, 65535\]"),
    ],
)
def test_pixels_that_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message) as error:
        PixelScaling().check(pixels)
    assert "Received: " in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_code_embedding_looks_up(dtype):
    layer = CodeEmbedding(7, 3)
    codes = np.arange(6).reshape(2, 3) + 1
    embedded = layer(codes.astype(dtype))
    np.testing.assert_array_equal(embedded, layer.embeddings.numpy()[codes])


def test_code_embedding_harness():
    codes = np.random.default_rng(0).integers(0, 7, [2, 4, 5])
    run_layer_test(
        lambda **kwargs: CodeEmbedding(7, 3, **kwargs),
        codes.astype(np.float32),
        (2, 4, 5, 3),
        differentiable=False,
    )


@pytest.mark.parametrize(
    "codes, message",
    [
        (
            np.array([0, 7]),
            r"Codes must be in 0\.\.6. Received: codes in 0\.\.7",
        ),
        (np.array([-1, 2]), r"0\.\.6. Received: codes in -1\.\.2"),
        (np.array([0.5]), "Received: codes of dtype float64"),
    ],
)
def test_codes_that_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        CodeEmbedding(7, 3).check(codes)


def test_legal_codes():
    CodeEmbedding(7, 3).check(np.array([0, 6], np.uint8))
    CodeEmbedding(7, 3).check(np.zeros([0, 4, 4], np.int32))
