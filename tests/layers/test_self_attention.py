"""Attention equals NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from support.attention import BATCH, TIME, made
from vqvae_tf.layers.self_attention import SelfAttention, hidden, shares


def in_numpy(layer, queries, keys):
    """Position by position, head by head, in float64."""

    def dense(layer, x):
        return x @ np.float64(layer.kernel) + np.float64(layer.bias)

    q = dense(layer.to_queries, queries).reshape(BATCH, TIME, 2, 4)
    pairs = dense(layer.to_pairs, keys).reshape(BATCH, TIME, 2, 7)
    result = np.zeros([BATCH, TIME, 2, 3])
    for b, t, h in np.ndindex(BATCH, TIME, 2):
        last = {"causal": t + 1, "strict": t, None: TIME}[layer.mask]
        seen = pairs[b, :last, h]
        if layer.mask == "strict":
            seen = np.concatenate([np.float64(layer.start)[h : h + 1], seen])
        weights = np.exp(seen[:, :4] @ q[b, t, h] / 2)
        result[b, t, h] = weights / weights.sum() @ seen[:, 4:]
    return result.reshape(BATCH, TIME, 6)


@pytest.mark.parametrize("mask", ["causal", "strict", None])
def test_attention_equals_numpy(mask):
    layer, queries, keys = made(mask)
    expected = in_numpy(layer, queries, keys)
    np.testing.assert_allclose(layer(queries, keys), expected, atol=1e-5)


def test_large_scores_do_not_overflow():
    layer, queries, keys = made("strict")
    expected = in_numpy(layer, 20 * queries, keys)
    result = layer(20 * queries, keys)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_config():
    layer = made("strict")[0]
    copy = SelfAttention.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config() and copy.mask == "strict"
    with pytest.raises(ValueError, match="num_heads must be a positive"):
        SelfAttention(0, 4, 4, 8, 8)
    with pytest.raises(ValueError, match="mask must be one of causal, strict"):
        SelfAttention(1, 4, 4, 8, 8, mask="none")


def test_half_precision_computes_the_softmax_in_float32():
    scores = tf.zeros([1, 300], tf.bfloat16)
    found = shares(hidden(scores, True), scores.dtype)
    assert found.dtype == tf.bfloat16
    # The 300 terms of a sum in bfloat16 would end at 256.
    np.testing.assert_array_equal(
        found, tf.cast(tf.fill([1, 300], 1 / 300), tf.bfloat16)
    )
