"""The k largest units of each example."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from vqvae_tf.bottlenecks import KSparse

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def latents(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


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
