"""Adam as Keras', with fewer operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import (
    assert_config_round_trip,
    assert_same_variables,
    saved_and_loaded,
    two_replicas,
)
from vqvae_tf.runtime.adam import Adam

X = np.random.default_rng(0).integers(0, 9, [16, 2])
Y = np.random.default_rng(1).normal(size=[16, 2, 3]).astype(np.float32)


def model(cls, dtype=None, compiling=None, **options):
    """An embedding, whose gradient is sparse, and a dense layer."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((2,)),
        keras.layers.Embedding(9, 4, dtype=dtype, name="embedding"),
        keras.layers.Dense(3, dtype=dtype, name="dense"),
    ]
    made = keras.Sequential(layers, name="model")
    made.compile(cls(0.01, **options), "mse", **(compiling or {}))
    return made


def fit(model):
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model


def assert_like_keras(expected, received, rtol=1e-4):
    pairs = [
        *zip(expected.variables, received.variables, strict=True),
        *zip(
            expected.optimizer.variables,
            received.optimizer.variables,
            strict=True,
        ),
    ]
    for old, new in pairs:
        assert (new.name, new.dtype) == (old.name, old.dtype)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(keras.ops.cast(new, "float32")),
            keras.ops.convert_to_numpy(keras.ops.cast(old, "float32")),
            rtol=rtol,
            atol=1e-6,
            err_msg=old.path,
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"amsgrad": True},
        {"gradient_accumulation_steps": 2, "global_clipnorm": 0.1},
        {"weight_decay": 0.1, "use_ema": True, "ema_overwrite_frequency": 3},
        {"compiling": {"jit_compile": True}},
        {"compiling": {"run_eagerly": True}},
        {"dtype": "mixed_float16"},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_steps_are_those_of_keras(options):
    # A gradient in half precision amplifies rounding.
    assert_like_keras(
        fit(model(keras.optimizers.Adam, **options)),
        fit(model(Adam, **options)),
        rtol=2e-3 if "float16" in options.get("dtype", "") else 1e-4,
    )


def test_two_replicas_are_one():
    with two_replicas().scope():
        two = fit(model(Adam))
    assert_like_keras(fit(model(keras.optimizers.Adam)), two)
    for variable in (*two.variables, *two.optimizer.variables):
        copies = two_replicas().experimental_local_results(variable.value)
        np.testing.assert_array_equal(*[copy.numpy() for copy in copies])


@pytest.mark.parametrize("steps", [1, 3])
def test_by_hand(steps):
    """Algorithm 1 of the paper, in float64."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=[5])
    weight = keras.Variable(start.astype(np.float32))
    optimizer = Adam(0.1, beta_1=0.8, beta_2=0.9)
    m, v, expected = 0.0, 0.0, start
    for t in range(1, steps + 1):
        g = rng.normal(size=[5])
        optimizer.apply([tf.constant(g, tf.float32)], [weight])
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        mean, square = m / (1 - 0.8**t), v / (1 - 0.9**t)
        expected = expected - 0.1 * mean / (np.sqrt(square) + 1e-7)
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


def test_few_operations():
    """What makes the first step of a training short."""

    def operations(cls):
        variables = [keras.Variable(tf.ones([3])) for _ in range(8)]
        optimizer = cls(0.1)
        optimizer.build(variables)
        step = tf.function(
            lambda: optimizer.apply([tf.ones([3])] * 8, variables)
        )
        return len(step.get_concrete_function().graph.get_operations())

    assert operations(Adam) < 0.4 * operations(keras.optimizers.Adam)


def test_saving():
    assert_config_round_trip(Adam(0.01, beta_2=0.99))
    saved = fit(model(Adam))
    loaded = saved_and_loaded(saved)
    assert type(loaded.optimizer) is Adam
    assert_same_variables(loaded.optimizer.variables, saved.optimizer.variables)
    assert_same_variables(fit(loaded).variables, fit(saved).variables)
