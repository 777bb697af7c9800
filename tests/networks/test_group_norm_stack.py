"""VQGAN's encoder and decoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf import GroupNormDecoder, GroupNormEncoder
from vqvae_tf.layers import AttentionBlock, GroupNormBlock

SMALL = dict(
    output_channels=3,
    stage_channels=(4, 8),
    num_residual_layers=1,
    attention_stages=(1,),
    num_groups=2,
)


def pictures(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.slow
def test_all_of_the_encoder():
    run_layer_test(
        lambda **options: GroupNormEncoder(**SMALL, **options),
        pictures(2, 8, 8, 3),
        (2, 4, 4, 3),
        float32_state="/norm",
    )


@pytest.mark.slow
def test_all_of_the_decoder():
    run_layer_test(
        lambda **options: GroupNormDecoder(**SMALL, **options),
        pictures(2, 4, 4, 8),
        (2, 8, 8, 3),
        float32_state="/norm",
    )


def names(network):
    return [layer.name for layer in network.in_order()]


def test_layers_in_their_order():
    """Table 7 of arXiv:2012.09841."""
    encoder = GroupNormEncoder(**SMALL)
    middle = ["middle_0", "middle_attention", "middle_1"]
    assert names(encoder) == [
        *("conv_in", "stage_0_0", "down_1", "stage_1_0", "stage_1_0_attention"),
        *(*middle, "norm", "conv_out"),
    ]
    decoder = GroupNormDecoder(**SMALL)
    assert names(decoder) == [
        *("conv_in", *middle),
        *("stage_1_0", "stage_1_0_attention"),
        *("stage_1_1", "stage_1_1_attention"),
        *("double_1", "up_1", "stage_0_0", "stage_0_1", "norm", "conv_out"),
    ]
    assert encoder.downsampling == decoder.upsampling == 2


def test_sizes_of_the_paper():
    """256x256 to 16x16; parameters of the published f16 model by its layers."""
    encoder = GroupNormEncoder(256, attention_stages=(4,))
    assert encoder.downsampling == 16
    blocks = [x for x in encoder.in_order() if isinstance(x, GroupNormBlock)]
    attention = [x for x in encoder.in_order() if isinstance(x, AttentionBlock)]
    assert [b.channels for b in blocks] == [
        *([128] * 4 + [256] * 4 + [512] * 2),
        *(512, 512),
    ]
    assert [a.channels for a in attention] == [512] * 3


@pytest.mark.parametrize("stride", [2, 4])
def test_a_first_stride_makes_all_sizes_smaller(stride):
    encoder = GroupNormEncoder(**SMALL, first_stride=stride)
    decoder = GroupNormDecoder(**SMALL, first_stride=stride)
    z = encoder(pictures(1, 16, 24, 3))
    assert z.shape == (1, 16 // (2 * stride), 24 // (2 * stride), 3)
    assert decoder(z).shape == (1, 16, 24, 3)
    assert encoder.downsampling == decoder.upsampling == 2 * stride
    assert encoder.compute_output_shape((1, 16, 24, 3)) == z.shape


def test_dropout_only_in_training():
    x = pictures(1, 8, 8, 3)
    network = GroupNormEncoder(**SMALL, dropout=0.5, seed=1)
    still = network(x)
    np.testing.assert_array_equal(network(x), still)
    assert np.any(network(x, training=True) != still)


def test_seeds_of_blocks_differ():
    network = GroupNormDecoder(**SMALL, dropout=0.5, seed=1)
    seeds = [x.seed for x in network.in_order() if hasattr(x, "seed")]
    assert len(set(seeds)) == len(seeds)


def test_unknown_sizes():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, GroupNormEncoder(**SMALL)(inputs))
    assert model(tf.zeros([1, 8, 12, 3])).shape == (1, 4, 6, 3)


@pytest.mark.parametrize("stages", [(2,), (-1,)])
def test_attention_where_there_is_no_stage(stages):
    with pytest.raises(ValueError, match="attention_stages are numbers of"):
        GroupNormEncoder(**{**SMALL, "attention_stages": stages})
    with pytest.raises(ValueError, match="stage_channels"):
        GroupNormEncoder(**{**SMALL, "stage_channels": ()})


def test_channels_of_no_whole_groups():
    with pytest.raises(
        ValueError, match="multiple of num_heads and num_groups"
    ):
        GroupNormEncoder(4, (16, 16)).build((None, 8, 8, 3))
