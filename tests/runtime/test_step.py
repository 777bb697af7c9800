"""The train_step and test_step that all models share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import assert_close, run_two_replica_test
from vqvae_tf.runtime.step import StepModel, unpack_batch


@keras.saving.register_keras_serializable("vqvae_tf_tests")
class Line(StepModel):
    """Half the squared error of w . x - 1, and |w|^2 as an extra term."""

    loss_names = ("loss", "error", "size")

    def build(self, input_shape=None):
        self.w = self.add_weight(
            shape=[3], initializer=keras.initializers.Constant(0.5), name="w"
        )
        self.built = True

    def call(self, x):
        return tf.linalg.matvec(tf.cast(x, tf.float32), self.w.value)

    def check_input(self, x):
        if np.any(np.asarray(x) < -500):
            raise ValueError("Too small.")

    def compute_losses(self, x, context=None, weight=None, training=False):
        error = 0.5 * (self(x) - 1.0) ** 2
        if context:
            error *= context["factor"]
        extra = tf.reduce_sum(self.w.value**2)
        rows = tf.cast(tf.shape(x)[0], tf.float32)
        return error, extra, {"error": error, "size": (extra, rows)}


class ByHand:
    """The same with SGD, in NumPy."""

    def __init__(self):
        self.w = np.full(3, 0.5)

    def step(self, x, weight, rate):
        residual = x @ self.w - 1
        share = weight / weight.sum()
        error = (0.5 * residual**2 * share).sum()
        size = (self.w**2).sum()
        self.w = self.w - rate * ((residual * share) @ x + 2 * self.w)
        return {"loss": error + size, "error": error, "size": size}


def data(count=8):
    x = np.random.default_rng(0).normal(size=[count, 3])
    return x.astype(np.float32)


def line(optimizer=None, **kwargs):
    model = Line()
    model.build()
    model.compile(optimizer or keras.optimizers.SGD(0.1), **kwargs)
    return model


def assert_logs(received, expected):
    assert set(received) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(received[name], value, 1e-5, err_msg=name)


WEIGHTS = {
    "none": None,
    "equal": np.full(8, 2.0),
    "padded": np.repeat([1.0, 0.0], 4),
    "various": np.linspace(0.0, 2.0, 8),
}


@pytest.mark.parametrize("weight", WEIGHTS)
def test_training_is_that_by_hand(weight):
    weight = WEIGHTS[weight]
    model, expected, x = line(), ByHand(), data()
    for _ in range(3):
        history = model.fit(x, None, 8, 1, 0, sample_weight=weight).history
        logs = expected.step(x, np.ones(8) if weight is None else weight, 0.1)
        assert_logs({k: v[0] for k, v in history.items()}, logs)
    np.testing.assert_allclose(model.w, expected.w, rtol=1e-5)
    logs = expected.step(x, np.ones(8) if weight is None else weight, 0.0)
    results = model.evaluate(
        x, batch_size=8, sample_weight=weight, verbose=0, return_dict=True
    )
    assert_logs(results, logs)


def test_epoch_metrics_are_means_over_examples_not_batches():
    x = data(7)
    model = line(keras.optimizers.SGD(0.0))
    expected = ByHand().step(x, np.ones(7), 0.0)
    logs = model.fit(x, batch_size=3, verbose=0).history
    assert_logs({k: v[0] for k, v in logs.items()}, expected)
    logs = model.evaluate(x, batch_size=2, verbose=0, return_dict=True)
    assert_logs(logs, expected)


@pytest.mark.parametrize("form", ["arrays", "dataset", "validation data"])
def test_context_and_weights_reach_compute_losses(form):
    x, factor = data(), np.linspace(0.0, 2.0, 8, dtype=np.float32)
    weight = np.arange(8, dtype=np.float32)
    batch = (x, {"factor": factor}, weight)
    model = line(keras.optimizers.SGD(0.0))
    if form == "validation data":
        dataset = tf.data.Dataset.from_tensors(batch)
        logs = model.fit(x, validation_data=dataset, verbose=0).history
        error = logs["val_error"][0]
    elif form == "arrays":
        logs = model.fit(*batch[:2], sample_weight=weight, verbose=0).history
        error = logs["error"][0]
    else:
        dataset = tf.data.Dataset.from_tensors(batch)
        error = model.fit(dataset, verbose=0).history["error"][0]
    expected = 0.5 * (x.sum(-1) * 0.5 - 1) ** 2 * factor
    expected = np.average(expected, weights=weight)
    np.testing.assert_allclose(error, expected, rtol=1e-5)


def test_validation_weights_without_a_context():
    x, weight = data(), np.arange(8, dtype=np.float32)
    model = line(keras.optimizers.SGD(0.0))
    validation = (x, None, weight)
    logs = model.fit(x, validation_data=validation, verbose=0).history
    expected = model.evaluate(
        x, sample_weight=weight, verbose=0, return_dict=True
    )
    for name, value in expected.items():
        assert_close(logs[f"val_{name}"], [value], name)
    assert abs(logs["val_loss"][0] - logs["loss"][0]) > 1e-3


def test_optimizers_clip_and_scale():
    x = 100 * data()
    plain = line(keras.optimizers.SGD(1.0, global_clipnorm=0.1))
    plain.fit(x, batch_size=8, verbose=0)
    step = plain.w.numpy() - 0.5
    np.testing.assert_allclose(np.linalg.norm(step), 0.1, rtol=1e-4)
    # Loss scaling is undone in the gradients and not seen in the metrics.
    inner = keras.optimizers.SGD(0.1)
    scaled = line(
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=256.0)
    )
    plain = line(keras.optimizers.SGD(0.1))
    logs = [m.fit(data(), verbose=0).history for m in (scaled, plain)]
    assert_logs(*logs)
    np.testing.assert_allclose(scaled.w, plain.w, rtol=1e-6)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_two_replicas_are_one(weight):
    """Also where the weights of the two halves of a batch differ."""
    x, weight = data(), WEIGHTS[weight]
    parts = (x,) if weight is None else (x, {}, weight.astype(np.float32))
    dataset = tf.data.Dataset.from_tensors(parts)
    model, history = run_two_replica_test(lambda: line(), dataset, 2, 2)
    expected = ByHand()
    weight = np.ones(8) if weight is None else weight
    losses = [expected.step(x, weight, 0.1)["loss"] for _ in range(4)]
    assert_close(history["loss"], np.reshape(losses, [2, 2]).mean(1))
    assert_close(model.w.numpy(), expected.w)


# What is checked --------------------------------------------------------------


def test_unpack_batch():
    x, context, weight = object(), {"factor": 1}, np.ones(8)
    assert unpack_batch(x) == (x, None, None)
    assert unpack_batch((x,)) == (x, None, None)
    assert unpack_batch([x, context]) == (x, context, None)
    assert unpack_batch((x, context, weight)) == (x, context, weight)


@pytest.mark.parametrize("batch", [(), (1, 2, 3, 4)])
def test_batches_of_other_lengths(batch):
    with pytest.raises(ValueError, match=f"tuple of length {len(batch)}"):
        unpack_batch(batch)


def test_targets_are_refused():
    """There are none, though autoencoders are often fit on (x, x)."""
    with pytest.raises(ValueError, match="x is its own target. Received: a co"):
        unpack_batch((data(), data()))
    with pytest.raises(ValueError, match="x is its own target"):
        line().fit(data(), data(), verbose=0)


@pytest.mark.parametrize("form", ["array", "tensor", "dataset", "pairs"])
def test_fit_looks_at_the_first_batch(form):
    x = data() - 1000
    if form == "tensor":
        x = tf.constant(x)
    elif form == "dataset":
        x = tf.data.Dataset.from_tensors(x)
    elif form == "pairs":
        x = tf.data.Dataset.from_tensors((x, {"factor": 1.0}))
    model = line()
    with pytest.raises(ValueError, match="Too small"):
        model.fit(x, verbose=0)
    np.testing.assert_array_equal(model.w, np.full(3, 0.5))


def test_a_model_without_losses():
    model = StepModel()
    model.compile("sgd")
    with pytest.raises(NotImplementedError, match="StepModel must implement"):
        model.compute_losses(data())
    model.check_input(data())  # anything goes
