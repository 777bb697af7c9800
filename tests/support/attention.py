"""A small attention layer with random weights, and its inputs."""

import numpy as np

from vqvae_tf.layers.self_attention import SelfAttention

BATCH, TIME = 2, 6


def made(mask):
    """Returns a layer, queries and keys."""
    layer = SelfAttention(2, 4, 3, query_inputs=5, key_inputs=7, mask=mask)
    layer.build()
    rng = np.random.default_rng(0)
    for v in layer.trainable_variables:
        v.assign(rng.normal(size=v.shape))
    queries = rng.normal(size=[BATCH, TIME, 5]).astype(np.float32)
    keys = rng.normal(size=[BATCH, TIME, 7]).astype(np.float32)
    return layer, queries, keys
