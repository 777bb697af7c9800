"""Codes that are drawn in training, and the gradients of their choice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import saved_and_loaded
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.presets import configs
from vqvae_tf.quantizers import (
    GumbelSoftmax,
    ResidualQuantizer,
    SoftmaxSampling,
    VectorQuantizer,
    VectorQuantizerEMA,
)
from vqvae_tf.runtime import random

K, D, N = 8, 4, 30
CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
KINDS = pytest.mark.parametrize(
    "sampling", [SoftmaxSampling(0.5), GumbelSoftmax(0.5, 0.7)]
)


def latents(count=N, groups=1, seed=0):
    x = np.random.default_rng(seed).normal(size=[count, groups * D])
    return x.astype(np.float32)


def layers(cls=VectorQuantizer, groups=1, **options):
    layer = cls(K, D, num_codebooks=groups, **options)
    layer.build((None, groups * D))
    shape = layer.embeddings.shape
    layer.set_codebook(np.random.default_rng(1).normal(size=shape))
    return layer


def softmax(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    "cls, options",
    [
        (
            VectorQuantizer,
            dict(sampling=GumbelSoftmax(0.1), num_codebooks=2),
        ),
        pytest.param(
            VectorQuantizerEMA,
            dict(
                sampling=SoftmaxSampling(0.1),
                num_codebooks=2,
                shared_codebook=True,
                restart_after=2,
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_harness(cls, options):
    sizes = dict(num_embeddings=K, embedding_dim=D)
    run_quantizer_test(cls, {**sizes, **options}, drawn=True)


@KINDS
@CLASSES
def test_codes_have_the_probabilities_of_a_softmax(cls, sampling):
    layer = layers(cls, sampling=sampling)
    x = np.tile(latents(2)[:, None], [1, 4000, 1])
    table = np.float64(layer.codebook)
    _, codes = layer(x, training=True, return_codes=True)
    for row, drawn in zip(x[:, 0], codes.numpy()):
        p = softmax(-((row - table) ** 2).sum(-1) / 0.5)
        shares = np.bincount(drawn, minlength=K) / 4000
        assert np.all(abs(shares - p) < 4 * (p * (1 - p) / 4000) ** 0.5 + 1e-3)


@KINDS
def test_draws_differ_by_step_latent_seed_and_group(sampling):
    x = np.repeat(latents(1, 2), 200, axis=0)
    layer = layers(groups=2, sampling=sampling)
    other = layers(groups=2, sampling=sampling, seed=5)

    def codes(layer):
        return layer(x, training=True, return_codes=True)[1].numpy()

    first, second, another = codes(layer), codes(layer), codes(other)
    for a, b in ((first, second), (first, another), (first[1:], first[:-1])):
        assert np.mean(a != b) > 0.1
    assert layer.draws == 2


@KINDS
@CLASSES
def test_only_training_draws(cls, sampling):
    layer, x = layers(cls, sampling=sampling), latents()
    plain = layers(cls)
    for training in (None, False):
        expected = plain(x)
        np.testing.assert_array_equal(layer(x, training=training), expected)
    layer.trainable = False
    np.testing.assert_array_equal(layer(x, training=True), plain(x))
    assert layer.draws == 0


def test_what_is_drawn_is_what_is_learned_from():
    layer = layers(VectorQuantizerEMA, sampling=SoftmaxSampling(3.0), decay=0.5)
    before, x = layer.codebook.numpy(), latents()
    quantized, codes = layer(x, training=True, return_codes=True)
    codes = codes.numpy()
    np.testing.assert_array_equal(quantized, before[codes])
    error = 0.25 * np.mean((x - before[codes]) ** 2)
    np.testing.assert_allclose(layer.losses[0], error, 1e-5)
    n, s = oracle.counts_and_sums(np.float64(x)[None], codes[None], K)
    expected = np.where(
        n[0, :, None] > 0, (before + s[0]) / (1 + n[0, :, None]), before
    )
    np.testing.assert_allclose(layer.codebook, expected, 1e-4, 1e-5)


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_gradients_of_sampled_codes_are_the_layers(gradient):
    layer = layers(sampling=SoftmaxSampling(3.0), gradient=gradient)
    x = tf.constant(latents())
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, training=True))
    received = tape.gradient(total, x)
    ones = np.array_equal(received, np.ones(x.shape))
    assert ones == (gradient == "straight_through")
    assert np.all(np.isfinite(received))


def test_gradients_of_gumbels_relaxation():
    """Against the same sum in float64, by its derivatives written out."""
    temperature, relaxation = 0.5, 0.7
    layer = layers(
        sampling=GumbelSoftmax(temperature, relaxation), commitment_cost=0.0
    )
    x, table = tf.constant(latents()), layer.codebook.numpy()
    slope = np.random.default_rng(3).normal(size=x.shape)
    seed = random.fold_in(random.fold_in(random.make_seed(0), -4), 0)
    u = random.uniform_rows([N, 1, K], seed).numpy()[:, 0].astype(np.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        quantized, codes = layer(x, training=True, return_codes=True)
        total = tf.reduce_sum(quantized * slope)
    of_x, of_table = tape.gradient(total, [x, layer.embeddings.value])
    z, e = np.float64(x), np.float64(table)
    scores = -oracle.distances(z[None], e[None])[0] / temperature
    scores -= np.log(-np.log(u))
    np.testing.assert_array_equal(codes, scores.argmax(-1))
    np.testing.assert_array_equal(quantized, table[codes])
    p = softmax(scores / relaxation)
    dp = slope @ e.T
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / relaxation
    away = 2 / temperature * (z[:, None] - e)  # -d score / dz
    np.testing.assert_allclose(
        of_x, -np.einsum("nk,nkd->nd", ds, away), 1e-3, 1e-4
    )
    expected = p.T @ slope + np.einsum("nk,nkd->kd", ds, away)
    np.testing.assert_allclose(of_table[0], expected, 1e-3, 1e-4)


def cooling(start=4.0):
    return keras.optimizers.schedules.ExponentialDecay(start, 1, 0.5)


def test_a_schedule_cools_down_to_the_nearest_codes():
    layer = layers(sampling=SoftmaxSampling(cooling()))
    x, far = latents(200), []

    @tf.function
    def step():
        return layer(x, training=True, return_codes=True)[1]

    for _ in range(24):
        far.append(np.mean(step() != layer.encode(x)))
    assert far[0] > 0.5 and far[-1] == 0
    assert far[0] > far[3] > far[6] > far[12]
    # Ends at 0, which no softmax can divide by.
    layer = layers(
        sampling=GumbelSoftmax(
            keras.optimizers.schedules.PolynomialDecay(1.0, 1, 0.0), cooling()
        )
    )
    for _ in range(3):
        quantized = layer(x, training=True)
    np.testing.assert_array_equal(quantized, layer(x))


def test_saved_layers_continue_with_the_same_draws():
    inputs = keras.Input((D,))
    sampling = GumbelSoftmax(cooling(), relaxation=0.5)
    layer = VectorQuantizer(K, D, sampling=sampling, name="vq")
    model = keras.Model(inputs, layer(inputs))
    x = latents()
    layer(x, training=True)
    loaded = saved_and_loaded(model).get_layer("vq")
    assert loaded.draws == 1 and loaded.sampling.relaxation == 0.5
    assert loaded.sampling.temperature.get_config() == cooling().get_config()
    np.testing.assert_array_equal(
        loaded(x, training=True), layer(x, training=True)
    )
    assert "sampling" not in VectorQuantizer(K, D).get_config()
    # A preset may name all of its classes.
    assert not configs.foreign_entries(layer.get_config())


def test_stages_of_a_residual_quantizer_draw():
    stage = VectorQuantizerEMA(K, D, sampling=SoftmaxSampling(5.0))
    layer, x = ResidualQuantizer(stage, 2), latents(200)
    _, codes = layer(x, training=True, return_codes=True)
    assert np.all(np.mean(codes != layer.encode(x), axis=0) > 0.3)
    stage = VectorQuantizer(K, D, sampling=GumbelSoftmax(), name="vq")
    with pytest.raises(ValueError, match="Use SoftmaxSampling. Received: vq"):
        ResidualQuantizer(stage, 2)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: SoftmaxSampling(0),
            r"temperature must be a number in \[1e-06",
        ),
        (lambda: SoftmaxSampling("1"), "or a schedule of keras.optimizers"),
        (lambda: GumbelSoftmax(1.0, -1), "relaxation must be a number in"),
        (
            lambda: VectorQuantizer(K, D, sampling="gumbel"),
            "None, a SoftmaxSampling or a GumbelSoftmax.* sampling='gumbel'",
        ),
        (
            lambda: VectorQuantizer(K, D, sampling=GumbelSoftmax),
            "None, a SoftmaxSampling or a GumbelSoftmax",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "Received: " in str(error.value)
