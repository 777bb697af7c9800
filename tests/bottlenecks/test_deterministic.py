"""Bottlenecks that draw nothing: what they keep, and what they cost."""

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


# What all of them promise -----------------------------------------------------


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


# Identity ---------------------------------------------------------------------


def test_identity_and_its_activation():
    x = latents(3, 4, 5)
    np.testing.assert_array_equal(Identity().encode(x), x)
    np.testing.assert_array_equal(Identity("relu").encode(x), np.maximum(x, 0))
    np.testing.assert_allclose(
        Identity("sigmoid").encode(x), 1 / (1 + np.exp(-x)), 1e-6
    )


# k-sparse ---------------------------------------------------------------------


def largest(x, k):
    """Where the k largest are, of equal ones those that stand first."""
    flat = np.reshape(x, [len(x), -1])
    order = np.argsort(-flat, axis=1, kind="stable")[:, :k]
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, order, True, axis=1)
    return mask.reshape(np.shape(x))


@given(
    batch=st.integers(1, 4),
    sizes=shapes,
    share=st.floats(0, 1),
    ties=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=30, deadline=None)
def test_exactly_k_are_kept_and_get_the_gradient(
    batch, sizes, share, ties, seed
):
    x = latents(batch, *sizes, seed=seed)
    x = tf.round(x) + 10 if ties else x + 10
    units = int(np.prod(sizes))
    k = max(1, round(share * units))
    upstream = latents(batch, *sizes, seed=seed + 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = KSparse(k).sample(x, training=True)[0][0]
        target = tf.reduce_sum(z * upstream)
    kept = largest(x, k)
    np.testing.assert_array_equal(z, np.where(kept, x, 0))
    np.testing.assert_array_equal(
        np.count_nonzero(z, axis=tuple(range(1, len(x.shape)))), [k] * batch
    )
    np.testing.assert_array_equal(
        tape.gradient(target, x), np.where(kept, upstream, 0)
    )


@pytest.mark.parametrize("factor", [1, 1.5, 3.0, 100])
def test_more_are_kept_at_test(factor):
    x = latents(3, 4, 5) + 10
    bottleneck = KSparse(5, factor)
    expected = min(round(5 * factor), 20)
    for z in (bottleneck.encode(x), bottleneck.sample(x)[0][0]):
        np.testing.assert_array_equal(z, np.where(largest(x, expected), x, 0))


def test_kept_by_value_and_not_by_magnitude():
    x = tf.constant([[-5.0, -1.0, -3.0]])
    z = KSparse(1).sample(x, training=True)[0][0]
    np.testing.assert_array_equal(z, [[0, -1, 0]])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(k=0), "k must be a positive integer. Received: 0"),
        (dict(k=2.5), "k must be a positive integer. Received: 2.5"),
        (dict(k=2, test_factor=0.5), "at least 1. Received: test_factor=0.5"),
        (dict(k=2, test_factor="2"), "at least 1. Received: test_factor='2'"),
    ],
)
def test_bad_arguments_of_ksparse(options, message):
    with pytest.raises(ValueError, match=message):
        KSparse(**options)


def test_too_few_units():
    with pytest.raises(ValueError, match=r"of 20 units .* k=21. Received"):
        KSparse(21).encode(latents(3, 4, 5))
