"""The codebook of exponential moving averages, appendix A.1."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA
from vqvae_tf.runtime.adam import Adam

K, D = 8, 4


def latents(count, num_codebooks, seed):
    """Latents around U(-1/K, 1/K), where new codebooks are."""
    rng = np.random.default_rng(seed)
    shape = [count, 3, num_codebooks * D]
    return tf.constant(rng.normal(size=shape) * 0.1 + 0.1, tf.float32)


def codebooks(layer):
    return layer.codebook.numpy().reshape(-1, K, D)


@pytest.mark.parametrize("num_codebooks", [1, 3])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.99])
def test_100_steps(num_codebooks, decay):
    layer = VectorQuantizerEMA(K, D, 0.3, decay, num_codebooks)
    layer.build((None, num_codebooks * D))
    expected = oracle.EMACodebook(codebooks(layer), 0.3, decay)
    np.testing.assert_array_equal(layer.ema_counts, expected.counts)
    np.testing.assert_array_equal(layer.ema_sums, expected.sums)

    @tf.function
    def step(x):
        quantized = layer(x, training=True)
        return quantized, layer.losses[0]

    for i in range(100):
        x = latents(8, num_codebooks, i)
        z = oracle.split(x, num_codebooks)
        # Codes and loss are those of the codebook before the update.
        codes = oracle.nearest(z, expected.codebooks)
        before = oracle.look_up(expected.codebooks, codes)
        quantized, loss = step(x)
        np.testing.assert_allclose(
            quantized, oracle.join(before, x.shape), rtol=0, atol=1e-5
        )
        np.testing.assert_allclose(loss, expected.loss(z), rtol=1e-5)
        expected.step(z)
    for received, wanted in (
        (codebooks(layer), expected.codebooks),
        (layer.ema_counts, expected.counts),
        (layer.ema_sums, expected.sums),
    ):
        np.testing.assert_allclose(received, wanted, rtol=1e-5, atol=1e-6)


def test_no_gradient_and_no_trainable_variable():
    layer = VectorQuantizerEMA(K, D)
    x = latents(8, 1, 0)
    with tf.GradientTape() as tape:
        layer(x, training=True)
        loss = layer.losses[0]
    assert layer.trainable_variables == []
    assert tape.gradient(loss, layer.embeddings.value) is None
    assert [v.name for v in layer.non_trainable_variables[:3]] == [
        "embeddings",
        "ema_counts",
        "ema_sums",
    ]


@pytest.mark.parametrize("num_codebooks", [1, 3])
@pytest.mark.parametrize("steps", [100, 10_000])
def test_an_unused_code_keeps_its_place_bit_for_bit(num_codebooks, steps):
    layer = VectorQuantizerEMA(K, D, num_codebooks=num_codebooks)
    layer.build((None, num_codebooks * D))
    # Two far codes take all the latents.
    start = codebooks(layer)
    start[:, 3], start[:, 5] = 9.0, -9.0
    layer.embeddings.assign(start)
    layer.ema_sums.assign(start)
    x = latents(2, num_codebooks, 0)
    x = tf.concat([x + 9.0, x - 9.0], axis=0)

    @tf.function
    def train():
        for _ in tf.range(steps):
            layer(x, training=True)

    train()
    unused = ~np.isin(np.arange(K), [3, 5])
    np.testing.assert_array_equal(codebooks(layer)[:, unused], start[:, unused])
    assert np.all(np.isfinite(codebooks(layer)))
    # The used ones are where their latents are.
    means = oracle.split(x[:2], num_codebooks).mean(1)
    share = 1 - 0.99**steps / (0.99**steps + (1 - 0.99**steps) * 6)
    expected = share * means + (1 - share) * 9.0
    np.testing.assert_allclose(codebooks(layer)[:, 3], expected, rtol=1e-4)
    # A code that is used at last becomes the mean of its latents.
    layer(x - x + start[:, :1].reshape(-1), training=True)
    np.testing.assert_allclose(
        codebooks(layer)[:, 0], start[:, 0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("steps", [100, 10_000])
def test_an_unused_code_of_a_gradient_codebook_stays_too(steps):
    layer = VectorQuantizer(K, D)
    layer.build((None, D))
    start = codebooks(layer)
    start[:, 3] = 9.0
    layer.embeddings.assign(start)
    optimizer = Adam(0.1)
    x = latents(4, 1, 0) + 9.0

    optimizer.build(layer.trainable_variables)

    @tf.function
    def train():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                layer(x, training=True)
                loss = layer.losses[0]
            variables = layer.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    train()
    unused = np.arange(K) != 3
    np.testing.assert_array_equal(codebooks(layer)[:, unused], start[:, unused])
    assert np.all(codebooks(layer)[:, 3] != start[:, 3])


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5])
def test_decay_out_of_range(decay):
    with pytest.raises(ValueError, match=r"\[0, 1\). Received: decay="):
        VectorQuantizerEMA(K, D, decay=decay)
