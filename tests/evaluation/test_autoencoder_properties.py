"""What the family promises, on models whose answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf import (
    Autoencoder,
    DenseDecoder,
    DenseEncoder,
    FactorizedDensity as Factorized,
    Gaussian,
)
from vqvae_tf.bottlenecks import DiagonalGaussian, Identity, KSparse, Sparse
from vqvae_tf.evaluation import autoencoder_properties as family_properties
from vqvae_tf.layers import GaussianCorruption, MaskingNoise

SIZE = 4
UNITS = SIZE * SIZE


def make(bottleneck=None, units=UNITS, **options):
    """A linear autoencoder of 4x4 grey pictures."""
    keras.utils.set_random_seed(0)
    model = Autoencoder(
        DenseEncoder(units, SIZE, hidden_units=()),
        bottleneck or Identity(),
        Factorized(DenseDecoder(1, SIZE, hidden_units=()), Gaussian()),
        event_shape=(SIZE, SIZE, 1),
        **options,
    )
    model.build()
    return model


def make_identity(**options):
    """One whose encoder and decoder are the identity."""
    model = make(**options)
    for part in (model.encoder, model.decoder.network):
        kernel, bias = part.weights
        kernel.assign(np.eye(UNITS))
        bias.assign(np.zeros(UNITS))
    return model


def pictures(count=6):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, [count, SIZE, SIZE, 1]).astype(np.uint8)


def evaluate(model, x, size=4, **kwargs):
    missing = -len(x) % size
    padded = np.concatenate([x, np.full([missing, *x.shape[1:]], 77, x.dtype)])
    weight = np.repeat([1.0, 0.0], [len(x), missing]).astype(np.float32)
    found = tf.data.Dataset.from_tensor_slices((padded, weight)).batch(size)
    batches = found.map(lambda x, weight: (x, {}, weight))
    return family_properties.evaluate(model, batches, progress=False, **kwargs)


def test_denoising_of_an_identity_wins_nothing():
    x = pictures(40)
    figures = evaluate(make_identity(corruption=MaskingNoise(0.5)), x)
    gain = figures["denoised_psnr"] - figures["corrupted_psnr"]
    assert abs(gain) < 0.01
    black = x.astype(float) ** 2  # half of the pixels are black instead
    expected = 10 * np.log10(255**2 / (black.mean() / 2))
    assert figures["corrupted_psnr"] == pytest.approx(expected, abs=0.6)


def test_denoising_of_a_mean_wins():
    model = make(corruption=GaussianCorruption(1.0))
    for part in (model.encoder, model.decoder.network):
        for weight in part.weights:
            weight.assign(tf.zeros_like(weight))
    x = np.full([8, SIZE, SIZE, 1], 128, np.uint8)  # what it always answers
    figures = evaluate(model, x)
    assert figures["denoised_psnr"] > 45 > figures["corrupted_psnr"] + 30
    assert "contraction" not in figures  # z says nothing


def test_noise_does_not_depend_on_the_batches():
    model = make_identity(corruption=MaskingNoise(0.5))
    few, many = (evaluate(model, pictures(), size) for size in (2, 6))
    assert few["corrupted_psnr"] == pytest.approx(many["corrupted_psnr"])
    other = evaluate(model, pictures(), seed=1)
    assert other["corrupted_psnr"] != few["corrupted_psnr"]


def test_share_of_units_near_rho():
    model = make(Sparse(rho=0.2, weight=1.0))
    kernel, bias = model.encoder.weights
    kernel.assign(tf.zeros_like(kernel))
    means = np.full(UNITS, 0.2)
    means[:4] = (0.1, 0.159, 0.241, 0.5)  # beyond 20 %
    means[4:6] = (0.162, 0.239)  # within
    bias.assign(np.log(means / (1 - means)))
    figures = evaluate(model, pictures())
    assert figures["near_rho"] == 12 / 16
    assert figures["mean_activation"] == pytest.approx(means.mean(), rel=1e-4)


def test_active_units():
    figures = evaluate(make(KSparse(4, test_factor=2)), pictures())
    assert figures["active_in_training"] == 4 and figures["active"] == 8


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
def test_contraction_does_not_depend_on_the_scale(scale):
    """The identity: |J|_F^2 = D, and tr Cov z that of the inputs."""
    model, x = make_identity(), pictures(60)
    model.encoder.weights[0].assign(scale * np.eye(UNITS))
    inputs = x.reshape([60, -1]) / 127.5 - 1
    expected = np.sqrt(UNITS / inputs.var(axis=0).sum())
    assert evaluate(model, x)["contraction"] == pytest.approx(expected, 1e-4)


def test_contraction_of_many_is_that_of_the_first(monkeypatch):
    """The Jacobian's norm alone, of whole batches or not: z is of all."""
    model, x = make(Identity(), UNITS), pictures(60)
    z = np.asarray(model.encode(x)).reshape([60, -1])
    spread = [np.sqrt(part.var(axis=0).sum()) for part in (z[:25], z)]
    of_25 = evaluate(model, x[:25])["contraction"] * spread[0]
    assert evaluate(model, x)["contraction"] * spread[1] != of_25
    monkeypatch.setattr(family_properties, "_JACOBIANS", 25)
    figures = evaluate(model, x)
    assert figures["contraction"] * spread[1] == pytest.approx(of_25, 1e-4)


def test_a_vae_promises_none_of_these():
    assert evaluate(make(DiagonalGaussian(), 2 * UNITS), pictures()) == {}
