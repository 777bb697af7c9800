"""Perplexity and usage over an epoch, not over a batch."""

import keras
import numpy as np
import tensorflow as tf

from support import quantizer_oracle as oracle
from vqvae_tf.quantizers import usage


def test_perplexity_of_known_distributions():
    counts = tf.constant([[0.0, 0.0, 5.0, 0.0]])
    np.testing.assert_allclose(usage.perplexity(counts), 1.0)
    np.testing.assert_allclose(usage.perplexity(tf.fill([1, 8], 3.0)), 8.0)
    # exp(-(1/2 ln 1/2 + 2 * 1/4 ln 1/4)) = 2 ** 1.5
    counts = tf.constant([[2.0, 1.0, 1.0, 0.0]])
    np.testing.assert_allclose(usage.perplexity(counts), 2**1.5, rtol=1e-6)
    # The mean over codebooks.
    counts = tf.constant([[2.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(usage.perplexity(counts), 1.5, rtol=1e-6)


def test_nothing_counted():
    counts = tf.zeros([2, 4])
    np.testing.assert_array_equal(usage.perplexity(counts), 1.0)
    np.testing.assert_array_equal(usage.usage(counts), 0.0)


def test_metric_adds_counts_up_until_reset():
    rng = np.random.default_rng(0)
    batches = rng.integers(0, 3, [5, 2, 6]).astype(np.float32)
    batches[..., 4] = 0
    metric = usage.CodebookUsage(6, 2, prefix="vq_")
    for counts in batches:
        metric.update_state(counts)
    result = metric.result()
    assert set(result) == {"vq_perplexity", "vq_usage"}
    total = batches.sum(0)
    expected = oracle.perplexity(total)
    np.testing.assert_allclose(result["vq_perplexity"], expected, rtol=1e-5)
    np.testing.assert_allclose(result["vq_usage"], (total > 0).mean())
    # The mean of the batches' perplexities would be another number.
    mean = np.mean([oracle.perplexity(counts) for counts in batches])
    assert abs(mean - expected) > 0.5
    metric.reset_state()
    metric.update_state(batches[0])
    np.testing.assert_allclose(
        metric.result()["vq_perplexity"],
        oracle.perplexity(batches[0]),
        rtol=1e-5,
    )


def test_figures_of_each_codebook():
    counts = np.array([[2.0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], np.float32)
    metric = usage.CodebookUsage(4, 3)
    metric.update_state(counts)
    figures = metric.per_codebook()
    np.testing.assert_allclose(figures["perplexity"], [2**1.5, 4, 1], 1e-6)
    np.testing.assert_allclose(figures["usage"], [0.75, 1, 0])
    for name, value in metric.result().items():
        np.testing.assert_allclose(value, np.mean(figures[name]), 1e-6)


def test_config_round_trip():
    metric = usage.CodebookUsage(6, 2, prefix="vq_", name="codes")
    config = keras.metrics.serialize(metric)
    copy = keras.metrics.deserialize(config)
    assert copy.get_config() == metric.get_config()
    assert copy.name == "codes"
    assert copy.counts.shape == (2, 6)
