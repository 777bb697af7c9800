"""Recipes of spectrograms: their keys, the data, and the VQ-VAE they build."""

import numpy as np

from vqvae_tf import VQVAE, data, densities, layers
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.recipes import building, registry, rules, schema


def defaults():
    """Returns a recipe of spectrograms with every key at its default."""
    return schema.common(
        data=schema.data(sample_rate=8000, num_mels=32, num_frames=32),
        encoder=schema.section(name="Encoder"),
        quantizer=schema.section(name="VectorQuantizerEMA"),
        likelihood=schema.section(name="Gaussian"),
        decoder=schema.section(name="Decoder"),
        training=schema.training(),
        prior=schema.section(name=None),
        prior_training=schema.prior_training(),
    )


def check(config):
    """Raises ValueError where strides do not divide a spectrogram."""
    stride = 2 ** config.encoder.get("num_downsamples", 2)
    for key in ("num_mels", "num_frames"):
        if config.data[key] % stride:
            raise ValueError(
                f"data.{key} must be a multiple of the encoder's stride, "
                f"{stride}. Received: {config.data[key]}."
            )


def open_split(description, split, data_dir=None) -> ArrayImages:
    """Opens recordings as grey pictures: mel bands down, time across."""
    audio = data.open_audio(
        description["source"], split, description["sample_rate"], data_dir
    )
    frames = description["num_frames"]
    log_mel = layers.LogMel(
        description["sample_rate"], description["num_mels"], hop=128
    )
    pictures = []
    for i in range(audio.num_examples):
        mels = log_mel(audio.get(i)["waveform"][None])[0, :frames]
        padded = np.pad(
            mels, [(0, frames - len(mels)), (0, 0)], constant_values=-11.5
        )
        # Silence is black; a tone of full scale is almost white.
        levels = np.clip((padded + 11.5) * 12, 0, 255).astype(np.uint8)
        pictures.append(levels.T[::-1, :, None])
    return ArrayImages(f"spectrograms of {audio.name}", np.stack(pictures))


def make_autoencoder(config) -> VQVAE:
    """Makes the recipe's VQ-VAE."""
    likelihood = building.make(config, "likelihood")
    network = building.make(
        config, "decoder", output_channels=likelihood.num_parameters(1)
    )
    return VQVAE(
        building.make(config, "encoder"),
        building.make(config, "quantizer"),
        densities.FactorizedDensity(network, likelihood),
        event_shape=(config.data.num_mels, config.data.num_frames, 1),
    )


KIND = registry.Kind(
    name="spectrograms",
    defaults=defaults,
    check=check,
    make_autoencoder=make_autoencoder,
    make_prior=building.prior_of_codes,
    rules={"data.num_mels": rules.SIZE, "data.num_frames": rules.SIZE},
)
