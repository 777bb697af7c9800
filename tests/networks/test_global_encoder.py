"""The encoder of a whole grid to one latent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import assert_all_get_gradients, run_layer_test
from vqvae_tf import VQVAE, CodeEmbedding, GlobalEncoder, VectorQuantizerEMA
from vqvae_tf.runtime.adam import Adam

SIZE = 6


def make(**kwargs):
    return GlobalEncoder(
        SIZE, 5, hidden_channels=8, num_residual_layers=1, **kwargs
    )


def grids(batch=2, size=SIZE):
    rng = np.random.default_rng(0)
    return rng.normal(size=[batch, size, size, 3]).astype(np.float32)


def test_harness():
    run_layer_test(make, grids(), (2, 1, 1, 5))


def test_is_the_encoder_and_a_dense_layer():
    layer = make()
    assert layer.compute_output_shape((None, 6, 6, 3)) == (None, 1, 1, 5)
    assert layer.compute_output_shape((7, 6, 6, 3)) == (7, 1, 1, 5)
    assert layer.downsampling == SIZE
    received = layer(grids())
    coarse = layer.encoder(grids()).numpy()
    assert coarse.shape == (2, 2, 2, 8)  # 6 halved twice, rounded up
    kernel, bias = (v.numpy() for v in layer.projection.variables)
    expected = coarse.reshape(2, -1) @ kernel + bias
    np.testing.assert_allclose(received[:, 0, 0], expected, 1e-5, 1e-6)


def test_every_position_counts():
    layer, x = make(), tf.constant(grids(1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        target = tf.reduce_sum(layer(x) * tf.range(1.0, 6.0))
    gradient = tape.gradient(target, x).numpy()
    assert np.all(np.any(gradient[0] != 0, axis=-1))


def test_every_size_can_be_set():
    layer = GlobalEncoder(8, 5, 6, 3, (4, 5), 1, 7, kernel_size=6)
    layer.build((None, 8, 8, 2))
    expected = 36 * 2 * 4 + 4
    expected += 36 * 4 * 5 + 5
    expected += 36 * 5 * 6 + 6
    expected += 9 * 6 * 7 + 7 + 7 * 6 + 6  # a residual block
    expected += 6 * 5 + 5  # 8 halved three times is one position
    assert layer.count_params() == expected
    copy = GlobalEncoder.from_config(layer.get_config())
    copy.build((None, 8, 8, 2))
    assert [v.shape for v in copy.weights] == [v.shape for v in layer.weights]


@pytest.mark.parametrize("size", [5, 12])
def test_another_grid_is_refused(size):
    """Also by a built encoder: 12x12 would be read as four of 6x6."""
    message = rf"inputs of 6 x 6.* Received: .*\(2, {size}, {size}, 3\)"
    layer = make()
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            layer(grids(size=size))
        layer(grids())
    signature = [tf.TensorSpec([None, None, None, 3])]
    unknown = tf.function(lambda x: layer(x), input_signature=signature)
    np.testing.assert_allclose(unknown(grids()), layer(grids()), 1e-5, 1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(grids(size=size))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GlobalEncoder(0), "grid_size must be .* Received: 0"),
        (lambda: GlobalEncoder(4, 0), "output_channels must be"),
        (lambda: make()(tf.ones([2, 6, 3])), r"Received: .* \(2, 6, 3\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# In a VQ-VAE of codes --------------------------------------------------------


def of_codes():
    """Three codes above 4x4 codes."""
    keras.utils.set_random_seed(0)
    model = VQVAE(
        GlobalEncoder(4, 3 * 4, hidden_channels=8, num_residual_layers=1),
        VectorQuantizerEMA(8, 4, num_codebooks=3, seed=1),
        small.prior(local_channels=3 * 4, local_upsampling=4, num_layers=1),
        preprocess=CodeEmbedding(8, 6),
        event_shape=(4, 4),
    )
    model.build()
    return model


def code_maps(batch=4):
    rng = np.random.default_rng(0)
    return rng.integers(0, 8, [batch, 4, 4], dtype=np.int32)


def test_three_codes_stand_for_a_map():
    model = of_codes()
    codes = model.encode(code_maps())
    assert codes.shape == (4, 1, 1, 3) and codes.dtype == tf.int32
    assert np.all((codes >= 0) & (codes < 8))
    assert model.decode(codes).shape == (4, 4, 4)
    with pytest.raises(ValueError, match="inputs of 4 x 4"):
        model.encode(np.zeros([2, 8, 8], np.int32))


def test_gradients_reach_the_encoder():
    model = of_codes()
    with tf.GradientTape() as tape:
        nll, extra, _ = model.compute_losses(code_maps(), training=True)
        loss = tf.reduce_mean(nll) + extra
    sources = [
        *model.encoder.trainable_variables,
        *model.preprocess.trainable_variables,
    ]
    assert len(sources) > 8
    assert_all_get_gradients(tape, loss, sources)


def test_a_step_of_training():
    model = of_codes()
    before = [v.numpy() for v in model.encoder.trainable_variables]
    model.compile(Adam(0.01))
    history = model.fit(code_maps(), batch_size=4, epochs=6, verbose=0).history
    # log2 8 = 3 bits a code of an untrained decoder.
    assert abs(history["reconstruction"][0] - 3) < 0.3
    assert history["loss"][-1] < history["loss"][0]
    for old, variable in zip(before, model.encoder.trainable_variables):
        assert np.any(variable.numpy() != old), variable.path
