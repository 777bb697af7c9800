"""Attention equals NumPy's; what is kept equals what is computed at once."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities.autoregressive import attention
from vqvae_tf.densities.autoregressive.attention import (
    SelfAttention,
    shares_of,
)
from vqvae_tf.densities.autoregressive.positions import Rotation

BATCH, TIME = 2, 6


def made(mask):
    layer = SelfAttention(2, 4, 3, query_inputs=5, key_inputs=7, mask=mask)
    layer.build()
    rng = np.random.default_rng(0)
    for v in layer.trainable_variables:
        v.assign(rng.normal(size=v.shape))
    queries = rng.normal(size=[BATCH, TIME, 5]).astype(np.float32)
    keys = rng.normal(size=[BATCH, TIME, 7]).astype(np.float32)
    return layer, queries, keys


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
        shares = np.exp(seen[:, :4] @ q[b, t, h] / 2)
        result[b, t, h] = shares / shares.sum() @ seen[:, 4:]
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


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mask, turned", [("causal", True), ("strict", False)])
def test_a_position_at_a_time_equals_all_at_once(
    mask, turned, jit_compile, monkeypatch
):
    # A block and a part of one.
    monkeypatch.setattr(attention, "BLOCK", 4)
    layer, queries, keys = made(mask)
    rotation = Rotation(2, 3, 4) if turned else None
    expected = layer(queries, keys, rotate=rotation)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def in_steps():
        steps = layer.steps(BATCH)
        blocks, results = steps.no_blocks(TIME), []
        for t in range(TIME):
            if t % attention.BLOCK == 0:
                first, block = t, steps.empty()
            rotate = rotation and (lambda x, t=t: rotation(x, t))
            added = steps.add(block, t, keys[:, t], rotate)
            # A strict layer's own key comes after what it sees.
            seen = block if layer.strict else added
            found = steps.attend(blocks, seen, t, queries[:, t], rotate)
            results.append(found)
            block = added
            if t % attention.BLOCK == attention.BLOCK - 1:
                blocks = steps.join(blocks, block, first)
        return tf.stack(results, 1)

    np.testing.assert_allclose(in_steps(), expected, atol=1e-5)


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
    shares = shares_of(scores, tf.ones([300], tf.bool))
    assert shares.dtype == tf.bfloat16
    # The 300 terms of a sum in bfloat16 would end at 256.
    np.testing.assert_array_equal(
        shares, tf.cast(tf.fill([1, 300], 1 / 300), tf.bfloat16)
    )
