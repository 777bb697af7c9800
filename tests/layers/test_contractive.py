"""The contractive penalty against the Jacobian formed in other ways."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import (
    assert_all_get_gradients,
    assert_config_round_trip,
    assert_weights_round_trip,
    in_all_modes,
    run_two_replica_test,
)
from vqvae_tf.layers import Contractive
from vqvae_tf.runtime.step import StepModel

METHODS = {
    "exact": functools.partial(Contractive, 0.5),
    "hutchinson": functools.partial(
        Contractive, 0.5, "hutchinson", num_probes=2, seed=3
    ),
    "relative": functools.partial(Contractive, 0.5, relative=True),
    # As cae_mnist has it.
    "relative estimate": functools.partial(
        Contractive, 0.5, "hutchinson", seed=3, relative=True
    ),
}
each = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)


def dense(units=5, dtype="float32", **options):
    return keras.layers.Dense(
        units, "sigmoid", dtype=dtype, bias_initializer="normal", **options
    )


def convolutional(dtype="float32"):
    convolve = functools.partial(
        keras.layers.Conv2D,
        activation="tanh",
        bias_initializer="normal",
        dtype=dtype,
    )
    layers = [convolve(4, 3, strides=2, padding="same"), convolve(3, 2)]
    return keras.Sequential([keras.Input((6, 5, 2), dtype=dtype), *layers])


def rows(*shape, dtype=np.float32):
    return tf.constant(np.random.default_rng(0).normal(size=shape), dtype)


def full_jacobian(encode, x):
    """`[B, U, N]` of one example after the other, by a loop over units."""
    jacobians = []
    for i in range(len(x)):
        one = x[i : i + 1]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(one)
            units = tf.reshape(encode(one), [-1])
        jacobian = tape.jacobian(units, one, experimental_use_pfor=False)
        jacobians.append(tf.reshape(jacobian, [len(units), -1]))
    return np.stack(jacobians)


# The exact norm ---------------------------------------------------------------


def test_dense_sigmoid_encoder_in_closed_form():
    """sum_i (h_i (1 - h_i))^2 sum_j W_ij^2, and its gradient."""
    encode, x = dense(), rows(4, 7)
    encode(x)
    with tf.GradientTape(persistent=True) as tape:
        received = Contractive(0.5)(encode, x)
        slope = encode(x) * (1 - encode(x))
        squares = tf.reduce_sum(encode.kernel**2, axis=0)
        expected = 0.5 * tf.linalg.matvec(slope**2, squares)
    assert received.shape == (4,) and received.dtype == tf.float32
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    for variable in encode.trainable_variables:
        np.testing.assert_allclose(
            tape.gradient(received, variable),
            tape.gradient(expected, variable),
            rtol=1e-4,
            atol=1e-6,
        )


def test_convolutional_encoder():
    encode, x = convolutional(), rows(3, 6, 5, 2)
    expected = np.sum(full_jacobian(encode, x) ** 2, axis=(1, 2))
    np.testing.assert_allclose(Contractive(1.0)(encode, x), expected, 1e-5)
    with tf.GradientTape() as tape:
        penalty = Contractive(1.0)(encode, x)
    assert_all_get_gradients(tape, penalty, encode.trainable_variables)


@pytest.mark.parametrize("make", [dense, convolutional])
def test_finite_differences(make):
    """Central differences of step 1e-5 in float64 err by about 1e-10."""
    encode, x = make(dtype="float64"), rows(2, 6, 5, 2, dtype=np.float64)
    if make is dense:
        x = tf.reshape(x, [2, -1])
    squares, step = 0.0, 1e-5
    for j in range(int(tf.size(x[0]))):
        change = np.zeros(x.shape[1:])
        change.flat[j] = step
        difference = (encode(x + change) - encode(x - change)) / (2 * step)
        squares += np.sum(np.reshape(difference, [2, -1]) ** 2, axis=1)
    np.testing.assert_allclose(Contractive(1.0)(encode, x), squares, 1e-6)


@given(
    batch=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    units=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
@settings(max_examples=10, deadline=None)
def test_shapes(batch, sizes, units):
    """Of a linear map all entries of the Jacobian are known, whatever x."""
    matrix = rows(int(np.prod(sizes)), int(np.prod(units)))

    def encode(x):
        flat = tf.reshape(x, [-1, matrix.shape[0]])
        return tf.reshape(flat @ matrix, [-1, *units])

    expected = np.full([batch], np.sum(matrix**2))
    x = rows(batch, *sizes)
    np.testing.assert_allclose(Contractive(1.0)(encode, x), expected, 1e-5)
    assert Contractive(1.0, "hutchinson")(encode, x).shape == (batch,)


def test_relative_to_the_spread_of_the_units():
    encode, x = dense(), rows(7, 4)
    units = encode(x).numpy()
    spread = np.trace(np.cov(units.T, ddof=0))
    plain = Contractive(2.0)(encode, x)
    relative = Contractive(2.0, relative=True)
    np.testing.assert_allclose(relative(encode, x), plain / spread, rtol=1e-5)
    # Where the units are scaled and moved it stays, and so does its gradient.
    again = relative(lambda x: 100 * encode(x) + 3, x)
    np.testing.assert_allclose(again, plain / spread, rtol=1e-4)
    with tf.GradientTape() as tape:
        scale = tf.Variable(3.0)
        cost = relative(lambda x: scale * encode(x), x)
    assert abs(tape.gradient(cost, scale)) < 1e-4 * tf.reduce_sum(cost)
    assert relative(encode, x[:1]).numpy() == 0


def test_rows_of_weight_0_are_in_no_variance():
    encode, x = dense(), rows(7, 4)
    relative = Contractive(2.0, relative=True)
    weight = tf.constant([1.0] * 5 + [0.0] * 2)
    np.testing.assert_allclose(
        relative(encode, x, weight=weight)[:5],
        relative(encode, x[:5]),
        rtol=1e-5,
    )
    assert np.any(relative(encode, x)[:5] != relative(encode, x[:5]))


# Hutchinson's estimate --------------------------------------------------------


def test_estimate_has_the_mean_and_variance_that_it_should():
    """20,000 probes; 5 standard errors: false once in 1.7 million seeds.

    The variance of one probe is 2 sum_(i != k) (J J^T)_ik^2; its estimate
    has a relative standard error of about 1 %.
    """
    encode, count = convolutional(), 20_000
    x = rows(1, 6, 5, 2)
    jacobian = full_jacobian(encode, x)[0]
    products = jacobian @ jacobian.T
    np.fill_diagonal(products, 0)
    variance = 2 * np.sum(products**2)
    probe = Contractive(1.0, "hutchinson", seed=1)
    received = probe(encode, tf.repeat(x, count, axis=0), training=True)
    error = np.mean(received) - np.sum(jacobian**2)
    assert abs(error) < 5 * np.sqrt(variance / count)
    np.testing.assert_allclose(np.var(received), variance, rtol=0.1)
    assert variance > 0.01 * np.sum(jacobian**2) ** 2


def test_several_probes_are_averaged():
    """Four probes have a quarter of the variance of one, within 10 %."""
    encode, x = convolutional(), tf.repeat(rows(1, 6, 5, 2), 5000, axis=0)
    one, four = (
        np.var(Contractive(1.0, "hutchinson", num_probes=n, seed=1)(encode, x))
        for n in (1, 4)
    )
    np.testing.assert_allclose(four, one / 4, rtol=0.1)


def test_estimate_is_exact_where_no_units_share_inputs():
    """J J^T is diagonal: signs cancel in every probe, in the gradient too."""
    scale, x = tf.Variable(rows(6)), rows(3, 6)
    encode = lambda x: tf.sin(x * scale)  # noqa: E731
    with tf.GradientTape(persistent=True) as tape:
        exact = Contractive(2.0)(encode, x)
        estimate = Contractive(2.0, "hutchinson")(encode, x, training=True)
    np.testing.assert_allclose(estimate, exact, rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(estimate, scale), tape.gradient(exact, scale), 1e-5, 1e-6
    )


def test_probes_are_drawn_anew_in_training_alone():
    encode, x = convolutional(), rows(3, 6, 5, 2)
    layer = Contractive(1.0, "hutchinson", seed=4)
    first, second = (layer(encode, x, training=True) for _ in range(2))
    assert np.all(first.numpy() != second.numpy())
    np.testing.assert_array_equal(layer(encode, x), layer(encode, x))
    again = Contractive(1.0, "hutchinson", seed=4)
    np.testing.assert_array_equal(again(encode, x, training=True), first)


# As a layer -------------------------------------------------------------------


@each
@pytest.mark.parametrize("known", [1, 3])
def test_modes(make, known):
    """Value and gradient, with sizes known and unknown, and under XLA."""
    encode, layer, x = convolutional(), make(), rows(3, 6, 5, 2)

    def step(x):
        with tf.GradientTape() as tape:
            penalty = layer(encode, x)
        gradients = tape.gradient(penalty, encode.trainable_variables)
        return tf.concat(
            [tf.reshape(v, [-1]) for v in [penalty, *gradients]], 0
        )

    shape = [None] * (4 - known) + list(x.shape[4 - known :])
    signature = [tf.TensorSpec(shape, x.dtype)]
    expected = step(x)
    for mode, result in in_all_modes(step, signature, x):
        np.testing.assert_allclose(result, expected, 1e-4, 1e-5, err_msg=mode)


@each
def test_an_encoder_in_bfloat16(make):
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer, encode, x = make(), dense(dtype="mixed_bfloat16"), rows(4, 7)
    with tf.GradientTape() as tape:
        penalty = layer(encode, x)
    assert penalty.dtype == tf.float32
    assert_all_get_gradients(tape, penalty, encode.trainable_variables)
    exact = dense(dtype="float32")
    exact(x)
    exact.set_weights(encode.get_weights())
    np.testing.assert_allclose(penalty, layer(exact, x), rtol=0.05)


class Contracted(StepModel):
    """An autoencoder of vectors with the penalty of the given layer."""

    loss_names = ("loss", "contraction")

    def __init__(self, contractive, **kwargs):
        super().__init__(**kwargs)
        self.contractive = contractive
        self.encoder = dense(4)
        self.decoder = keras.layers.Dense(7)

    def build(self, input_shape=None):
        self.encoder.build((None, 7))
        self.decoder.build((None, 4))
        self.built = True

    def compute_losses(self, x, context=None, weight=None, training=False):
        x = tf.cast(x, tf.float32)
        cost = self.contractive(self.encoder, x, training)
        error = tf.reduce_sum((self.decoder(self.encoder(x)) - x) ** 2, -1)
        return error + cost, 0.0, {"contraction": cost}


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("exact", marks=pytest.mark.slow),
        pytest.param("hutchinson", marks=pytest.mark.slow),
        "relative",
        "relative estimate",
    ],
)
def test_two_replicas_train_as_one(method):
    def make_model():
        keras.utils.set_random_seed(1)
        model = Contracted(METHODS[method]())
        model.build()
        model.compile(keras.optimizers.SGD(0.05))
        return model

    data = tf.data.Dataset.from_tensor_slices(rows(16, 7)).batch(8)
    _, history = run_two_replica_test(make_model, data, steps=2)
    assert min(history["contraction"]) > 0.01


@each
def test_saving(make):
    layer = make()
    assert_config_round_trip(layer)
    encode, x = dense(), rows(4, 7)
    model = Contracted(layer)
    model.build()
    layer(encode, x, training=True)
    fresh = Contracted(make(seed=9))
    fresh.build()
    assert_weights_round_trip(model, fresh)
    np.testing.assert_array_equal(
        fresh.contractive(encode, x, training=True),
        layer(encode, x, training=True),
    )


@each
def test_no_gradient_is_an_error(make):
    with pytest.raises(ValueError, match="Received: an `encode` without a gr"):
        make()(lambda x: tf.cast(x > 0, tf.float32), rows(4, 7))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(weight=-1.0), "Received: weight=-1.0"),
        (dict(weight="1"), "Received: weight='1'"),
        (dict(weight=1.0, method="fast"), "exact, hutch.* method='fast'"),
        (dict(weight=1.0, num_probes=0), "num_probes must be a pos.* 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Contractive(**options)
