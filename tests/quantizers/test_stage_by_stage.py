"""Initial values of a codebook that residual stages share."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from vqvae_tf.quantizers import (
    KMeans,
    ResidualQuantizer,
    VectorQuantizer,
    VectorQuantizerEMA,
)

D, N = 4, 3


def latents(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(0, 0.3, [count, D]), tf.float32)


def shared(cls=VectorQuantizerEMA, size=24, stages=N, **options):
    layer = ResidualQuantizer(cls(size, D, **options), stages, shared=True)
    layer.build((None, D))
    return layer


def errors(layer, codes, x):
    """Mean squared errors of the first stages' sums."""
    return [
        np.mean((layer.decode(codes[:, :n]) - x) ** 2) for n in range(1, N + 1)
    ]


@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_initial_values_are_latents_and_what_they_leave(cls):
    """The first third of latents, the next of their rests, and so on."""
    layer = shared(cls, initialization="data")
    x = latents(200)
    quantized, codes = layer(x, training=True, return_codes=True)
    stage = layer.stages[0]
    if cls is VectorQuantizer:  # the other one has moved on
        table, rest = np.float64(stage.codebook), np.float64(x)
        np.testing.assert_array_equal(layer.encode(x), codes)
        np.testing.assert_array_equal(layer.decode(codes), quantized)
        for i in range(N):
            own = table[8 * i : 8 * (i + 1)]
            gaps = np.abs(own[:, None] - rest).max(-1)
            assert np.all(gaps.min(1) < 1e-5)
            assert len(np.unique(gaps.argmin(1))) == 8
            known = table[: 8 * (i + 1)]
            nearest = oracle.nearest(rest[None], known[None])[0]
            rest = rest - known[nearest]
    else:
        assert int(stage.steps) == 1
    # Later stages have something to add.
    first, second, third = errors(layer, codes, x)
    assert third < 0.7 * second < 0.5 * first
    before = stage.codebook.numpy()
    layer(x + 50.0, training=True)
    assert np.sum(np.any(stage.codebook != before, axis=1)) <= 2 * N


def test_initial_values_with_fewer_latents_than_codes():
    layer = shared(VectorQuantizer, initialization="data")
    before = layer.stages[0].codebook.numpy()
    x = latents(5)
    layer(x, training=True)
    new = layer.stages[0].codebook.numpy()
    changed = np.any(new != before, axis=1)
    assert np.sum(changed) == 5 and np.all(np.isfinite(new))


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_initial_values_from_clusters(distance):
    layer = shared(
        VectorQuantizer,
        distance=distance,
        initialization=KMeans(num_latents=200),
    )
    x, stage = latents(200), layer.stages[0]
    layer(x[:100], training=True)
    assert int(stage.num_gathered) == 100
    _, codes = layer(x[100:], training=True, return_codes=True)
    assert int(stage.num_gathered) == 200
    assert np.all(np.isfinite(stage.codebook))
    if distance == "euclidean":
        used = [len(np.unique(code)) for code in np.transpose(codes)]
        assert min(used) >= 7
        first, second, third = errors(layer, codes, x[100:])
        assert third < 0.7 * second < 0.5 * first


def test_initial_counts_are_those_of_the_clusters():
    layer = shared(decay=0.5, initialization=KMeans(num_latents=60), size=9)
    stage, x = layer.stages[0], latents()
    layer(x, training=True, mask=np.ones(60))
    # Each stage clusters all latents, and each has searched them once.
    np.testing.assert_allclose(np.sum(stage.ema_counts), N * 60, 1e-5)
    sums = stage.ema_counts[..., tf.newaxis] * stage.embeddings
    np.testing.assert_allclose(stage.ema_sums, sums, 1e-4, 1e-6)


def test_more_stages_than_codes():
    layer = shared(size=2, stages=4, initialization="data")
    x = latents()
    layer(x, training=True)
    assert layer.encode(x).shape == (60, 4)
    assert np.all(np.isfinite(layer.stages[0].codebook))
