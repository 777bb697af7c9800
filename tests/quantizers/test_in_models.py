"""Both kinds of codebook in a user's Keras models, and on replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import run_two_replica_test, two_replicas
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA

K, D = 8, 4
both = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def latents(shape, seed=0, scale=0.1):
    """Latents around U(-1/K, 1/K), where new codebooks are."""
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=[*shape, D]) * scale, tf.float32)


def functional(cls, rank=2, optimizer=None, **kwargs):
    """A user's model, of inputs of unknown sizes with 3 channels."""
    keras.utils.set_random_seed(0)
    convolution = [
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
    ][rank - 1]
    inputs = keras.Input([None] * rank + [3])
    x = convolution(D, 3, strides=2, padding="same")(inputs)
    x = cls(K, D, name="vq", **kwargs)(x)
    upsample = [
        keras.layers.UpSampling1D,
        keras.layers.UpSampling2D,
        keras.layers.UpSampling3D,
    ][rank - 1]
    outputs = convolution(3, 3, padding="same")(upsample(2)(x))
    model = keras.Model(inputs, outputs)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, "mse", metrics=["mse"])
    return model


def series(count, rank=2, size=4):
    """Data of one colour an example, and some noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=[count, *[1] * rank, 3])
    x = x + 0.1 * rng.normal(size=[count, *[size] * rank, 3])
    return x.astype(np.float32)


@pytest.mark.parametrize(
    "cls, rank",
    [
        pytest.param(VectorQuantizerEMA, 1, marks=pytest.mark.slow),
        (VectorQuantizer, 2),
        (VectorQuantizerEMA, 3),
    ],
)
def test_fit_and_evaluate_of_a_functional_model(cls, rank):
    model = functional(cls, rank)
    x = series(12, rank)
    # The loss may rise while the codebook catches up with the latents.
    errors = model.fit(x, x, 4, epochs=20, verbose=0).history["mse"]
    assert errors[-1] < 0.8 * errors[0]
    results = model.evaluate(x, x, 5, verbose=0, return_dict=True)
    vq = model.get_layer("vq")
    z = keras.Model(model.input, vq.input)(x)
    e = vq.codebook.numpy().reshape(-1, K, D)
    rows = oracle.split(z, 1)
    codes = oracle.nearest(rows, e)
    n, _ = oracle.counts_and_sums(rows, codes, K)
    # Over the epoch, though the last batch is smaller than the others.
    np.testing.assert_allclose(
        results["vq_perplexity"], oracle.perplexity(n), rtol=1e-5
    )
    np.testing.assert_allclose(results["vq_usage"], (n > 0).mean())
    error = oracle.squared_error(rows, oracle.look_up(e, codes))
    terms = 1.25 if cls is VectorQuantizer else 0.25
    expected = np.mean((model(x) - x) ** 2) + terms * error
    np.testing.assert_allclose(results["loss"], expected, rtol=1e-4)


@both
def test_perplexity_is_that_of_each_epoch_alone(cls):
    model = functional(cls, optimizer=keras.optimizers.SGD(0.0))
    model.get_layer("vq").trainable = False
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = series(8)
    logs = model.fit(x, x, 4, epochs=3, verbose=0).history["vq_perplexity"]
    codes = model.get_layer("vq").encode(
        keras.Model(model.input, model.get_layer("vq").input)(x)
    )
    n = np.bincount(np.ravel(codes), minlength=K)[None]
    np.testing.assert_allclose(logs, oracle.perplexity(n), rtol=1e-5)


class Subclassed(keras.Model):
    """A user's own model, with two quantizers."""

    def __init__(self, cls):
        super().__init__()
        self.project = keras.layers.Dense(2 * D)
        self.first = cls(K, D, num_codebooks=2, name="first")
        self.second = cls(K, D, num_codebooks=2, name="second")
        self.out = keras.layers.Dense(3)

    def call(self, x, training=False):
        x = self.first(self.project(x), training=training)
        return self.out(self.second(x * 0.5, training=training))


@pytest.mark.parametrize(
    "cls",
    [
        pytest.param(VectorQuantizer, marks=pytest.mark.slow),
        VectorQuantizerEMA,
    ],
)
def test_subclassed_model_under_xla(cls):
    logs = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        model = Subclassed(cls)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
        x = series(12, rank=1)
        logs.append(model.fit(x, x, 4, epochs=2, verbose=0).history)
    assert set(logs[0]) >= {"loss", "first_usage", "second_perplexity"}
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, 1e-4, err_msg=name)


def test_masks_of_a_functional_model_reach_the_layer():
    inputs = keras.Input([None, D])
    x = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, VectorQuantizerEMA(K, D, name="vq")(x))
    x = latents((3, 6)).numpy()
    x[:, 4:] = 0.0  # what Masking takes for padding
    model(x)
    vq = model.get_layer("vq")
    assert np.sum(vq.usage_metric.counts) == 3 * 4
    expected = VectorQuantizerEMA(K, D)
    expected(x[:, :4])
    np.testing.assert_allclose(vq.losses[0], expected.losses[0], rtol=1e-6)


# Replicas --------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls, dynamic",
    [
        pytest.param(VectorQuantizer, False, marks=pytest.mark.slow),
        (VectorQuantizerEMA, True),
    ],
)
def test_two_replicas_train_a_users_model_as_one(cls, dynamic):
    options = dict(initialize_from_data=True, restart_after=2)
    x = series(48)
    dataset = tf.data.Dataset.from_tensor_slices((x, x))
    _, history = run_two_replica_test(
        lambda: functional(cls, **(options if dynamic else {})),
        dataset.batch(4, drop_remainder=True),
    )
    assert 1 < history["vq_perplexity"][-1] < K
    if dynamic:
        assert sum(history["vq_restarts"]) > 0


@pytest.mark.slow
def test_two_replicas_with_losses_of_two_kinds_of_quantizers():
    """A collective in the second lets the other replica clear losses."""

    def compiled():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6, D))
        x = keras.layers.Dense(D)(inputs)
        x = VectorQuantizer(K, D, name="first")(x)
        x = keras.layers.Dense(D)(x)
        x = VectorQuantizerEMA(K, D, name="second")(x)
        model = keras.Model(inputs, keras.layers.Dense(D)(x))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    x = latents((4, 6))
    dataset = tf.data.Dataset.from_tensors((x, x))
    run_two_replica_test(compiled, dataset)


def test_replicas_of_different_sizes_draw_from_all_latents():
    x = latents((6,))
    alone = VectorQuantizer(K, D, initialize_from_data=True)
    alone(x, training=True)
    with two_replicas().scope():
        layer = VectorQuantizer(K, D, initialize_from_data=True)
        layer.build(x.shape)

    @tf.function
    def step():
        def run():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            layer(x[:2] if first else x[2:], training=True)

        two_replicas().run(run)

    step()
    copies = two_replicas().experimental_local_results(layer.embeddings.value)
    for copy in copies:
        np.testing.assert_array_equal(copy, alone.embeddings.numpy())
