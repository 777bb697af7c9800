"""Attention that is kept equals attention that is computed at once."""

import numpy as np
import pytest
import tensorflow as tf

from support.attention import BATCH, TIME, made
from vqvae_tf.densities.autoregressive import attention_steps
from vqvae_tf.densities.autoregressive.positions import Rotation


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mask, turned", [("causal", True), ("strict", False)])
def test_a_position_at_a_time_equals_all_at_once(
    mask, turned, jit_compile, monkeypatch
):
    # A block and a part of one.
    monkeypatch.setattr(attention_steps, "BLOCK", 4)
    layer, queries, keys = made(mask)
    rotation = Rotation(2, 3, 4) if turned else None
    expected = layer(queries, keys, rotate=rotation)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def in_steps():
        steps = attention_steps.AttentionSteps(layer, BATCH)
        blocks, results = steps.no_blocks(TIME), []
        for t in range(TIME):
            if t % attention_steps.BLOCK == 0:
                first, block = t, steps.empty()
            rotate = rotation and (lambda x, t=t: rotation(x, t))
            added = steps.add(block, t, keys[:, t], rotate)
            # A strict layer's own key comes after what it sees.
            seen = block if layer.strict else added
            found = steps.attend(blocks, seen, t, queries[:, t], rotate)
            results.append(found)
            block = added
            if t % attention_steps.BLOCK == attention_steps.BLOCK - 1:
                blocks = steps.join(blocks, block, first)
        return tf.stack(results, 1)

    np.testing.assert_allclose(in_steps(), expected, atol=1e-5)
