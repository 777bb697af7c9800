"""Dense networks: a picture to one latent, and back."""

import numpy as np
import pytest
import tensorflow as tf

from support.harness import run_layer_test
from vqvae_tf import (
    VQVAE,
    DenseDecoder,
    DenseEncoder,
    FactorizedDensity,
    Gaussian,
    VectorQuantizerEMA,
    recipes,
)
from vqvae_tf.recipes import building
from vqvae_tf.runtime.adam import Adam

SIZE = 6


def make_encoder(**kwargs):
    return DenseEncoder(5, SIZE, (9, 7), **kwargs)


def make_decoder(**kwargs):
    return DenseDecoder(3, (6, 4), [9, 7], "tanh", **kwargs)


def pictures(batch=2, size=SIZE, channels=3):
    rng = np.random.default_rng(0)
    shape = [batch, size, size, channels]
    return rng.normal(size=shape).astype(np.float32)


def latents(batch=2, grid=1):
    return pictures(batch, grid, 4)


def by_hand(layer, x, activation):
    """The network's outputs `[batch, features]`, in NumPy."""
    weights = [v.numpy() for v in layer.variables]
    x = x.reshape(len(x), -1)
    for i in range(0, len(weights), 2):
        x = x @ weights[i] + weights[i + 1]
        x = x if i + 2 == len(weights) else activation(x)
    return x


def test_harness():
    run_layer_test(make_encoder, pictures(), (2, 1, 1, 5))
    run_layer_test(make_decoder, latents(), (2, 6, 4, 3))


def test_the_encoder_by_hand():
    layer, x = make_encoder(), pictures()
    assert layer.downsampling == SIZE and layer.rank == 2
    assert layer.compute_output_shape((None, 6, 6, 3)) == (None, 1, 1, 5)
    received = layer(x)
    expected = by_hand(layer, x, lambda y: np.maximum(y, 0))
    np.testing.assert_allclose(received[:, 0, 0], expected, 1e-5, 1e-6)


def test_the_decoder_by_hand():
    layer, x = make_decoder(), latents()
    assert layer.compute_output_shape((None, 1, 1, 4)) == (None, 6, 4, 3)
    received = layer(x)
    expected = by_hand(layer, x, np.tanh).reshape(2, 6, 4, 3)
    np.testing.assert_allclose(received, expected, 1e-5, 1e-6)


def test_the_sizes_of_digits():
    encoder = DenseEncoder(32, 28)
    encoder.build((None, 28, 28, 1))
    hidden = 500 * 500 + 500
    expected = 784 * 500 + 500 + hidden + 500 * 32 + 32
    assert encoder.count_params() == expected
    decoder = DenseDecoder(2, 28)
    decoder.build((None, 1, 1, 32))
    expected = 32 * 500 + 500 + hidden + 500 * 2 * 784 + 2 * 784
    assert decoder.count_params() == expected


def test_without_hidden_layers_it_is_linear():
    encoder, decoder = DenseEncoder(5, SIZE, ()), DenseDecoder(3, SIZE, ())
    x = pictures(3)
    x[2] = 2 * x[0] - x[1]
    y = decoder(encoder(x)).numpy()
    assert y.shape == x.shape and np.any(y != 0)
    np.testing.assert_allclose(y[2], 2 * y[0] - y[1], 1e-4, 1e-5)


@pytest.mark.parametrize("size", [5, 12])
@pytest.mark.parametrize(
    "layer, make_inputs, right, message",
    [
        (make_encoder, pictures, SIZE, "encoder was made for inputs of 6 x 6"),
        (make_decoder, latents, 1, "decoder was made for inputs of 1 x 1"),
    ],
    ids=["encoder", "decoder"],
)
def test_another_size_is_refused(layer, make_inputs, right, message, size):
    """Also by a graph: 12x12 would be read as four pictures of 6x6."""
    layer, wrong = layer(), make_inputs(2, size)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{message}.* Received: .*{size}"):
            layer(wrong)
        expected = layer(make_inputs(2, right))
    signature = [tf.TensorSpec([None, None, None, wrong.shape[-1]])]
    unknown = tf.function(lambda x: layer(x), input_signature=signature)
    received = unknown(make_inputs(2, right))
    np.testing.assert_allclose(received, expected, 1e-5, 1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(wrong)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: DenseEncoder(0, 4), "output_channels must be .* Received: 0"),
        (lambda: DenseEncoder(4, (4, 4)), r"picture_size .*Received: \(4, 4\)"),
        (lambda: DenseEncoder(4, 4, 500), "sequence .* Received: 500"),
        (lambda: DenseDecoder(4, 4, "500"), "sequence .* Received: '500'"),
        (lambda: DenseDecoder(4, 4, (5, 0)), "hidden_units must .*Received: 0"),
        (lambda: DenseDecoder(4, 0), "picture_size must be .* Received: 0"),
        (lambda: DenseDecoder(4, (4, 4, 1)), r"Received: \(4, 4, 1\)"),
        (lambda: DenseDecoder(4, "28"), "height, width.* Received: '28'"),
        (lambda: make_encoder()(tf.ones([2, 6, 3])), r"4 axes.* \(2, 6, 3\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# In a model ------------------------------------------------------------------


def test_a_model_of_one_code_a_picture():
    likelihood = Gaussian()
    model = VQVAE(
        DenseEncoder(4, SIZE, (16,)),
        VectorQuantizerEMA(8, 4, seed=1),
        FactorizedDensity(
            DenseDecoder(likelihood.num_parameters(1), SIZE, (16,)), likelihood
        ),
        event_shape=(SIZE, SIZE, 1),
    )
    model.build()
    x = np.random.default_rng(0).integers(0, 256, [4, 6, 6, 1], np.uint8)
    codes = model.encode(x)
    assert codes.shape == (4, 1, 1)
    assert model.decode(codes).shape == x.shape
    model.compile(Adam(0.01))
    history = model.fit(x, batch_size=4, epochs=6, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    with pytest.raises(ValueError, match="multiples .* 6. Received"):
        model.encode(np.zeros([2, 8, 8, 1], np.uint8))
    with pytest.raises(ValueError, match="made for inputs of 6 x 6"):
        model.encode(np.zeros([2, 12, 12, 1], np.uint8))


def test_a_recipe_names_them():
    config = recipes.defaults()
    config.data.image_size = SIZE
    dense = dict(picture_size=SIZE, hidden_units=(7,))
    config.encoder.update(name="DenseEncoder", output_channels=4, **dense)
    config.decoder.update(name="DenseDecoder", **dense)
    config.quantizer.update(num_embeddings=8, embedding_dim=4)
    config.likelihood.name = "DiscretizedLogistic"
    model = building.make_autoencoder(recipes.check_recipe(config))
    assert model.encoder.hidden_units == (7,)
    x = np.zeros([2, SIZE, SIZE, model.event_shape[-1]], np.uint8)
    assert model.reconstruct(x).shape == x.shape
