"""What every deterministic bottleneck is held to."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import (
    assert_config_round_trip,
    in_all_modes,
    unknown_sizes,
)
from vqvae_tf.bottlenecks import Bottleneck, Identity, KSparse, Sparse

MAKERS = {
    "plain": Identity,
    "plain, sigmoid": functools.partial(Identity, "sigmoid"),
    "k-sparse": functools.partial(KSparse, 3, test_factor=2),
    "sparse": functools.partial(Sparse, 0.1, 2.0),
    "sparse, hard": functools.partial(Sparse, 0.1, 2.0, "hard_sigmoid"),
}


every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def latents(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


@every
@given(batch=st.integers(1, 4), sizes=shapes)
@settings(max_examples=8, deadline=None)
def test_interface(make, batch, sizes):
    bottleneck, x = make(), latents(batch, *sizes, 5)
    expected = bottleneck.encode(x)
    z, log_ratio = bottleneck.sample(x)
    assert z.dtype == log_ratio.dtype == tf.float32
    np.testing.assert_array_equal(z, expected[tf.newaxis])
    np.testing.assert_array_equal(log_ratio, np.zeros([1, batch]))
    assert z.shape[-1] == bottleneck.num_channels(5) == 5
    assert bottleneck.num_samples == 1 and not bottleneck.has_prior
    cost, metrics = bottleneck.penalty(x)
    assert cost.shape == () and cost >= 0
    assert tuple(metrics) == bottleneck.metric_names


@every
def test_modes(make):
    bottleneck, x = make(), latents(2, 4, 3, 5)

    def everything(x):
        z, _ = bottleneck.sample(x, training=True)
        cost, metrics = bottleneck.penalty(x)
        return tf.nest.flatten([bottleneck.encode(x), z, cost, metrics])

    expected = everything(x)
    for mode, result in in_all_modes(everything, [unknown_sizes(x)], x):
        for a, b in zip(result, expected):
            np.testing.assert_allclose(a, b, 1e-5, 1e-6, err_msg=mode)


@every
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_whatever_the_policy(make, policy):
    keras.config.set_dtype_policy(policy)
    bottleneck = make()
    assert bottleneck.compute_dtype == "float32"
    x = tf.cast(latents(2, 4, 5), bottleneck.dtype)
    half = tf.cast(x, policy.removeprefix("mixed_"))
    z, _ = bottleneck.sample(half)
    assert z.dtype == bottleneck.penalty(half)[0].dtype == tf.float32
    exact = bottleneck.encode(tf.cast(half, tf.float32))
    np.testing.assert_array_equal(z[0], exact)


@every
def test_config(make):
    copy = assert_config_round_trip(make())
    x = latents(3, 4, 5)
    np.testing.assert_array_equal(copy.encode(x), make().encode(x))
    np.testing.assert_array_equal(copy.penalty(x)[0], make().penalty(x)[0])


def test_encode_must_be_implemented():
    with pytest.raises(NotImplementedError, match="Bottleneck must implement"):
        Bottleneck().sample(latents(1, 2))
