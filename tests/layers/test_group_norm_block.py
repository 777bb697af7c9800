"""A residual block against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf.layers import GroupNormBlock


def normalized(x, groups, layer):
    """Group normalization in float64."""
    batch, *sizes, channels = x.shape
    split = x.reshape(batch, -1, groups, channels // groups).astype(np.float64)
    mean = split.mean(axis=(1, 3), keepdims=True)
    variance = split.var(axis=(1, 3), keepdims=True)
    z = ((split - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)
    return z * layer.gamma.numpy() + layer.beta.numpy()


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("strides, channels", [(1, 4), (2, 4), (1, 6)])
def test_by_hand(strides, channels):
    keras.utils.set_random_seed(0)
    block = GroupNormBlock(channels, strides, num_groups=2)
    x = np.random.default_rng(0).normal(size=[2, 6, 4, 4]).astype(np.float32)
    block.build(x.shape)
    for norm in (block.norm_in, block.norm_out):
        norm.gamma.assign(np.linspace(0.5, 2, norm.gamma.shape[0]))
    inner = silu(normalized(x, 2, block.norm_in)).astype(np.float32)
    inner = block.conv_in(inner).numpy()
    inner = silu(normalized(inner, 2, block.norm_out)).astype(np.float32)
    expected = block.conv_out(inner).numpy()
    same = strides == 1 and channels == 4
    assert (block.shortcut is None) == same
    expected += x if same else block.shortcut(x).numpy()
    np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-4)


def test_dropout_is_for_training_alone():
    block = GroupNormBlock(4, num_groups=2, dropout=0.5, seed=1)
    x = tf.random.stateless_normal([2, 4, 4, 4], [0, 0])
    np.testing.assert_array_equal(block(x), block(x, training=False))
    assert np.any(block(x, training=True).numpy() != block(x).numpy())


@pytest.mark.slow
def test_all_of_a_layer():
    run_layer_test(
        lambda **kwargs: GroupNormBlock(8, 2, num_groups=4, **kwargs),
        np.random.default_rng(0).normal(size=[2, 8, 8, 4]).astype(np.float32),
        (2, 4, 4, 8),
        float32_state="/norm_",
    )


@pytest.mark.parametrize("channels, inputs", [(6, 8), (8, 6)])
def test_channels_that_do_not_divide(channels, inputs):
    block = GroupNormBlock(channels, num_groups=4)
    with pytest.raises(ValueError, match="multiple of num_groups=4.*: 6"):
        block.build((None, 8, 8, inputs))
