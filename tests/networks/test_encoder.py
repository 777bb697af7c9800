"""The encoder: the paper's sizes, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.networks import Encoder


def residual_stack(blocks, channels, inner):
    """Parameters of blocks of a window of 3x3 and one of 1x1."""
    return blocks * (9 * channels * inner + inner + inner * channels + channels)


def test_the_papers_encoder():
    encoder = Encoder()
    encoder.build((None, 32, 32, 3))
    assert encoder.compute_output_shape((None, 32, 32, 3)) == (None, 8, 8, 64)
    assert encoder.downsampling == 4
    expected = 4 * 4 * 3 * 256 + 256  # stride 2, window 4
    expected += 4 * 4 * 256 * 256 + 256  # again
    expected += residual_stack(2, 256, 256)
    expected += 256 * 64 + 64  # the projection to the embedding's size
    assert encoder.count_params() == expected == 2_389_568
    kernels = [v.shape for v in encoder.variables if v.name == "kernel"]
    assert kernels == [
        (4, 4, 3, 256),
        (4, 4, 256, 256),
        *[(3, 3, 256, 256), (1, 1, 256, 256)] * 2,
        (1, 1, 256, 64),
    ]


def test_every_size_can_be_set():
    encoder = Encoder(5, 8, 3, (4, 6), 1, 7, kernel_size=6)
    encoder.build((None, None, None, 2))
    expected = 36 * 2 * 4 + 4
    expected += 36 * 4 * 6 + 6
    expected += 36 * 6 * 8 + 8
    expected += residual_stack(1, 8, 7)
    expected += 8 * 5 + 5
    assert encoder.count_params() == expected
    assert encoder.downsampling == 8


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("size, expected", [(8, 2), (9, 3), (7, 2), (1, 1)])
def test_sizes(rank, size, expected):
    encoder = Encoder(5, hidden_channels=4, num_residual_layers=1, rank=rank)
    x = tf.ones([2, *[size] * rank, 3])
    assert encoder(x).shape == (2, *[expected] * rank, 5)
    assert encoder.compute_output_shape(x.shape) == encoder(x).shape


def test_no_downsampling_and_no_projection():
    encoder = Encoder(None, hidden_channels=4, num_downsamples=0)
    assert encoder(tf.ones([2, 5, 7, 3])).shape == (2, 5, 7, 4)
    assert encoder.downsampling == 1
    # Without a projection the last layer is the ReLU of the residual stack.
    x = np.random.default_rng(0).normal(size=[2, 5, 7, 3])
    assert np.all(encoder(x.astype(np.float32)) >= 0)


def test_between_the_strided_convolutions_is_a_relu():
    encoder = Encoder(5, 4, num_downsamples=2, num_residual_layers=0)
    x = np.random.default_rng(0).normal(size=[2, 8, 8, 3]).astype(np.float32)
    received = encoder(x)
    first, second = encoder.downsamples
    expected = encoder.projection(tf.nn.relu(second(tf.nn.relu(first(x)))))
    np.testing.assert_array_equal(received, expected)


def test_batch_norm_of_the_latents():
    """By the batch in training, else by moving averages of share 0.01."""
    keras.utils.set_random_seed(0)
    options = dict(hidden_channels=4, num_downsamples=1, rank=1)
    plain = Encoder(3, **options)
    encoder = Encoder(3, batch_norm=True, **options)
    x = np.random.default_rng(0).normal(size=[6, 8, 2]).astype(np.float32)
    latents = plain(x).numpy()
    encoder(x)
    # The projection has no bias, which would be taken away again.
    *shared, bias = plain.trainable_variables
    assert not np.any(bias)
    assert len(shared) == len(encoder.trainable_variables)
    for a, b in zip(shared, encoder.trainable_variables):
        b.assign(a)
    mean, variance = latents.mean((0, 1)), latents.var((0, 1))
    by_batch = (latents - mean) / np.sqrt(variance + 1e-6)
    np.testing.assert_allclose(
        encoder(x, training=True), by_batch, rtol=1e-4, atol=1e-5
    )
    moving = 0.01 * mean, 0.99 + 0.01 * variance
    expected = (latents - moving[0]) / np.sqrt(moving[1] + 1e-6)
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_harness(rank):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    options = dict(num_residual_layers=1, rank=rank)
    run_layer_test(
        lambda **kwargs: Encoder(
            5, 8, 1 if rank == 3 else 2, **options, **kwargs
        ),
        rng.normal(size=[2, *[4] * rank, 3]).astype(np.float32),
        (2, *[2 if rank == 3 else 1] * rank, 5),
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Encoder(rank=0), "Received: rank=0"),
        (
            lambda: Encoder(stage_channels=(4, 5)),
            r"the channels of 1 strided layers.* stage_channels=\(4, 5\)",
        ),
        (
            lambda: Encoder()(tf.ones([2, 8, 3])),
            r"With rank=2, inputs must have 4 axes.*Received: .* \(2, 8, 3\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)
