"""The factorised density: a network and a likelihood."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_density_test
from vqvae_tf.densities import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    FactorizedDensity,
    Gaussian,
)
from vqvae_tf.networks import Decoder

LIKELIHOODS = {
    "gaussian": Gaussian,
    "mixture": lambda: DiscretizedLogisticMixture(2),
    "categorical": Categorical,
    "bernoulli": Bernoulli,
}


def make(likelihood="gaussian", channels=3, upsamples=1, rank=2, **kwargs):
    likelihood = LIKELIHOODS[likelihood]()
    network = Decoder(
        likelihood.num_parameters(channels),
        hidden_channels=8,
        num_upsamples=upsamples,
        num_residual_layers=1,
        rank=rank,
    )
    return FactorizedDensity(network, likelihood, **kwargs)


def data(batch=3, grid=(2, 3), channels=3):
    rng = np.random.default_rng(0)
    local = rng.normal(size=[batch, *grid, 4]).astype(np.float32)
    sizes = [2 * size for size in grid]
    value = rng.integers(0, 256, [batch, *sizes, channels], dtype=np.uint8)
    return value, {"local": local}


@pytest.mark.parametrize("likelihood", ["gaussian", "mixture"])
def test_harness(likelihood):
    value, context = data()
    mask = np.random.default_rng(1).integers(0, 2, [3, 4, 6]).astype(bool)
    run_density_test(
        lambda **kwargs: make(likelihood, **kwargs),
        value,
        context,
        (3, 4, 6, 3),
        mask,
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_log_prob_is_the_sum_of_the_likelihoods(likelihood):
    density = make(likelihood)
    value, context = data()
    parameters = density.parameters(context)
    terms = density.likelihood.log_prob(parameters, value).numpy()
    assert terms.shape == value.shape
    log_prob = density.log_prob(value, context)
    np.testing.assert_allclose(log_prob, terms.sum((1, 2, 3)), rtol=1e-5)
    mask = np.random.default_rng(1).integers(0, 2, value.shape[:3])
    expected = (terms * mask[..., None]).sum((1, 2, 3))
    for dtype in (bool, np.float32):
        received = density.log_prob(value, context, mask=mask.astype(dtype))
        np.testing.assert_allclose(received, expected, rtol=1e-5)
    floats = density.log_prob(value.astype(np.float32), context)
    np.testing.assert_array_equal(floats, log_prob)


@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank):
    density = make(channels=2, rank=rank)
    value, context = data(2, (3,) * rank, 2)
    assert density.log_prob(value, context).shape == (2,)
    assert density.sample(context=context, seed=0).shape == value.shape


def test_samples_and_mode():
    density = make()
    value, context = data()
    parameters = density.parameters(context)
    mode = density.mode(context).numpy()
    assert mode.dtype == np.uint8
    np.testing.assert_array_equal(mode, density.likelihood.mode(parameters))
    cold = density.sample(context=context, temperature=0.0, seed=1)
    np.testing.assert_array_equal(cold, mode)
    draws = density.sample(context=context, seed=1).numpy()
    # The noise has the likelihood's scale, 25; the seed decides all.
    spread = np.std(draws.astype(float) - mode)
    assert 15 < spread < 30
    mask = np.random.default_rng(1).integers(0, 2, value.shape[:3])
    completed = density.sample(
        context=context, seed=1, given=value, given_mask=mask
    )
    expected = np.where(mask[..., None], value, draws)
    np.testing.assert_array_equal(completed, expected)


def test_many_samples_of_one_context():
    density = make()
    _, context = data(1)
    draws = density.sample(5, context, seed=1)
    assert draws.shape == (5, 4, 6, 3)
    assert np.any(draws[0] != draws[1])
    cold = density.sample(5, context, temperature=0.0)
    mode = density.mode(context)
    np.testing.assert_array_equal(cold, np.repeat(mode, 5, axis=0))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_only_the_network_is_narrow(policy):
    keras.config.set_dtype_policy(policy)
    density = make()
    value, context = data()
    assert density.parameters(context).dtype == tf.float32
    assert density.likelihood.log_scale.dtype == "float32"
    assert density.network.conv_in.compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda d, x, c: d.log_prob(x), 'needs a context {"local": latents}'),
        (lambda d, x, c: d.sample(2), "Received: context=None"),
        (
            lambda d, x, c: d.mode({"global": c["local"]}),
            r"Received: context=\['global'\]",
        ),
        (
            lambda d, x, c: d.log_prob(x[:, :3], c),
            r"stands for values of shape \(3, 4, 6, 3\). Received: values of "
            r"shape \(3, 3, 6, 3\)",
        ),
        (
            lambda d, x, c: d.log_prob(x[..., :1], c),
            r"Received: values of shape \(3, 4, 6, 1\). Set output_channels=1",
        ),
        (
            lambda d, x, c: d.log_prob(x[0], c),
            r"Received: values of shape \(4, 6, 3\)",
        ),
        (
            lambda d, x, c: d.sample(context=c, top_k=3),
            "choose among codes.* Received: top_k=3, top_p=None",
        ),
        (
            lambda d, x, c: d.sample(context=c, temperature=-1.0),
            "Received: temperature=-1.0",
        ),
        (lambda d, x, c: d.sample(7, c), "7"),
        (lambda d, x, c: d.sample(given=x, context=c), "given_mask=None"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(make(), *data())
    assert "Received: " in str(error.value)
