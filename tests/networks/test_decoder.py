"""The decoder: the paper's sizes, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.networks import Decoder


def residual_stack(blocks, channels, inner):
    """Parameters of blocks of a window of 3x3 and one of 1x1."""
    return blocks * (9 * channels * inner + inner + inner * channels + channels)


def test_the_papers_decoder():
    decoder = Decoder()
    decoder.build((None, 8, 8, 64))
    assert decoder.compute_output_shape((None, 8, 8, 64)) == (None, 32, 32, 3)
    assert decoder.upsampling == 4
    expected = 3 * 3 * 64 * 256 + 256  # from the embedding's size
    expected += residual_stack(2, 256, 256)
    expected += 4 * 4 * 256 * 256 + 256  # stride 2, window 4
    expected += 4 * 4 * 256 * 3 + 3  # again
    assert decoder.count_params() == expected == 2_520_579
    kernels = [v.shape for v in decoder.variables if v.name == "kernel"]
    assert kernels == [
        (3, 3, 64, 256),
        *[(3, 3, 256, 256), (1, 1, 256, 256)] * 2,
        (4, 4, 256, 256),
        (4, 4, 3, 256),
    ]


def test_every_size_can_be_set():
    decoder = Decoder(6, 8, 3, (7, 5), 1, 9, kernel_size=6)
    decoder.build((None, None, None, 2))
    expected = 9 * 2 * 8 + 8
    expected += residual_stack(1, 8, 9)
    expected += 36 * 8 * 7 + 7
    expected += 36 * 7 * 5 + 5
    expected += 36 * 5 * 6 + 6
    assert decoder.count_params() == expected
    assert decoder.upsampling == 8


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3])
def test_sizes(rank, size):
    decoder = Decoder(5, hidden_channels=4, num_residual_layers=1, rank=rank)
    x = tf.ones([2, *[size] * rank, 3])
    assert decoder(x).shape == (2, *[4 * size] * rank, 5)
    assert decoder.compute_output_shape(x.shape) == decoder(x).shape


def test_no_upsampling():
    decoder = Decoder(6, hidden_channels=4, num_upsamples=0)
    assert decoder(tf.ones([2, 5, 7, 3])).shape == (2, 5, 7, 6)
    assert decoder.upsampling == 1
    # A projection of each position on its own.
    assert decoder.upsamples[0].kernel.shape == (1, 1, 4, 6)


def test_outputs_are_linear_and_hidden_ones_rectified():
    decoder = Decoder(5, 4, num_residual_layers=0)
    x = np.random.default_rng(0).normal(size=[2, 2, 2, 3]).astype(np.float32)
    received = decoder(x)
    h = tf.nn.relu(decoder.conv_in(x))
    first, last = decoder.upsamples
    expected = last(tf.nn.relu(first(h)))
    np.testing.assert_array_equal(received, expected)
    assert np.min(received) < 0 < np.max(received)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_harness(rank):
    rng = np.random.default_rng(0)
    options = dict(num_residual_layers=1, rank=rank)
    run_layer_test(
        lambda **kwargs: Decoder(
            5, 8, 1 if rank == 3 else 2, **options, **kwargs
        ),
        rng.normal(size=[2, *[2] * rank, 3]).astype(np.float32),
        (2, *[4 if rank == 3 else 8] * rank, 5),
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Decoder(rank=5), "Received: rank=5"),
        (
            lambda: Decoder(num_upsamples=3, stage_channels=(4,)),
            r"the channels of 2 strided layers.* stage_channels=\(4,\)",
        ),
        (
            lambda: Decoder(rank=1)(tf.ones([2, 8, 8, 3])),
            r"With rank=1, inputs must have 3 axes.* shape \(2, 8, 8, 3\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)
