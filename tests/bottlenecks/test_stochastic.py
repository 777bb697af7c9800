"""What every stochastic bottleneck is held to."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from support.harness import assert_config_round_trip
from vqvae_tf.bottlenecks import DiagonalGaussian, IndependentCategorical


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=shape), tf.float32)


def categorical(values=5, dim=3, groups=2, **options):
    layer = IndependentCategorical(values, dim, groups, **options)
    layer.build()
    return layer


@pytest.mark.parametrize(
    "make, channels",
    [(DiagonalGaussian, 4), (lambda: categorical(num_samples=3), 10)],
)
def test_draws_do_not_depend_on_the_rest_of_the_batch(make, channels):
    layer, latents = make(), noise(4, 2, 2, channels)
    whole = layer.sample(latents, 3, seed=7)
    part = layer.sample(latents[:2], 3, seed=7)
    np.testing.assert_allclose(whole.z[:, :2], part.z, 1e-6, 1e-6)


@pytest.mark.parametrize(
    "make, channels",
    [(DiagonalGaussian, 4), (lambda: categorical(num_samples=3), 10)],
)
def test_training_draws_anew_and_evaluation_does_not(make, channels):
    layer, latents = make(), noise(4, 2, 2, channels)
    first, second = (layer.sample(latents, 3, training=True) for _ in "ab")
    assert np.any(first.z.numpy() != second.z.numpy())
    first, second = (layer.sample(latents, 3) for _ in "ab")
    np.testing.assert_array_equal(first.z, second.z)


def test_the_bound_grows_with_the_draws():
    """E L_1 <= E L_5 <= E L_50 (Burda et al., theorem 1).

    Falsely fails with a chance below 1e-4: each mean grows by more than 4
    standard errors of the paired differences of 2,000 rows.
    """
    layer = DiagonalGaussian(estimator="iwae", num_samples=50)
    latents = tf.tile(0.5 * noise(1, 1, 1, 8), [2000, 1, 1, 1])
    bounds = []
    for count in (1, 5, 50):
        draw = layer.sample(latents, count, seed=count)
        log_px = -tf.reduce_sum((draw.z - 1.0) ** 2, axis=[2, 3, 4])
        bounds.append(layer.objective(log_px, draw, latents)[1].numpy())
    for fewer, more in itertools.pairwise(bounds):
        gain = more - fewer
        assert gain.mean() > 4 * gain.std() / math.sqrt(len(gain))


@given(
    rows=st.integers(1, 4),
    grid=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    channels=st.integers(1, 4),
    draws=st.integers(1, 3),
)
def test_shapes(rows, grid, channels, draws):
    latents = noise(rows, *grid, 2 * channels)
    draw = DiagonalGaussian().sample(latents, draws)
    assert draw.z.shape == (draws, rows, *grid, channels)
    assert draw.log_ratio.shape == (draws, rows)


def test_unknown_sizes():
    layer = DiagonalGaussian()
    spec = [tf.TensorSpec([None, None, None, 6])]
    draw = tf.function(lambda x: layer.sample(x, 2), input_signature=spec)
    latents = noise(2, 3, 4, 6)
    expected = layer.sample(latents, 2)
    for found, same in zip(draw(latents), expected):
        np.testing.assert_allclose(found, same, 1e-5, 1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiagonalGaussian(beta=4.0, capacity=3.0, capacity_steps=7),
        lambda: DiagonalGaussian(estimator="iwae", num_samples=5, seed=3),
        lambda: IndependentCategorical(5, 3, 2, 4, seed=1, resample=True),
    ],
)
def test_configurations(make):
    assert_config_round_trip(make())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DiagonalGaussian(estimator="x"), "one of elbo, iwae, vimco"),
        (lambda: DiagonalGaussian(num_samples=0), "num_samples must be a pos"),
        (lambda: DiagonalGaussian(estimator="vimco"), "at least 2. Received"),
        (lambda: DiagonalGaussian(resample=True), "resample is for.*'elbo'"),
        (lambda: DiagonalGaussian(beta=-1), "beta .at least 0.*beta=-1"),
        (lambda: DiagonalGaussian(4, estimator="iwae"), 'for estimator="elbo"'),
        (
            lambda: DiagonalGaussian(capacity=-1),
            "capacity must be at least 0",
        ),
        (lambda: DiagonalGaussian().encode(tf.zeros([1, 3])), "must be even"),
        (lambda: IndependentCategorical(0, 3), "num_embeddings must be a pos"),
        (
            lambda: IndependentCategorical(4, 3, estimator="elbo"),
            "one of vimco",
        ),
        (
            lambda: categorical().encode(tf.zeros([1, 7])),
            "num_codebooks . num_embeddings = 10. Received: 7 channels",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
