"""Figures of autoencoders: distortion, bounds, intervals, padding."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf import (
    Autoencoder,
    Bernoulli,
    Decoder,
    Encoder,
    FactorizedDensity as Factorized,
    Gaussian,
)
from vqvae_tf.bottlenecks import DiagonalGaussian, Identity
from vqvae_tf.evaluation import (
    autoencoders as family_evaluation,
)
from vqvae_tf.layers import Binarization
from vqvae_tf.runtime import random

SIZE = 16


def make(bottleneck, likelihood=None, **options):
    keras.utils.set_random_seed(0)
    likelihood = likelihood or Gaussian()
    model = Autoencoder(
        Encoder(4, hidden_channels=8),
        bottleneck,
        Factorized(
            Decoder(likelihood.num_parameters(1), hidden_channels=8), likelihood
        ),
        event_shape=(SIZE, SIZE, 1),
        **options,
    )
    model.build()
    return model


def pictures(count=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, [count, SIZE, SIZE, 1]).astype(np.uint8)


def batches(x, size=4):
    """As `data.evaluation_batches`: the last one is padded."""
    missing = -len(x) % size
    padded = np.concatenate([x, np.zeros([missing, *x.shape[1:]], x.dtype)])
    weight = np.repeat([1.0, 0.0], [len(x), missing]).astype(np.float32)
    found = tf.data.Dataset.from_tensor_slices((padded, weight)).batch(size)
    return found.map(lambda x, weight: (x, {}, weight))


def evaluate(model, x, *args, size=4, **kwargs):
    return family_evaluation.evaluate(
        model, batches(x, size), *args, progress=False, **kwargs
    )


def seed_of(number):
    """The first batch's seeds: 0 of the observation, 1 + s from draw s on."""
    return random.fold_in(family_evaluation.batch_seed(0, 0), number)


def test_distortion_equals_numpy():
    model, x = make(Identity()), pictures()
    figures = evaluate(model, x)
    error = x.astype(float) - model.reconstruct(x).numpy()
    assert figures["examples"] == 5
    assert figures["mse"] == pytest.approx((error**2).mean())
    assert figures["nmse"] == pytest.approx((error**2).mean() / x.var())
    expected = 10 * math.log10(255**2 / (error**2).mean())
    assert figures["psnr"] == pytest.approx(expected)
    log_px = model.decoder.log_prob(x, {"local": model.latents(x)}).numpy()
    bits = -log_px.mean() / (SIZE * SIZE * math.log(2))
    assert figures["reconstruction_bits_per_dim"] == pytest.approx(bits)
    assert "bits_per_dim" not in figures


def test_bound_and_its_interval():
    model, x = make(DiagonalGaussian()), pictures(4)
    figures = evaluate(model, x, 1)
    bound = model.log_weights(x, 1, seed=seed_of(1))[0].numpy()
    bits = -bound / (SIZE * SIZE * math.log(2))
    assert figures["bits_per_dim"] == pytest.approx(bits.mean())
    error = 1.96 * bits.std(ddof=1) / 2
    assert figures["bits_per_dim_error"] == pytest.approx(error, rel=1e-3)
    parts = ("reconstruction_bits_per_dim", "prior_bits_per_dim")
    total = sum(figures[name] for name in parts)
    assert figures["bits_per_dim"] == pytest.approx(total)
    assert "nats" not in figures


def test_more_draws_tighten_the_bound():
    model, x = make(DiagonalGaussian()), pictures()
    few, many = evaluate(model, x, 2), evaluate(model, x, 300)
    assert many["bits_per_dim_S"] < few["bits_per_dim_S"] < few["bits_per_dim"]
    nats = many["bits_per_dim_S"] * SIZE * SIZE * math.log(2)
    assert many["nats"] == pytest.approx(nats)


def test_chunks_of_draws_are_joined(monkeypatch):
    model, x = make(DiagonalGaussian()), pictures(4)
    monkeypatch.setattr(family_evaluation, "_AT_ONCE", 12)  # 3 draws of 4 rows
    found = evaluate(model, x, 8)
    weights = [
        model.log_weights(x, n, seed=seed_of(1 + start))
        for start, n in ((0, 3), (3, 3), (6, 2))
    ]
    log_p = tf.reduce_logsumexp(tf.concat(weights, 0), 0) - math.log(8)
    log_p = log_p.numpy()
    assert found["nats"] == pytest.approx(-log_p.mean())
    error = 1.96 * log_p.std(ddof=1) / 2
    assert found["nats_error"] == pytest.approx(error, rel=1e-3)
    in_bits = error / (SIZE * SIZE * math.log(2))
    assert found["bits_per_dim_S_error"] == pytest.approx(in_bits, rel=1e-3)


def test_a_fixed_binarisation_is_measured():
    x = pictures(4)
    model = make(DiagonalGaussian(), Bernoulli(), observation=Binarization())
    figures = evaluate(model, x)
    binary = model.observation(x, seed=seed_of(0))
    bound = model.log_weights(binary, 1, seed=seed_of(1))[0].numpy()
    bits = -bound.mean() / (SIZE * SIZE * math.log(2))
    assert figures["bits_per_dim"] == pytest.approx(bits)
    assert evaluate(model, x) == figures
    assert evaluate(model, x, seed=1) != figures
