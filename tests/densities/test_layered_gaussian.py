"""Gaussian layers, each given a context and the layers above it."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_density_test
from vqvae_tf.densities import LayeredGaussian

SIZES, CONTEXT = (2, 3), 4


def make(sizes=SIZES, **kwargs):
    density = LayeredGaussian(sizes, CONTEXT, hidden_units=6, **kwargs)
    density.build()
    rng = np.random.default_rng(3)
    for v in density.trainable_variables:
        v.assign(0.5 * rng.normal(size=v.shape))
    return density


def data(batch=5, channels=5):
    rng = np.random.default_rng(0)
    value = 3 * rng.normal(size=[batch, channels]).astype(np.float32)
    context = rng.normal(size=[batch, CONTEXT]).astype(np.float32)
    return value, {"global": context}


def by_hand(density, value, context):
    """The means and scales, in float64, of appendix D's equation."""
    weights = [v.numpy().astype(np.float64) for v in density.weights]
    count, found, first = len(density.sizes), [], 0
    for i, size in enumerate(density.sizes):
        u = context.astype(np.float64)
        if i:
            above = density.sizes[i - 1]
            u = np.concatenate([u, value[:, first - above : first]], axis=1)
        kernel, bias = weights[2 * i : 2 * i + 2]
        squashed, gate = np.split(u @ kernel + bias, 2, axis=1)
        hidden = np.tanh(squashed) / (1 + np.exp(-gate))
        kernel, bias = weights[2 * (count + i) : 2 * (count + i) + 2]
        mean, log_scale = np.split(hidden @ kernel + bias, 2, axis=1)
        found.append((mean, np.exp(log_scale)))
        first += size
    return [np.concatenate(each, axis=1) for each in zip(*found)]


def test_harness():
    value, context = data()
    run_density_test(make, value, context, (5, 5))


@pytest.mark.parametrize("sizes", [(5,), SIZES, (1, 1, 3)])
def test_equation(sizes):
    density, (value, context) = make(sizes), data()
    mean, scale = by_hand(density, value, context["global"])
    found = density.given(value, context)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-5)
    expected = -np.log(scale) - 0.5 * np.log(2 * np.pi)
    expected = (expected - 0.5 * ((value - mean) / scale) ** 2).sum(axis=1)
    received = density.log_prob(value, context)
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_a_sample_and_its_distribution():
    density, (noise, context) = make(), data()
    value, found = density.transform(noise, context)
    again = density.given(value, context)
    np.testing.assert_allclose(found.mean, again.mean, rtol=1e-6)
    np.testing.assert_allclose(value, found.mean + found.scale * noise)
    mode = density.sample(context=context, temperature=0.0, seed=1)
    np.testing.assert_array_equal(mode, density.mode(context))
    np.testing.assert_array_equal(
        mode, density.transform(tf.zeros_like(noise), context)[0]
    )


def test_samples_have_the_density_they_are_said_to_have():
    """The mean of p / q over samples of q is 1, of any p."""
    q, p = make(), make()
    for v in p.trainable_variables:
        v.assign(0.8 * v)
    _, context = data(1)
    z = q.sample(20_000, context, seed=0)
    ratio = np.exp(p.log_prob(z, context) - q.log_prob(z, context))
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / 20_000**0.5 < 0.1


def test_divergence_of_equal_and_other_layers():
    density, (value, context) = make(), data()
    one = density.given(value, context)
    other = density.given(value[::-1].copy(), context)
    np.testing.assert_allclose(one.kl_divergence(one), 0, atol=1e-6)
    mean, scale, mean2, scale2 = map(np.array, (*one, *other))
    expected = np.log(scale2 / scale) - 0.5
    expected += (scale**2 + (mean - mean2) ** 2) / (2 * scale2**2)
    np.testing.assert_allclose(
        one.kl_divergence(other), expected.sum(axis=1), rtol=1e-4
    )


def test_huge_inputs_stay_finite():
    density, (value, context) = make(), data()
    for v in density.trainable_variables:
        v.assign(1e3 * v)
    found = density.given(value, context)
    assert np.all(np.isfinite(found.scale)) and np.all(found.scale.numpy() > 0)


@pytest.mark.parametrize(
    "call, expected",
    [
        (lambda d, x, c: LayeredGaussian((), 4), "at least one layer"),
        (lambda d, x, c: LayeredGaussian((3, 0), 4), "positive integer"),
        (lambda d, x, c: d.log_prob(x[:, :4], c), r"shape \[batch, 5\]"),
        (lambda d, x, c: d.log_prob(x, None), "'global'"),
        (lambda d, x, c: d.log_prob(x[:2], c), "batch of 1 or that"),
        (lambda d, x, c: d.sample(context=c, top_k=3), "no codes to choose"),
        (lambda d, x, c: d.log_prob(x, c, mask=x), "no positions"),
    ],
)
def test_refusals(call, expected):
    with pytest.raises(ValueError, match=expected):
        call(make(), *data())
