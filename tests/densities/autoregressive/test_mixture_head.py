"""The head of discretised logistics, against its formula in float64."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities.autoregressive.code_head import CodeHead
from vqvae_tf.densities.autoregressive.mixture_head import LogisticMixtureHead


def outputs(scale, count=50, components=3):
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=[count, 3 * components])).astype(np.float32)


def masses(outputs, levels, components=3):
    """Eq. 2 of PixelCNN++ over 0..K-1, in float64."""
    logits, mean, scale = np.split(outputs.astype(np.float64), 3, axis=-1)
    mean = (levels - 1) / 2 * (1 + mean + np.linspace(-0.6, 0.6, components))
    scale = np.maximum(0.1 * levels * np.exp(scale), 0.02)[..., None]
    edges = np.arange(levels + 1) - 0.5
    edges[[0, -1]] = -np.inf, np.inf
    # A sigmoid, by tanh so that the open edges do not overflow.
    below = 0.5 * (1 + np.tanh((edges - mean[..., None]) / scale / 2))
    each = np.diff(below, axis=-1)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.sum(weights[..., None] * each, axis=-2)


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_masses_are_those_of_the_formula_and_sum_to_one(levels):
    head = LogisticMixtureHead(levels, 4, 5, num_components=3)
    x = outputs(0.7)
    logits = head.to_logits(tf.constant(x.reshape(5, 10, -1)))
    assert logits.shape == (5, 10, levels)
    mass = np.exp(logits.numpy().astype(np.float64)).reshape(50, levels)
    np.testing.assert_allclose(mass.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(mass, masses(x, levels), rtol=1e-4, atol=1e-7)


def test_sharp_and_far_components_have_finite_log_masses():
    head = LogisticMixtureHead(256, 4, 5, num_components=3)
    logits = head.to_logits(tf.constant(outputs(8.0))).numpy()
    assert np.all(np.isfinite(logits))
    sums = np.exp(logits.astype(np.float64)).sum(-1)
    np.testing.assert_allclose(sums, 1, atol=1e-4)


@pytest.mark.parametrize("components", [1, 5])
def test_log_prob_is_the_logit_of_the_level(components):
    head = LogisticMixtureHead(32, 4, 5, num_components=components)
    rng = np.random.default_rng(1)
    features = rng.normal(size=[2, 9, 5]).astype(np.float32)
    embedded = np.zeros([2, 9, 1, 5], np.float32)
    codes = rng.integers(0, 32, [2, 9, 1], dtype=np.int32)
    logits = head(features, embedded)
    expected = np.take_along_axis(logits.numpy(), codes[..., None], -1)[..., 0]
    result = head.log_prob(features, embedded, codes)
    assert result.shape == codes.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    # Neighbouring levels start alike.
    assert np.max(abs(np.diff(logits))) < 2


def test_config():
    head = LogisticMixtureHead(32, 4, 5, num_components=2, name="head")
    copy = LogisticMixtureHead.from_config(head.get_config())
    assert copy.get_config() == head.get_config()
    assert isinstance(copy, CodeHead) and copy.num_components == 2
    with pytest.raises(ValueError, match="num_components must be a positive"):
        LogisticMixtureHead(32, 4, 5, num_components=0)
