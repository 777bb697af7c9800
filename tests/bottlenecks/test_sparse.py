"""Sparse activations: the KL divergence, its gradient, the global batch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.harness import assert_close, run_two_replica_test, two_replicas
from vqvae_tf.bottlenecks import KSparse, Sparse
from vqvae_tf.bottlenecks.sparse import bernoulli_kl
from vqvae_tf.runtime.step import StepModel


def latents(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(values, tf.float32)


def reference(x, rho, weight=None):
    """The sum over units of KL(rho || mean of a sigmoid), in float64."""
    x = np.asarray(x, np.float64)
    mean = np.average(1 / (1 + np.exp(-x)), axis=0, weights=weight)
    kl = rho * np.log(rho / mean)
    kl += (1 - rho) * np.log((1 - rho) / (1 - mean))
    return kl.sum(), mean.mean()


@given(
    batch=st.integers(1, 5),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    rho=st.floats(0.01, 0.99),
    weighted=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_penalty_is_the_kl_of_the_mean_activation(batch, sizes, rho, weighted):
    x = latents(batch, *sizes)
    weight = np.arange(1.0, batch + 1) if weighted else None
    cost, metrics = Sparse(rho, 3.0).penalty(x, weight)
    kl, mean = reference(x, rho, weight)
    np.testing.assert_allclose(cost, 3 * kl, 1e-4, 1e-5)
    np.testing.assert_allclose(metrics["sparsity_kl"][0], kl, 1e-4, 1e-5)
    np.testing.assert_allclose(metrics["mean_activation"][0], mean, 1e-5)
    rows = batch if weight is None else weight.sum()
    assert metrics["sparsity_kl"][1] == metrics["mean_activation"][1] == rows


def test_gradient_of_the_penalty():
    """beta (-rho / m + (1 - rho) / (1 - m)) a (1 - a) / B."""
    x, rho = latents(6, 4, 3), 0.2
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost, _ = Sparse(rho, 3.0).penalty(x)
    a = 1 / (1 + np.exp(-np.asarray(x, np.float64)))
    m = a.mean(axis=0)
    expected = 3 * (-rho / m + (1 - rho) / (1 - m)) * a * (1 - a) / 6
    np.testing.assert_allclose(tape.gradient(cost, x), expected, 1e-4, 1e-6)


def test_rows_of_weight_0_are_left_out():
    x = latents(6, 4, 3)
    bottleneck = Sparse(0.1, 2.0)
    weight = np.array([1.0, 1, 0, 1, 0, 0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost, metrics = bottleneck.penalty(x, weight)
    kept = x[weight > 0]
    np.testing.assert_allclose(cost, bottleneck.penalty(kept)[0], 1e-5)
    assert metrics["sparsity_kl"][1] == 3
    gradient = np.abs(tape.gradient(cost, x)).max(axis=(1, 2))
    np.testing.assert_array_equal(gradient > 0, weight > 0)
    nothing, metrics = bottleneck.penalty(x, np.zeros([6]))
    assert np.isfinite(nothing) and metrics["sparsity_kl"][1] == 0


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_saturated_units_stay_finite(extreme):
    x = tf.fill([4, 3], extreme)
    with tf.GradientTape() as tape:
        tape.watch(x)
        cost, _ = Sparse(0.1, 1.0).penalty(x)
    assert 0 < cost < 3 * 20
    assert np.all(np.isfinite(tape.gradient(cost, x)))


def test_the_kl_is_0_at_rho_alone():
    q = tf.constant([0.05, 0.2, 0.2 + 1e-3, 0.9])
    kl = bernoulli_kl(0.2, q).numpy()
    assert abs(kl[1]) < 1e-7
    assert np.all(kl[[0, 2, 3]] > 1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(rho=0.0), "between 0 and 1. Received: rho=0.0"),
        (dict(rho=1), "between 0 and 1. Received: rho=1"),
        (dict(weight=-1.0), "at least 0. Received: weight=-1.0"),
        (dict(activation="relu"), "sigmoid.* Received: activation='relu'"),
    ],
)
def test_bad_arguments_of_sparse(options, message):
    with pytest.raises(ValueError, match=message):
        Sparse(**{"rho": 0.1, "weight": 1.0, **options})


# The mean over the global batch -----------------------------------------------


def test_gradients_of_two_replicas_add_up_to_that_of_one():
    """With 4 rows on one replica and 1 that counts on the other."""
    x, weight = latents(8, 3), np.array([1, 2, 1, 1, 0, 1, 0, 0], np.float32)
    kernel, bottleneck = latents(3, 5, seed=1), Sparse(0.1, 2.0)

    def gradient(x, weight, total):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            cost, _ = bottleneck.penalty(x @ kernel, weight)
            # As `StepModel`: a replica's share of what is global.
            share = cost * tf.reduce_sum(weight) / total
        return cost, tape.gradient(share, kernel)

    expected, whole = gradient(x, weight, 6.0)
    strategy = two_replicas()

    @tf.function
    def run():
        def replica():
            context = tf.distribute.get_replica_context()
            start = 4 * context.replica_id_in_sync_group
            own = slice(start, start + 4)
            return gradient(x[own], tf.constant(weight)[own], 6.0)

        return strategy.run(replica)

    costs, gradients = map(strategy.experimental_local_results, run())
    assert_close(costs, [expected] * 2)
    assert_close(gradients[0] + gradients[1], whole)
    assert np.max(np.abs(whole)) > 0.01


class SparseAutoencoder(StepModel):
    """An autoencoder of vectors with a bottleneck."""

    def __init__(self, bottleneck, **kwargs):
        self.loss_names = ("loss", *bottleneck.metric_names)
        super().__init__(**kwargs)
        self.bottleneck = bottleneck
        self.encoder = keras.layers.Dense(6)
        self.decoder = keras.layers.Dense(4)

    def build(self, input_shape=None):
        self.encoder.build((None, 4))
        self.decoder.build((None, 6))
        self.built = True

    def compute_losses(self, x, context=None, weight=None, training=False):
        x = tf.cast(x, tf.float32)
        y = self.encoder(x)
        z = self.bottleneck.sample(y, training=training)[0][0]
        error = tf.reduce_sum((self.decoder(z) - x) ** 2, axis=-1)
        return error, *self.bottleneck.penalty(y, weight, training)


@pytest.mark.parametrize(
    "make, weighted",
    [
        (functools.partial(Sparse, 0.1, 1.0), True),
        pytest.param(
            functools.partial(Sparse, 0.1, 1.0), False, marks=pytest.mark.slow
        ),
        (functools.partial(KSparse, 2), False),
    ],
    ids=["sparse, weighted", "sparse", "k-sparse"],
)
def test_two_replicas_train_as_one(make, weighted):
    def make_model():
        keras.utils.set_random_seed(1)
        model = SparseAutoencoder(make())
        model.build()
        model.compile(keras.optimizers.SGD(0.1))
        return model

    x = latents(24, 4)
    data = tf.data.Dataset.from_tensor_slices(x)
    if weighted:
        weight = tf.constant([1.0, 1, 1, 2, 1, 0, 0, 0] * 3)
        context = {"unused": tf.zeros([24])}
        data = tf.data.Dataset.from_tensor_slices((x, context, weight))
    _, history = run_two_replica_test(make_model, data.batch(8), steps=3)
    assert history["loss"][0] > history["loss"][-1]
    if make.func is Sparse:
        values = history["mean_activation"]
        assert abs(values[-1] - 0.1) < abs(values[0] - 0.1)
