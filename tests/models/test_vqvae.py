"""The VQ-VAE: its loss by hand, its metrics, its manners."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import (
    check_fit_lowers_the_loss,
    check_saving_after_fit,
    run_model_test,
    run_two_replica_test,
)
from support.vqvae import SIZE, D, K, make, pictures
from vqvae_tf import (
    VQVAE,
    CodeEmbedding,
    Encoder,
    FactorizedDensity,
    Gaussian,
    PixelCNN,
    VectorQuantizer,
    VectorQuantizerEMA,
)
from vqvae_tf.densities import Bernoulli, Categorical
from vqvae_tf.runtime.adam import Adam

NAMES = {
    "loss",
    "reconstruction",
    "bits_per_dim",
    "quantizer_loss",
    "perplexity",
    "usage",
}


def evaluate(model, *args, **kwargs):
    if not model.compiled:
        model.compile("sgd")
    return model.evaluate(*args, **kwargs, verbose=0, return_dict=True)


# The loss --------------------------------------------------------------------


@pytest.mark.parametrize(
    "quantizer, num_codebooks", [(VectorQuantizer, 1), (VectorQuantizerEMA, 3)]
)
def test_metrics_by_hand(quantizer, num_codebooks):
    model = make(quantizer, num_codebooks, commitment_cost=0.5)
    x = pictures(5)
    model.compile("sgd")
    model.fit(x, verbose=0)  # so that the codebook is among the latents
    logs = evaluate(model, x, batch_size=2)
    assert set(logs) == NAMES
    # In float64, from the parts: a mean squared error and Gaussian masses.
    z = model.encoder(x.astype(np.float32) / 127.5 - 1).numpy()
    codes = model.quantizer.encode(z)
    q = model.quantizer.decode(codes).numpy()
    error = np.mean((z - q).astype(np.float64) ** 2)
    terms = 1.5 if quantizer is VectorQuantizer else 0.5
    np.testing.assert_allclose(logs["quantizer_loss"], terms * error, rtol=1e-4)
    outputs = model.decoder.network(q)
    masses = model.decoder.likelihood.log_prob(outputs, x).numpy()
    nats = -masses.astype(np.float64).mean()
    bits = nats / np.log(2)
    np.testing.assert_allclose(logs["reconstruction"], bits, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], nats + terms * error, rtol=1e-5)
    # Each of the 2x2 positions costs log2 8 = 3 bits a codebook.
    code_bits = 2 * 2 * num_codebooks * 3 / (SIZE * SIZE * 3)
    np.testing.assert_allclose(
        logs["bits_per_dim"], bits + code_bits, rtol=1e-5
    )
    groups = codes.numpy().reshape(-1, num_codebooks).T
    counts = np.stack([np.bincount(g, minlength=K) for g in groups])
    np.testing.assert_allclose(logs["usage"], (counts > 0).mean(), rtol=1e-6)
    p = counts / counts.sum(-1, keepdims=True)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
    np.testing.assert_allclose(
        logs["perplexity"], np.exp(entropy).mean(), rtol=1e-5
    )


def test_gradients_are_those_of_the_three_terms():
    """The encoder gets eq. 3's: straight through, plus the commitment."""
    model = make(VectorQuantizer)
    x = pictures()
    model.quantizer(model.latents(x), training=True)  # initialises
    rate = 0.5
    before = [v.numpy() for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        z = model.encoder(x.astype(np.float32) / 127.5 - 1)
        e = model.quantizer.embeddings.value[0]
        codes = model.quantizer.encode(z)
        q = tf.gather(e, codes)
        through = z + tf.stop_gradient(q - z)
        log_prob = model.decoder.log_prob(x, {"local": through})
        loss = -tf.reduce_mean(log_prob) / (SIZE * SIZE * 3)
        loss += tf.reduce_mean((tf.stop_gradient(z) - q) ** 2)
        loss += 0.25 * tf.reduce_mean((z - tf.stop_gradient(q)) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.compile(keras.optimizers.SGD(rate))
    logs = model.fit(x, verbose=0).history
    np.testing.assert_allclose(logs["loss"][0], loss, rtol=1e-5)
    for old, g, variable in zip(before, gradients, model.trainable_variables):
        received = (old - variable.numpy()) / rate
        np.testing.assert_allclose(
            received, g, rtol=1e-3, atol=1e-5, err_msg=variable.path
        )


def test_regularizers_of_the_parts_count():
    x = pictures()
    plain = evaluate(make(), x)
    model = make()
    kernel = model.encoder.projection.kernel
    kernel.regularizer = keras.regularizers.L2(0.1)
    expected = plain["loss"] + 0.1 * np.sum(kernel.numpy() ** 2)
    logs = evaluate(model, x)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    assert logs["quantizer_loss"] == plain["quantizer_loss"]


@pytest.mark.parametrize(
    "likelihood, channels",
    [(Bernoulli, 1), pytest.param(Categorical, 3, marks=pytest.mark.slow)],
)
def test_other_likelihoods_and_channels(likelihood, channels):
    model = make(likelihood=likelihood(), event_shape=(None, None, channels))
    x = pictures(channels=channels)
    model.compile(Adam(0.01))
    losses = model.fit(x, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.98 * losses[0]
    assert model.reconstruct(x).shape == x.shape


# The harness -----------------------------------------------------------------


def test_harness():
    run_model_test(lambda: make(restart_after=3), pictures())


@pytest.mark.slow  # runtime/test_strategies.py has the same of another model
@pytest.mark.parametrize("quantizer", [VectorQuantizer, VectorQuantizerEMA])
def test_two_replicas_are_one(quantizer):
    def compiled():
        model = make(quantizer, restart_after=2)
        model.compile(Adam(0.001))
        return model

    dataset = tf.data.Dataset.from_tensor_slices(pictures(24)).batch(4)
    _, history = run_two_replica_test(compiled, dataset)
    assert set(history) == {*NAMES, "restarts"}
    assert sum(history["restarts"]) > 0
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_weights_of_any_size_on_two_replicas():
    def compiled():
        model = make(VectorQuantizerEMA)
        model.compile(keras.optimizers.SGD(0.01))
        return model

    weight = np.array([4.0, 4.0, 1.0, 1.0], np.float32)
    dataset = tf.data.Dataset.from_tensors((pictures(), {}, weight))
    run_two_replica_test(compiled, dataset)


class MeanSquare(keras.layers.Layer):
    """The identity, with a loss."""

    def call(self, x):
        self.add_loss(0.1 * tf.reduce_mean(x**2))
        return x


@pytest.mark.slow
def test_a_loss_inside_the_encoder_on_two_replicas():
    """Each replica has its own, although the quantizer waits for both."""

    def compiled():
        parts = make(VectorQuantizerEMA)
        encoder = keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 3)),
                keras.layers.Conv2D(8, 4, 4),
                MeanSquare(),
                keras.layers.Conv2D(D, 1),
            ]
        )
        model = VQVAE(encoder, parts.quantizer, parts.decoder)
        model.build()
        model.compile(keras.optimizers.SGD(0.01))
        return model

    dataset = tf.data.Dataset.from_tensors(pictures())
    run_two_replica_test(compiled, dataset)


@pytest.mark.slow
def test_padding_that_fills_one_replica_alone():
    """One half of the batch is padding, and yet the two halves are one."""

    def compiled():
        model = make(VectorQuantizerEMA)
        model.compile(keras.optimizers.SGD(0.01))
        return model

    x = pictures()
    weight = np.array([1.0, 1.0, 1.0, 0.0], np.float32)
    dataset = tf.data.Dataset.from_tensors((x, {}, weight))
    _, padded = run_two_replica_test(compiled, dataset, 2, 2)
    whole = compiled().fit(x[:3], epochs=4, verbose=0).history
    np.testing.assert_allclose(
        padded["quantizer_loss"],
        np.reshape(whole["quantizer_loss"], [2, 2]).mean(1),
        rtol=1e-4,
    )


def test_masked_rows_are_as_if_they_were_not_there():
    """Padding at the bottom of a picture, in losses and statistics."""

    class Rows(keras.layers.Layer):
        """Sees each row of codes by itself, so that padding does not leak."""

        downsampling = 4

        def call(self, x, training=False):
            x = tf.nn.avg_pool2d(x, 4, 4, "VALID")
            return tf.repeat(x[..., :1], 4, axis=-1)

    def trained(x, weight):
        keras.utils.set_random_seed(0)
        model = VQVAE(
            Rows(),
            VectorQuantizerEMA(8, 4, seed=1),
            FactorizedDensity(
                keras.Sequential([keras.layers.UpSampling2D(4), Pixelwise()]),
                Gaussian(),
            ),
            event_shape=(None, None, 3),
        )
        model.compile(keras.optimizers.SGD(0.01))
        dataset = tf.data.Dataset.from_tensors((x, {}, weight))
        history = model.fit(dataset, epochs=3, verbose=0).history
        return model.get_weights(), history

    x = pictures(2)
    padded = np.concatenate([x, np.full_like(x[:, :8], 77)], axis=1)
    mask = np.ones(padded.shape[:3], np.float32)
    mask[:, SIZE:] = 0
    weights, history = trained(padded, mask)
    expected_weights, expected = trained(x, np.ones([2], np.float32))
    for received, wanted in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(received, wanted, rtol=1e-5, atol=1e-6)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)


class Pixelwise(keras.layers.Layer):
    """The mean of each channel, from the embedding above it alone."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=[input_shape[-1], 3], name="kernel")

    def call(self, x):
        return tf.linalg.matmul(x, self.kernel.value)


def test_fit_learns_the_pictures():
    model = make()
    x = pictures(8)
    model.compile(Adam(0.01))
    history = model.fit(x, epochs=30, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.7
    error = np.mean((model.reconstruct(x).numpy().astype(float) - x) ** 2)
    assert error < 0.4 * np.var(x.astype(float), axis=0).mean()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_islands(policy):
    keras.config.set_dtype_policy(policy)
    model = make()
    x = pictures()
    assert model.encoder.projection.compute_dtype == policy[6:]
    assert model.latents(x).dtype == tf.float32
    assert model.quantizer.codebook.dtype == tf.float32
    assert model.preprocess(x).dtype == tf.float32
    np.testing.assert_array_equal(model.encode(x), model.encode(x + 0.0))
    assert model.reconstruct(x).dtype == tf.uint8


# In and out ------------------------------------------------------------------


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_encode_decode_reconstruct(num_codebooks):
    model = make(num_codebooks=num_codebooks, event_shape=(None, None, 3))
    x = pictures(3, 16)[:, :, :12]
    codes = model.encode(x)
    assert codes.dtype == tf.int32
    assert codes.shape == (3, 4, 3, *[3] * (num_codebooks > 1))
    decoded = model.decode(codes)
    assert decoded.dtype == tf.uint8 and decoded.shape == x.shape
    np.testing.assert_array_equal(model.reconstruct(x), decoded)
    np.testing.assert_array_equal(model(x), decoded)
    np.testing.assert_array_equal(model.predict(x, verbose=0), decoded)
    # uint8 and float pixels are the same pictures.
    np.testing.assert_array_equal(model.encode(x.astype(np.float32)), codes)
    np.testing.assert_array_equal(model.encode(x.astype(np.int64)), codes)


def test_encode_of_unknown_sizes_in_a_graph():
    model = make(event_shape=(None, None, 3))
    x = pictures(3, 16)
    graph = tf.function(
        model.reconstruct,
        [tf.TensorSpec([None, None, None, 3], tf.uint8)],
        autograph=False,
    )
    np.testing.assert_array_equal(graph(x), model.reconstruct(x))
    np.testing.assert_array_equal(graph(x[:1, :8]), graph(x[:1, :8]))
    assert graph(x[:1, :8]).shape == (1, 8, 16, 3)


def test_a_vqvae_of_codes():
    """A second stage on the codes of a first, with a PixelCNN decoder."""
    model = VQVAE(
        Encoder(D, 8, num_downsamples=1, num_residual_layers=1),
        VectorQuantizerEMA(K, D, initialize_from_data=True),
        PixelCNN(
            K,
            (4, 4),
            hidden_channels=8,
            num_layers=1,
            local_channels=D,
            local_upsampling=2,
        ),
        preprocess=CodeEmbedding(K, 6),
        event_shape=(4, 4),
    )
    codes = np.random.default_rng(0).integers(0, K, [4, 4, 4])
    check_fit_lowers_the_loss(model, codes)
    coarse = model.encode(codes)
    assert coarse.shape == (4, 2, 2)
    drawn = model.decode(coarse)
    assert drawn.shape == (4, 4, 4) and drawn.dtype == tf.int32
    with pytest.raises(ValueError, match=r"multiples of .* \(4, 3, 3\)"):
        model.encode(codes[:, :3, :3])
    with pytest.raises(ValueError, match=r"Codes must be in 0\.\.7"):
        model.encode(codes + K)


# Saving ----------------------------------------------------------------------


def test_weights_load_into_a_model_that_never_saw_data(tmp_path):
    model = make(restart_after=2)
    model.compile("sgd")
    x = pictures()
    model.fit(x, epochs=2, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = VQVAE.from_config(model.get_config())
    fresh.build()
    fresh.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(fresh.encode(x), model.encode(x))
    np.testing.assert_array_equal(fresh.reconstruct(x), model.reconstruct(x))


def test_saving_after_fit():
    model = make(restart_after=2)
    fresh = VQVAE.from_config(model.get_config())
    check_saving_after_fit(fresh, pictures())


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2, 1, 1)])
def test_codes_of_another_rank(shape):
    with pytest.raises(ValueError, match=r"2 grid axes .* Received: codes of"):
        make().decode(np.zeros(shape, int))


def test_config_holds_the_parts():
    model = make(event_shape=(16, None, 3))
    copy = VQVAE.from_config(model.get_config())
    assert copy.event_shape == (16, None, 3)
    assert copy.quantizer.get_config() == model.quantizer.get_config()
    assert copy.encoder.hidden_channels == 8
    assert copy.name == model.name
