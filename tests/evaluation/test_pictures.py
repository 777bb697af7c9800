"""Figures against NumPy, on padded batches."""

import math

import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from vqvae_tf import data
from vqvae_tf.evaluation import pictures as evaluation
from vqvae_tf.evaluation.figures import table


@pytest.fixture(scope="module")
def measured():
    generator = small.generator()
    images = small.pictures(7)
    batches = data.array_evaluation_batches(images, 4)
    counts = np.arange(8)
    return (
        generator,
        images,
        evaluation.evaluate(generator, batches, counts, progress=False),
    )


def test_distortion(measured):
    generator, images, figures = measured
    again = generator.reconstruct(images).numpy().astype(np.float64)
    mse = np.mean((again - images) ** 2)
    assert figures["examples"] == 7
    assert figures["mse"] == pytest.approx(mse)
    assert figures["nmse"] == pytest.approx(mse / images.var())
    assert figures["psnr"] == pytest.approx(10 * np.log10(255**2 / mse))


def test_usage_and_perplexity(measured):
    generator, images, figures = measured
    codes = generator.encode(images).numpy()
    p = np.bincount(codes.ravel(), minlength=8) / codes.size
    entropy = -sum(x * np.log(x) for x in p if x > 0)
    assert figures["perplexity"] == pytest.approx(np.exp(entropy), rel=1e-5)
    assert figures["usage"] == pytest.approx(np.mean(p > 0))


def test_bits(measured):
    generator, images, figures = measured
    bits = {k: v.numpy() for k, v in generator.bits_per_dim(images).items()}
    assert figures["bits_per_dim"] == pytest.approx(bits["total"].mean())
    assert figures["prior_bits_per_dim"] == pytest.approx(bits["prior"].mean())
    per_code = bits["prior"].mean() * 16 * 16 * 3 / 16
    assert figures["prior_bits_per_code"] == pytest.approx(per_code)
    uniform = bits["reconstruction"].mean() + 16 * 3 / (16 * 16 * 3)
    assert figures["bits_per_dim_uniform"] == pytest.approx(uniform)
    error = 1.96 * bits["total"].std(ddof=1) / math.sqrt(7)
    assert figures["bits_per_dim_error"] == pytest.approx(error, rel=1e-4)


def test_unigram_in_figures(measured):
    generator, images, figures = measured
    codes = generator.encode(images).numpy().ravel()
    p = (np.arange(8) + 1) / 36
    expected = -np.log2(p)[codes].mean()
    assert figures["unigram_bits_per_code"] == pytest.approx(expected)


def test_count_codes_leaves_padding_out():
    model = small.autoencoder(3)
    images = small.pictures(5)
    batches = data.array_evaluation_batches(images, 4)
    counts = evaluation.count_codes(model, batches, progress=False)
    codes = model.encode(images).numpy().reshape(-1, 3)
    for group in range(3):
        expected = np.bincount(codes[:, group], minlength=8)
        np.testing.assert_array_equal(counts[group], expected)


def test_a_model_without_prior_has_no_prior_bits():
    batches = data.array_evaluation_batches(small.pictures(4), 4)
    figures = evaluation.evaluate(small.autoencoder(), batches, progress=False)
    assert "prior_bits_per_code" not in figures
    assert figures["bits_per_dim_uniform"] > 0


def test_the_bits_of_a_prior_with_a_bound_say_so():
    autoencoder = small.autoencoder()
    prior = vq.MaskedCodeTransformer(
        8, (4, 4), hidden_channels=8, num_layers=1, num_heads=2, head_channels=8
    )
    generator = vq.LatentGenerator(autoencoder, prior)
    images = small.pictures(4)
    batches = data.array_evaluation_batches(images, 4)
    figures = evaluation.evaluate(generator, batches, progress=False)
    assert "prior_bits_per_code" not in figures
    nats = -prior.log_prob(autoencoder.encode(images)).numpy().mean()
    expected = nats / np.log(2) / 16
    assert figures["prior_bound_bits_per_code"] == pytest.approx(expected)
    assert "the prior, at most, bits/code" in dict(table(figures))
