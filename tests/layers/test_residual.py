"""Residual blocks and stacks against their formula."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.layers import ResidualBlock, ResidualStack


def inputs(rank, channels=4, size=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=[2, *[size] * rank, channels]).astype(np.float32)


def by_hand(block, x):
    """x + conv1(relu(conv3(relu(x)))), section 4.1."""
    (kernel, bias), (kernel1, bias1) = (
        block.conv_in.weights,
        block.conv_out.weights,
    )
    h = tf.nn.convolution(tf.nn.relu(x), kernel.value, padding="SAME") + bias
    h = tf.nn.relu(h)
    return (
        x + tf.tensordot(h, tf.reshape(kernel1, kernel1.shape[-2:]), 1) + bias1
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_block_is_the_formula(rank):
    block = ResidualBlock(4, 6, rank=rank)
    x = inputs(rank)
    received = block(x)
    for bias in (block.conv_in.bias, block.conv_out.bias):
        bias.assign(np.linspace(0.1, 0.5, bias.shape[0]))
    assert np.any(block(x) != received)
    np.testing.assert_allclose(
        block(x), by_hand(block, x), rtol=1e-4, atol=1e-5
    )
    # 3^rank windows of 4 -> 6 channels, and 6 -> 4 in each position.
    assert block.count_params() == 3**rank * 4 * 6 + 6 + 6 * 4 + 4


def test_stack_is_its_blocks_and_a_relu():
    stack = ResidualStack(3, 4, 6)
    x = inputs(2)
    expected = tf.constant(x)
    received = stack(x)
    for block in stack.blocks:
        expected = by_hand(block, expected)
    np.testing.assert_allclose(
        received, tf.nn.relu(expected), rtol=1e-4, atol=1e-5
    )
    assert stack.count_params() == 3 * (9 * 4 * 6 + 6 + 6 * 4 + 4)


def test_stack_of_no_blocks_is_a_relu():
    x = inputs(1)
    stack = ResidualStack(0, 4, rank=1)
    np.testing.assert_array_equal(stack(x), np.maximum(x, 0))
    assert stack.variables == []


def test_default_width_is_that_of_the_channels():
    stack = ResidualStack(1, 4)
    assert stack.blocks[0].residual_channels == stack.residual_channels == 4


@pytest.mark.parametrize("rank", [1, 2])
def test_harness(rank):
    run_layer_test(
        lambda **kwargs: ResidualBlock(4, 6, rank=rank, **kwargs),
        inputs(rank),
        inputs(rank).shape,
    )
    run_layer_test(
        lambda **kwargs: ResidualStack(2, 4, 6, 5, rank=rank, **kwargs),
        inputs(rank),
        inputs(rank).shape,
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ResidualBlock(4, rank=4), "rank is the number of spatial"),
        (
            lambda: ResidualBlock(4)(inputs(1)),
            r"With rank=2, inputs must have 4 axes.* shape \(2, 5, 4\)",
        ),
        (
            lambda: ResidualStack(2, 6)(inputs(2)),
            r"adds its input to 6 channels.* \(2, 5, 5, 4\). Set channels=4",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)
