"""Corruptions: what they set, how often, and on whom it does not depend."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import (
    in_all_modes,
    run_layer_test,
    two_replicas,
    unknown_sizes,
)
from vqvae_tf.layers import GaussianCorruption, MaskingNoise, SaltAndPepperNoise

MAKERS = {
    "masking": functools.partial(MaskingNoise, 0.3),
    "masking, grey": functools.partial(MaskingNoise, 0.3, value=0.0),
    "Gaussian": functools.partial(GaussianCorruption, 0.4),
    "salt and pepper": functools.partial(SaltAndPepperNoise, 0.3),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def pictures(shape=(4, 5, 6, 3)):
    x = np.random.default_rng(0).uniform(-0.9, 0.9, size=shape)
    return tf.constant(x, tf.float32)


def share_is(found, expected, count):
    """Within 5 standard deviations: false once in 1.7 million seeds."""
    return abs(found - expected) < 5 * np.sqrt(
        expected * (1 - expected) / count
    )


@every
def test_as_any_layer(make):
    run_layer_test(make, pictures(), pictures().shape)


@every
def test_only_in_training_and_anew_at_each_call(make):
    layer, x = make(seed=1), pictures()
    np.testing.assert_array_equal(layer(x), x)
    first, second = layer(x, training=True), layer(x, training=True)
    assert np.mean(first.numpy() != x.numpy()) > 0.2
    assert np.mean(first.numpy() != second.numpy()) > 0.2
    np.testing.assert_array_equal(make(seed=1)(x, training=True), first)


def test_masking_sets_a_share_to_black_and_nothing_else():
    x = pictures((50, 20, 20, 3))
    y = MaskingNoise(0.3).corrupt(x, seed=3).numpy()
    masked = y == -1
    np.testing.assert_array_equal(y[~masked], x.numpy()[~masked])
    assert share_is(masked.mean(), 0.3, masked.size)
    # The channels of a pixel are masked apart.
    assert share_is(masked.all(-1).mean(), 0.3**3, masked.size // 3)
    grey = MaskingNoise(0.3, value=0.5).corrupt(x, seed=3).numpy()
    np.testing.assert_array_equal(grey == 0.5, masked)


def test_salt_and_pepper_are_equally_many():
    x = pictures((50, 20, 20, 3))
    y = SaltAndPepperNoise(0.4).corrupt(x, seed=3).numpy()
    kept = y == x.numpy()
    assert set(np.unique(y[~kept])) == {-1.0, 1.0}
    for extreme in (-1, 1):
        assert share_is(np.mean(y == extreme), 0.2, y.size)


def test_gaussian_noise_has_its_moments():
    x = pictures((50, 20, 20, 3))
    noise = GaussianCorruption(0.4).corrupt(x, seed=3) - x
    noise, n = np.ravel(noise) / 0.4, np.size(x)
    # 5 standard deviations of the mean of each power of a standard normal.
    assert abs(noise.mean()) < 5 / n**0.5
    assert abs((noise**2).mean() - 1) < 5 * (2 / n) ** 0.5
    assert abs((noise**4).mean() - 3) < 5 * (96 / n) ** 0.5


@pytest.mark.parametrize(
    "layer",
    [MaskingNoise(0.0), GaussianCorruption(0.0), SaltAndPepperNoise(0.0)],
)
def test_nothing_at_all(layer):
    x = pictures()
    np.testing.assert_array_equal(layer(x, training=True), x)


def test_everything():
    x = pictures()
    assert np.all(MaskingNoise(1.0).corrupt(x, 0) == -1)
    assert np.all(np.abs(SaltAndPepperNoise(1.0).corrupt(x, 0)) == 1)


# Noise on request -------------------------------------------------------------


@every
def test_corrupt_follows_from_the_seed_alone(make):
    x = pictures()
    layer, other = make(seed=1), make(seed=2)
    first = layer.corrupt(x, seed=5)
    layer(x, training=True)
    np.testing.assert_array_equal(layer.corrupt(x, seed=5), first)
    np.testing.assert_array_equal(other.corrupt(x, seed=[5, 0]), first)
    assert np.any(layer.corrupt(x, seed=6) != first)
    # ... and leaves that of training alone.
    again = make(seed=1)
    again(x, training=True)
    np.testing.assert_array_equal(
        again(x, training=True), layer(x, training=True)
    )


@every
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
@settings(max_examples=8, deadline=None)
def test_corrupt_does_not_depend_on_the_batches(make, sizes, shape):
    x, layer = pictures([sum(sizes), *shape]), make()
    whole = layer.corrupt(x, seed=5)
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [
        layer.corrupt(part, seed=5, first_row=start)
        for part, start in zip(tf.split(x, sizes), starts)
    ]
    # The quantile of the normal distribution rounds by where a row stands.
    np.testing.assert_allclose(np.concatenate(parts), whole, 1e-6, 1e-6)


@every
def test_the_same_in_all_modes(make):
    x, layer = pictures(), make()
    expected = layer.corrupt(x, seed=4)
    for mode, result in in_all_modes(
        lambda x: layer.corrupt(x, seed=4), [unknown_sizes(x)], x
    ):
        np.testing.assert_allclose(result, expected, 1e-5, 1e-6, err_msg=mode)


@every
def test_replicas_corrupt_as_one_would(make):
    x = pictures()
    one = make(seed=7)
    expected = [one(x, training=True) for _ in range(2)]
    strategy = two_replicas()
    with strategy.scope():
        layer = make(seed=7)

    @tf.function
    def run():
        def replica():
            context = tf.distribute.get_replica_context()
            number = context.replica_id_in_sync_group
            return layer(x[2 * number :][:2], training=True)

        return strategy.run(replica)

    for whole in expected:
        rows = strategy.experimental_local_results(run())
        np.testing.assert_allclose(tf.concat(rows, axis=0), whole, 1e-6, 1e-7)


# Dtypes, state, arguments -----------------------------------------------------


@every
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_the_input_is_not_rounded(make, policy):
    x = pictures()
    expected = make(seed=1)(x, training=True)
    received = make(seed=1, dtype=policy)(x, training=True)
    assert received.dtype == tf.float32
    np.testing.assert_array_equal(received, expected)


@every
def test_state_is_saved(make, tmp_path):
    model = keras.Sequential([keras.Input((5, 6, 3)), make(seed=7)])
    model(pictures(), training=True)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        again(pictures(), training=True), model(pictures(), training=True)
    )


@pytest.mark.parametrize("make", [MaskingNoise, SaltAndPepperNoise])
@pytest.mark.parametrize("rate", [-0.1, 1.5, "0.5", float("nan")])
def test_bad_rate(make, rate):
    with pytest.raises(ValueError, match=r"rate must be .*\[0, 1\]. Received:"):
        make(rate)


@pytest.mark.parametrize("stddev", [-0.1, "0.5", float("inf"), float("nan")])
def test_bad_stddev(stddev):
    with pytest.raises(ValueError, match="at least 0. Received: stddev="):
        GaussianCorruption(stddev)
