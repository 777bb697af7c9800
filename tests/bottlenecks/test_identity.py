"""A bottleneck that passes latents on."""

import numpy as np
import tensorflow as tf

from vqvae_tf.bottlenecks import Identity


def latents(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


def test_identity_and_its_activation():
    x = latents(3, 4, 5)
    np.testing.assert_array_equal(Identity().encode(x), x)
    np.testing.assert_array_equal(Identity("relu").encode(x), np.maximum(x, 0))
    np.testing.assert_allclose(
        Identity("sigmoid").encode(x), 1 / (1 + np.exp(-x)), 1e-6
    )
