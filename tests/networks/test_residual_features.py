"""A residual network of pictures."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import assert_config_round_trip
from vqvae_tf import ResidualFeatures


def make(**options):
    return ResidualFeatures(
        **{
            **dict(stage_channels=(4, 8), blocks_per_stage=1, num_groups=2),
            **options,
        }
    )


@pytest.mark.parametrize("stride, side", [(1, 8), (2, 4), (4, 2)])
def test_stages_halve_the_sizes(stride, side):
    network = make(first_stride=stride)
    x = np.ones([2, 16, 16, 3], np.float32)
    assert network(x).shape == (2, 8) and network.num_features == 8
    hidden = network.conv_in(x)
    for block in network.blocks:
        hidden = block(hidden)
    assert hidden.shape == (2, side, side, 8)


def test_features_are_the_mean_over_positions():
    network = make()
    x = np.random.default_rng(0).normal(size=[2, 8, 8, 3]).astype(np.float32)
    found = network(x).numpy()
    hidden = network.conv_in(x)
    for block in network.blocks:
        hidden = block(hidden)
    expected = tf.nn.silu(network.norm(hidden)).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_config_round_trip():
    assert_config_round_trip(make(dropout=0.5, seed=3))
