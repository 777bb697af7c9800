"""Restarts of codes whose averaged count is below a threshold."""

import math

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import arrays
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import KMeans, VectorQuantizer, VectorQuantizerEMA

K, D = 8, 4


def latents(seed=0, count=40):
    x = np.random.default_rng(seed).normal(size=[count, D])
    return tf.constant(0.1 * x, tf.float32)


def ema(below, decay=0.9, **options):
    layer = VectorQuantizerEMA(
        K, D, decay=decay, restart_below=below, **options
    )
    layer.build((None, layer.channels))
    return layer


def line(layer):
    """Gives codes places 0, 10, ... on the first axis, so far apart."""
    book = np.zeros([K, D], np.float32)
    book[:, 0] = 10.0 * np.arange(K)
    layer.set_codebook(book)
    return book


def rows(values):
    return {tuple(row) for row in np.asarray(values)}


@pytest.mark.parametrize(
    "options", [dict(num_codebooks=2), dict(initialize_from_data=True)]
)
def test_harness(options):
    options = dict(decay=0.5, restart_below=2.0, seed=1, **options)
    run_quantizer_test(
        VectorQuantizerEMA,
        dict(num_embeddings=K, embedding_dim=D, **options),
    )


@pytest.mark.parametrize("below, count", [(0.1, 1.0), (0.5, 1.0), (3.0, 6.0)])
def test_new_codes_have_twice_that_count_and_at_least_one(below, count):
    layer = ema(below)
    np.testing.assert_array_equal(layer.ema_counts, np.full([1, K], count))
    sums = count * layer.embeddings.numpy()
    np.testing.assert_allclose(layer.ema_sums, sums, 1e-6)
    layer.set_codebook(latents(count=K))
    np.testing.assert_array_equal(layer.ema_counts, np.full([1, K], count))
    layer.set_codebook(latents(1, count=K), counts=np.arange(K))
    np.testing.assert_array_equal(layer.ema_counts[0], np.arange(K))


@pytest.mark.parametrize("below, decay", [(0.1, 0.5), (1.0, 0.9), (3.0, 0.5)])
def test_a_code_without_latents_has_time_to_be_found(below, decay):
    layer = ema(below, decay)
    book, x = line(layer), latents()
    start = max(1.0, 2 * below)
    steps = math.floor(math.log(below / start) / math.log(decay)) + 1
    for _ in range(steps):
        np.testing.assert_array_equal(layer.restart_metric.result(), 0.0)
        np.testing.assert_array_equal(layer.codebook[1:], book[1:])
        layer(x, training=True)
    np.testing.assert_array_equal(layer.restart_metric.result(), K - 1.0)
    new = layer.codebook.numpy()[1:]
    assert rows(new) <= rows(x) and len(rows(new)) == K - 1
    np.testing.assert_array_equal(layer.ema_counts[0, 1:], [start] * (K - 1))
    np.testing.assert_allclose(layer.ema_sums[0, 1:], start * new, 1e-6)
    # Now all have latents, or time again.
    layer(x, training=True)
    np.testing.assert_array_equal(layer.restart_metric.result(), K - 1.0)


def test_which_codes_are_restarted():
    """Against the averages in float64, from step to step."""
    layer = ema(2.0, decay=0.8)
    expected = oracle.EMACodebook(layer.embeddings.numpy(), 0.25, 0.8)
    total = 0
    for seed in range(12):
        # Latents move on, so that other codes lose theirs.
        x = latents(seed) + 0.05 * seed
        expected.counts = np.float64(layer.ema_counts)
        expected.sums = np.float64(layer.ema_sums)
        expected.codebooks = np.float64(layer.embeddings)
        expected.step(np.float64(x)[np.newaxis])
        dead = expected.counts[0] < 2.0
        layer(x, training=True)
        total += np.sum(dead)
        assert rows(layer.codebook[dead]) <= rows(x)
        np.testing.assert_allclose(
            layer.codebook[~dead], expected.codebooks[0, ~dead], 1e-4, 1e-6
        )
        counts = np.where(dead, 4.0, expected.counts[0])
        np.testing.assert_allclose(layer.ema_counts[0], counts, 1e-5)
        np.testing.assert_array_equal(layer.restart_metric.result(), total)
    assert K < total < 12 * K


@pytest.mark.parametrize("below, restarted", [(0.9, False), (1.1, True)])
def test_the_count_is_of_latents_per_step(below, restarted):
    """Here of one for each code."""
    layer = ema(below)
    book = line(layer)
    for _ in range(50):
        layer(tf.constant(book), training=True)
    assert (layer.restart_metric.result() > 0) == restarted


def test_weights_and_replicas_count():
    """A weight of 2 counts as two latents; harness: replicas are summed."""
    layer = ema(1.1)
    book = line(layer)
    for _ in range(50):
        layer(tf.constant(book), training=True, mask=np.full(K, 2.0))
    assert layer.restart_metric.result() == 0


@pytest.mark.parametrize("how", ["masked", "not finite"])
def test_a_step_that_restarts_nothing(how):
    layer = ema(3.0, decay=0.0)
    line(layer)
    x = latents().numpy()
    before = arrays(layer.variables)
    mask = None
    if how == "masked":
        mask = np.zeros(len(x))
    else:
        x[3, 1] = np.nan
    layer(tf.constant(x), training=True, mask=mask)
    np.testing.assert_array_equal(layer.embeddings, before[0])
    assert layer.restart_metric.result() == 0
    layer(latents(), training=True)
    assert layer.restart_metric.result() == K - 1


def test_masked_latents_are_never_drawn():
    layer = ema(3.0, decay=0.0)
    line(layer)
    x, mask = latents(), np.arange(40) % 4 == 0
    layer(x, training=True, mask=mask)
    new = layer.codebook[1:]
    assert rows(new) <= rows(x.numpy()[mask]) and len(rows(new)) == K - 1


def test_with_fewer_latents_than_codes_some_wait():
    layer = ema(3.0, decay=0.0)
    book = line(layer)
    layer(latents(count=3), training=True)
    kept = np.sum(np.all(layer.codebook.numpy() == book, axis=1))
    assert kept >= K - 1 - 3
    np.testing.assert_array_equal(layer.restart_metric.result(), K - 1 - kept)
    layer(latents(1), training=True)
    assert rows(layer.codebook) & rows(book) == set()


def test_initial_values_from_data_and_clusters():
    """Their counts are those of new codes, too, or of their clusters."""
    for initialization in ("data", KMeans(num_latents=40)):
        layer = ema(2.0, decay=0.999, initialization=initialization)
        layer(latents(), training=True)
        counts = layer.ema_counts.numpy()[..., np.newaxis]
        assert layer.restart_metric.result() == 0 and np.min(counts) > 3.9
        np.testing.assert_allclose(
            layer.ema_sums, counts * layer.embeddings, 1e-4, 1e-6
        )
        assert np.min(np.ptp(layer.codebook, axis=0)) > 0.05


def test_after_several_steps_if_updates_are():
    layer = ema(3.0, decay=0.0, accumulation_steps=3)
    book, x = line(layer), latents()
    for _ in range(2):
        layer(x, training=True)
        np.testing.assert_array_equal(layer.codebook, book)
    layer(x + 1.0, training=True)
    assert layer.restart_metric.result() == K - 1
    assert rows(layer.codebook[1:]) <= rows(x + 1.0)


@pytest.mark.parametrize("below", [0, -1.0, np.nan, np.inf, True, "2"])
def test_thresholds_that_are_refused(below):
    with pytest.raises(ValueError, match="restart_below must be None or a fin"):
        VectorQuantizerEMA(K, D, restart_below=below)


def test_one_rule_for_restarts_and_averages_only():
    with pytest.raises(ValueError, match="only one of them. Received: restart"):
        VectorQuantizerEMA(K, D, restart_below=1.0, restart_after=9)
    with pytest.raises(ValueError, match="restart_below"):
        VectorQuantizer(K, D, restart_below=1.0)
