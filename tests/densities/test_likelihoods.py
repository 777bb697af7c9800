"""Likelihoods of pixels: masses, samples, point estimates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.densities import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
)
from vqvae_tf.runtime import random
from vqvae_tf.runtime.adam import Adam

PIXELS = {
    "categorical": Categorical,
    "gaussian learned": Gaussian,
    "gaussian predicted": lambda: Gaussian(scale="predicted"),
    "gaussian fixed": lambda: Gaussian(scale=12.0),
    "logistic learned": lambda: DiscretizedLogistic(scale="learned"),
    "logistic predicted": DiscretizedLogistic,
    "logistic fixed": lambda: DiscretizedLogistic(scale=12.0),
    "mixture of 1": lambda: DiscretizedLogisticMixture(1),
    "mixture of 5": DiscretizedLogisticMixture,
}
every = pytest.mark.parametrize("name", [*PIXELS, "bernoulli"])


def make(name):
    likelihood = Bernoulli() if name == "bernoulli" else PIXELS[name]()
    likelihood.build(None)
    return likelihood


def parameters(likelihood, count, channels=1, spread=0.7):
    """Outputs of a network for `count` pixels, means in and out of range."""
    shape = [count, likelihood.num_parameters(channels)]
    outputs = np.random.default_rng(0).normal(size=shape) * spread
    return tf.constant(outputs, tf.float32)


def levels(name):
    return [0, 255] if name == "bernoulli" else range(256)


def all_masses(likelihood, name, outputs):
    """Log masses of every value: [levels, pixels, channels]."""
    channels = likelihood.num_channels(outputs.shape[-1])
    values = np.array(levels(name), np.uint8)[:, None, None]
    shape = [len(values), len(outputs), channels]
    outputs = tf.repeat(outputs[tf.newaxis], len(values), axis=0)
    return likelihood.log_prob(outputs, np.broadcast_to(values, shape)).numpy()


@every
def test_masses_sum_to_1(name):
    likelihood = make(name)
    for spread in (0.1, 1.0, 5.0):
        outputs = parameters(likelihood, 20, 3, spread)
        masses = all_masses(likelihood, name, outputs)
        assert masses.dtype == np.float32
        assert masses.shape[1:] == (20, 3)
        total = np.exp(masses.astype(np.float64)).sum(0)
        np.testing.assert_allclose(total, 1.0, rtol=0, atol=2e-5)


def logistic_masses(location, scale):
    """[256, ...] masses of a logistic in float64, by its definition."""
    x = np.arange(256.0).reshape(-1, *[1] * np.ndim(location))

    def cumulative(edge):
        return 1 / (1 + np.exp(-(edge - location) / scale))

    below = np.where(x == 0, 0.0, cumulative(x - 0.5))
    return np.where(x == 255, 1.0, cumulative(x + 0.5)) - below


def test_logistic_is_its_definition():
    likelihood = make("logistic predicted")
    outputs = parameters(likelihood, 30, 2)
    location = (outputs.numpy()[:, ::2].astype(np.float64) + 1) * 127.5
    scale = 25.0 * np.exp(outputs.numpy()[:, 1::2].astype(np.float64))
    expected = logistic_masses(location, scale)
    received = np.exp(all_masses(likelihood, "logistic", outputs))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scale", [0.1, 2.0, 50.0, 1e5])
def test_logistic_is_tensorflow_probabilitys_however_far_out(scale):
    from tensorflow_probability import distributions as tfd

    means = np.array([-3000.0, -20.0, 0.0, 100.3, 255.0, 2e4])[:, None]
    values = np.arange(256.0)
    likelihood = DiscretizedLogistic(scale=scale)
    outputs = tf.repeat(tf.constant(means / 127.5 - 1, tf.float32), 256, 1)
    # The reference at the very means, rounded to float32.
    location, _ = likelihood.location_and_scale(outputs)
    logistic = tfd.Logistic(
        tf.cast(location, tf.float64) - 0.5, tf.constant(scale, tf.float64)
    )
    quantized = tfd.QuantizedDistribution(logistic, 0.0, 255.0)
    np.testing.assert_allclose(
        likelihood.log_prob(outputs, np.tile(values, [6, 1])),
        quantized.log_prob(values),
        rtol=1e-4,
        atol=1e-5,
    )


def test_mixture_is_the_weighted_sum_of_logistics():
    likelihood = DiscretizedLogisticMixture(3, initial_scale=10.0)
    outputs = parameters(likelihood, 30)
    logits, mean, scale = np.split(outputs.numpy().astype(np.float64), 3, -1)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    mean = (mean + [-0.6, 0.0, 0.6] + 1) * 127.5
    masses = logistic_masses(mean, 10.0 * np.exp(scale))
    expected = (weights * masses).sum(-1)[..., None]
    received = np.exp(all_masses(likelihood, "mixture", outputs))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-6)


def test_categorical_is_the_softmax():
    likelihood = make("categorical")
    outputs = parameters(likelihood, 10, 2)
    logits = outputs.numpy().astype(np.float64).reshape(10, 2, 256)
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    received = all_masses(likelihood, "categorical", outputs)
    np.testing.assert_allclose(received, expected.transpose(2, 0, 1), rtol=1e-5)


def test_bernoulli_is_the_sigmoid():
    likelihood = make("bernoulli")
    logits = np.array([[-3.0, 0.0, 2.0]], np.float32)
    white = 1 / (1 + np.exp(-logits.astype(np.float64)))
    for value, expected in [(0, 1 - white), (127, 1 - white), (128, white)]:
        received = likelihood.log_prob(logits, np.full([1, 3], value))
        np.testing.assert_allclose(received, np.log(expected), rtol=1e-5)
    np.testing.assert_array_equal(likelihood.mode(logits), [[0, 0, 255]])


@every
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_gradients_are_finite_far_out(name, size):
    """Also for outputs that no sane network has."""
    likelihood = make(name)
    signs = parameters(likelihood, 64, 1, spread=1.0)
    outputs = tf.sign(signs) * (size if name != "mixture of 5" else size / 10)
    if "predicted" in name or "mixture" in name:
        # Scales of exp(-15) to exp(15) of the initial one.
        each = likelihood.num_parameters(1)
        log_scale = np.arange(each) >= each - each // (2 + ("mix" in name))
        outputs = tf.where(log_scale, 15 * tf.sign(signs), outputs)
    value = np.linspace(0, 255, 64).round()[:, None]
    if name == "bernoulli":
        value = 255 * (value > 127)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        result = likelihood.log_prob(outputs, value)
    assert np.all(np.isfinite(result))
    gradient = tape.gradient(result, outputs)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient)


# Samples ---------------------------------------------------------------------

DRAWS = 20_000


def chi_square(draws, p):
    """Pearson's statistic in standard deviations above its mean.

    Values of which fewer than 10 are expected are put together.
    """
    observed = np.bincount(draws, minlength=len(p)).astype(np.float64)
    expected = p * len(draws)
    rare = expected < 10
    if np.any(rare):
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert np.all(observed[expected == 0] == 0)
    observed, expected = observed[expected > 0], expected[expected > 0]
    freedom = len(expected) - 1
    statistic = ((observed - expected) ** 2 / expected).sum()
    return (statistic - freedom) / (2 * freedom) ** 0.5


@every
def test_samples_follow_log_prob(name):
    """Chi-square below 8 standard deviations, for each of 4 pixels.

    A chi-square's upper tail is wider than a normal's. Above 8 it is less
    than once in 100,000 for 1 degree of freedom and more rarely for more,
    were the seed not fixed.
    """
    likelihood = make(name)
    outputs = parameters(likelihood, 4)
    p = np.exp(all_masses(likelihood, name, outputs).astype(np.float64))
    repeated = tf.repeat(outputs[tf.newaxis], DRAWS, axis=0)
    draws = likelihood.sample(repeated, random.make_seed(3))
    assert draws.dtype == tf.uint8 and draws.shape == (DRAWS, 4, 1)
    for pixel in range(4):
        values = draws.numpy()[:, pixel, 0]
        if name == "bernoulli":
            assert set(np.unique(values)) <= {0, 255}
            values = values // 255
        assert chi_square(values, p[:, pixel, 0]) < 8


@every
def test_temperature(name):
    likelihood = make(name)
    outputs = parameters(likelihood, 3)
    repeated = tf.repeat(outputs[tf.newaxis], 2000, axis=0)
    seed = random.make_seed(0)
    mode = likelihood.mode(outputs)
    assert mode.dtype == tf.uint8 and mode.shape == (3, 1)
    for zero in (0, 0.0, tf.constant(0.0)):
        cold = likelihood.sample(repeated, seed, zero)
        np.testing.assert_array_equal(cold, np.broadcast_to(mode, cold.shape))
    near = likelihood.sample(repeated, seed, 0.3).numpy().astype(float)
    far = likelihood.sample(repeated, seed, 1.0).numpy().astype(float)
    if name in ("categorical", "bernoulli"):
        share = [np.mean(draw == mode.numpy()) for draw in (near, far)]
        assert share[0] > 1.1 * share[1]
    else:
        assert np.all(near.std(0) < 0.9 * far.std(0))


@every
def test_draws_are_seeded_and_alike_in_graph_and_xla(name):
    likelihood = make(name)
    outputs = parameters(likelihood, 50, 3)
    expected = likelihood.sample(outputs, random.make_seed(7))
    again = likelihood.sample(outputs, random.make_seed(7))
    np.testing.assert_array_equal(again, expected)
    other = likelihood.sample(outputs, random.make_seed(8))
    assert np.any(other != expected)
    for jit in (False, True):
        graph = tf.function(likelihood.sample, jit_compile=jit, autograph=False)
        draw = graph(outputs, random.make_seed(7)).numpy().astype(int)
        # A value in the middle of two levels may round the other way.
        difference = abs(draw - expected.numpy())
        assert difference.max() <= 1
        assert difference.mean() < 0.02


def test_modes():
    outputs = tf.constant([[-1.0, 0.0, 1.0, -2.0, 5.0]])
    for likelihood in (Gaussian(), DiscretizedLogistic(scale=3.0)):
        likelihood.build(None)
        mode = likelihood.mode(outputs)
        np.testing.assert_array_equal(mode, [[0, 128, 255, 0, 255]])
    likelihood = Categorical()
    logits = np.random.default_rng(0).normal(size=[2, 512])
    np.testing.assert_array_equal(
        likelihood.mode(logits), logits.reshape(2, 2, 256).argmax(-1)
    )
    # Two components at levels 51 and 204, the second three times as likely.
    mixture = DiscretizedLogisticMixture(2)
    outputs = tf.constant([[0.0, np.log(3.0), 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(mixture.mode(outputs), [[166]])


# Scales ----------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Gaussian, DiscretizedLogistic])
def test_scales(cls):
    outputs = tf.constant([[0.0, np.log(2.0)]])
    learned = cls(scale="learned", initial_scale=8.0)
    learned.build(None)
    location, scale = learned.location_and_scale(outputs[:, :1])
    np.testing.assert_allclose([*location[0], scale], [127.5, 8.0], rtol=1e-6)
    learned.log_scale.assign(-20.0)  # never below min_scale
    assert learned.location_and_scale(outputs[:, :1])[1] == np.float32(0.1)
    predicted = cls(scale="predicted", initial_scale=8.0)
    predicted.build(None)
    assert predicted.variables == []
    np.testing.assert_allclose(
        predicted.location_and_scale(outputs)[1], [[16.0]], rtol=1e-6
    )
    assert cls(scale=5).location_and_scale(outputs)[1] == 5.0


def test_a_learned_scale_settles_at_the_root_mean_square():
    rng = np.random.default_rng(0)
    value = (127.5 + 20 * rng.normal(size=[5000, 1])).round()
    likelihood = Gaussian()
    likelihood.build(None)
    optimizer = Adam(0.05)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            result = likelihood.log_prob(tf.zeros([5000, 1]), value)
            loss = -tf.reduce_mean(result)
        variables = likelihood.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(100):
        step()
    scale = np.exp(likelihood.log_scale.numpy())
    np.testing.assert_allclose(
        scale, np.sqrt(np.mean((value - 127.5) ** 2)), rtol=0.01
    )


# Parameters and errors -------------------------------------------------------


@pytest.mark.parametrize(
    "name, each",
    [
        ("categorical", 256),
        ("gaussian learned", 1),
        ("gaussian predicted", 2),
        ("gaussian fixed", 1),
        ("logistic learned", 1),
        ("logistic predicted", 2),
        ("mixture of 1", 3),
        ("mixture of 5", 15),
        ("bernoulli", 1),
    ],
)
def test_num_parameters(name, each):
    likelihood = make(name)
    for channels in (1, 3):
        assert likelihood.num_parameters(channels) == each * channels
        assert likelihood.num_channels(each * channels) == channels
    if each > 1:
        with pytest.raises(ValueError, match=f"{each} network outputs for"):
            likelihood.num_channels(each + 1)
        with pytest.raises(ValueError, match=f"Received: {each + 1} outputs"):
            likelihood.mode(tf.zeros([2, each + 1]))


@pytest.mark.parametrize("scale", ["fixed", 0, -1.0])
@pytest.mark.parametrize("cls", [Gaussian, DiscretizedLogistic])
def test_bad_scales(cls, scale):
    with pytest.raises(ValueError, match=f"Received: scale={scale!r}"):
        cls(scale=scale)


@every
def test_config_round_trip_and_float32_under_every_policy(name):
    keras.config.set_dtype_policy("mixed_float16")
    likelihood = make(name)
    config = keras.saving.serialize_keras_object(likelihood)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == likelihood.get_config()
    outputs = parameters(likelihood, 5)
    value = np.zeros([5, 1], np.uint8)
    expected = likelihood.log_prob(outputs, value)
    assert expected.dtype == tf.float32
    np.testing.assert_array_equal(copy.log_prob(outputs, value), expected)
    assert all(v.dtype == "float32" for v in likelihood.variables)
