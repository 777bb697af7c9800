"""Presets: a round trip of each kind of model."""

import keras
import numpy as np

import vqvae_tf as vq
from support import small
from vqvae_tf import presets


def test_round_trip_is_bit_equal(preset):
    folder, model = preset
    loaded = vq.LatentGenerator.from_preset(folder)
    images = small.pictures(4)
    codes = model.encode(images)
    np.testing.assert_array_equal(loaded.encode(images), codes)
    np.testing.assert_array_equal(loaded.decode(codes), model.decode(codes))
    np.testing.assert_array_equal(
        loaded.log_prob(images), model.log_prob(images)
    )
    np.testing.assert_array_equal(
        loaded.sample(2, seed=5), model.sample(2, seed=5)
    )


def test_autoencoder_alone_can_be_loaded(preset):
    folder, model = preset
    loaded = vq.VQVAE.from_preset(str(folder))
    assert type(loaded) is vq.VQVAE
    images = small.pictures(2)
    np.testing.assert_array_equal(
        loaded.reconstruct(images), model.reconstruct(images)
    )


def test_model_without_prior(tmp_path):
    small.autoencoder(3).save_to_preset(tmp_path / "a")
    loaded = presets.load(tmp_path / "a")
    assert type(loaded) is vq.VQVAE
    assert loaded.quantizer.num_codebooks == 3


def test_functional_encoder(tmp_path):
    inputs = keras.Input((None, None, 3))
    latents = keras.layers.Conv2D(4, 4, strides=4, padding="same")(inputs)
    likelihood = vq.Gaussian()
    model = vq.VQVAE(
        keras.Model(inputs, latents),
        vq.VectorQuantizer(8, 4),
        vq.FactorizedDensity(vq.Decoder(3, hidden_channels=8), likelihood),
    )
    model.save_to_preset(tmp_path / "a")
    images = small.pictures(2)
    np.testing.assert_array_equal(
        presets.load(tmp_path / "a").reconstruct(images),
        model.reconstruct(images),
    )


def test_density_alone(tmp_path):
    """Its network's variables are made from the configuration alone."""
    keras.utils.set_random_seed(0)
    likelihood = vq.Gaussian()
    network = vq.Decoder(likelihood.num_parameters(3), 8)
    density = vq.FactorizedDensity(network, likelihood)
    images = small.pictures(2)
    context = {"local": np.ones([2, 4, 4, 5], np.float32)}
    expected = density.log_prob(images, context)
    density.save_to_preset(tmp_path / "density")
    loaded = vq.FactorizedDensity.from_preset(tmp_path / "density")
    np.testing.assert_array_equal(loaded.log_prob(images, context), expected)
