"""Nearest neighbours, whole and in chunks, and sums by code."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from vqvae_tf.quantizers import lookup


def data(groups=2, count=300, num_embeddings=7, depth=5, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=[groups, count, depth]).astype(np.float32)
    e = rng.normal(size=[groups, num_embeddings, depth]).astype(np.float32)
    return z, e


@pytest.mark.parametrize("groups", [1, 3])
def test_nearest_codes_are_the_oracles(groups):
    z, e = data(groups)
    codes = lookup.nearest_codes(tf.constant(z), tf.constant(e))
    assert codes.dtype == tf.int32
    np.testing.assert_array_equal(codes, oracle.nearest(z, e))


@pytest.mark.parametrize("count", [1, 64, 65, 128, 300])
@pytest.mark.parametrize("groups", [1, 3])
def test_chunks_change_nothing(monkeypatch, count, groups):
    z, e = data(groups, count)
    expected = lookup.nearest_codes(tf.constant(z), tf.constant(e))
    seen = []
    whole = lookup._nearest
    monkeypatch.setattr(
        lookup, "_nearest", lambda z, e: seen.append(z.shape) or whole(z, e)
    )
    # Room for 64 rows, the least that a chunk has.
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", 64 * 4 * groups * 7)
    codes = lookup.nearest_codes(tf.constant(z), tf.constant(e))
    whole_chunks, rest = divmod(count, 64)
    assert [shape[1] for shape in seen] == [64] * whole_chunks + [rest] * (
        rest > 0
    )
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("count", [0, 50, 128, 200])
def test_unknown_count_and_xla_in_chunks(monkeypatch, count):
    z, e = data(2, count)
    expected = lookup.nearest_codes(tf.constant(z), tf.constant(e))
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", 1)
    signature = [tf.TensorSpec([2, None, 5]), tf.TensorSpec([2, 7, 5])]
    graph = tf.function(lookup.nearest_codes, signature)
    np.testing.assert_array_equal(graph(z, e), expected)
    xla = tf.function(lookup.nearest_codes, jit_compile=True)
    np.testing.assert_array_equal(xla(tf.constant(z), e), expected)


def test_of_equally_near_embeddings_the_first_is_taken():
    z = tf.constant([[[0.0, 0.0], [1.0, 1.0]]])
    e = tf.constant([[[3.0, 3.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_array_equal(lookup.nearest_codes(z, e), [[1, 1]])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("num_embeddings", [1024, 1088, 1100])
def test_many_embeddings_are_searched_in_blocks(groups, num_embeddings):
    z, e = data(groups, 40, num_embeddings)
    # Every third embedding is found in another block again.
    e[:, 320::3] = e[:, : len(e[0, 320::3])]
    codes = lookup.nearest_codes(tf.constant(z), tf.constant(e))
    np.testing.assert_array_equal(codes, oracle.nearest(z, e))
    assert np.max(codes) >= 320
    xla = tf.function(lookup.nearest_codes, jit_compile=True)
    np.testing.assert_array_equal(xla(tf.constant(z), tf.constant(e)), codes)


def test_whatever_latents_are_their_codes_are_in_range():
    z, e = data(1, 4, 1024)
    z[0, 0], z[0, 1, 0], z[0, 2, :2] = np.nan, np.inf, (np.inf, -np.inf)
    codes = lookup.nearest_codes(tf.constant(z), tf.constant(e)).numpy()
    assert codes.min() >= 0 and codes.max() < 1024
    assert codes[0, 3] == oracle.nearest(z[:, 3:], e)[0, 0]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_and_sums_are_the_oracles(groups, weighted):
    z, e = data(groups)
    codes = oracle.nearest(z, e).astype(np.int32)
    codes[codes == 2] = 1  # a code that nothing chose
    weights = None
    n, s = oracle.counts_and_sums(z, codes, 7)
    if weighted:
        weights = np.arange(300) % 4 > 0
        n, s = oracle.counts_and_sums(z[:, weights], codes[:, weights], 7)
        weights = tf.constant(weights, tf.float32)
    counts = lookup.code_counts(codes, 7, weights)
    np.testing.assert_array_equal(counts, n)
    sums = lookup.code_sums(tf.constant(z), codes, 7, weights)
    np.testing.assert_allclose(sums, s, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(sums[:, 2], np.zeros([groups, 5]))


def test_flat_indices_count_through_the_codebooks():
    codes = tf.constant([[0, 6], [1, 5], [2, 4]])
    np.testing.assert_array_equal(
        lookup.flat_indices(codes, 7), [[0, 6], [8, 12], [16, 18]]
    )
