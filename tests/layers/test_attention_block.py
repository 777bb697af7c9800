"""Attention over all positions of a grid."""

import numpy as np
import pytest

from vqvae_tf.layers import AttentionBlock


def test_against_numpy():
    rng = np.random.default_rng(0)
    block = AttentionBlock(4, num_heads=2, num_groups=2)
    x = rng.normal(size=[2, 3, 2, 4]).astype(np.float32)
    block(x)
    for variable in block.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    normed = np.float64(block.norm(x)).reshape(2, 6, 4)

    def dense(layer, values):
        return values @ np.float64(layer.kernel) + np.float64(layer.bias)

    queries = dense(block.attention.to_queries, normed).reshape(2, 6, 2, 2)
    pairs = dense(block.attention.to_pairs, normed).reshape(2, 6, 2, 4)
    keys, values = pairs[..., :2], pairs[..., 2:]
    scores = np.einsum("bqhc,bkhc->bhqk", queries, keys) / np.sqrt(2)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("bhqk,bkhc->bqhc", shares, values).reshape(2, 6, 4)
    expected = x + dense(block.projection, mixed).reshape(x.shape)
    np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-5)


def test_places_do_not_matter():
    """Positions in another order give results in that order."""
    block = AttentionBlock(4, num_groups=1)
    x = np.random.default_rng(0).normal(size=[1, 2, 3, 4]).astype(np.float32)
    turned = block(x[:, ::-1, ::-1])
    np.testing.assert_allclose(turned[:, ::-1, ::-1], block(x), atol=1e-5)


def test_channels_that_do_not_fit():
    with pytest.raises(
        ValueError, match="multiple of num_heads and num_groups"
    ):
        AttentionBlock(6, num_heads=4, num_groups=2)
    with pytest.raises(ValueError, match="input of 8 channels"):
        AttentionBlock(8)(np.zeros([1, 2, 2, 4], np.float32))
