"""Parts in roles that are not theirs are refused when a model is made."""

import functools

import keras
import pytest

import vqvae_tf as vq
from support import small

encoder = functools.partial(vq.Encoder, 4, hidden_channels=4)
decoder = functools.partial(vq.Decoder, 3, hidden_channels=4)
quantizer = functools.partial(vq.VectorQuantizer, 8, 4)
law = functools.partial(vq.MuLaw, 16)


def density():
    return vq.FactorizedDensity(decoder(), vq.Gaussian())


def waveforms():
    levels = small.wavenet(16, local_channels=4, local_upsampling=4)
    return vq.WaveformDensity(levels, law())


def gaussian():
    return vq.bottlenecks.DiagonalGaussian()


def vqvae():
    return vq.VQVAE(encoder(), quantizer(), density())


MADE = {
    "VQVAE": (
        vq.VQVAE,
        dict(encoder=encoder, quantizer=quantizer, decoder=density),
    ),
    "Autoencoder": (
        vq.Autoencoder,
        dict(
            encoder=encoder,
            bottleneck=gaussian,
            decoder=density,
            corruption=lambda: vq.layers.MaskingNoise(0.5),
            observation=vq.layers.Binarization,
            preprocess=vq.PixelScaling,
        ),
    ),
    "SpeechVQVAE": (
        vq.SpeechVQVAE,
        dict(
            encoder=functools.partial(encoder, num_downsamples=2, rank=1),
            quantizer=quantizer,
            decoder=waveforms,
            preprocess=law,
            auxiliary=lambda: small.spectral_decoder(sample_rate=8000),
            fast_decoder=lambda: small.spectral_decoder(sample_rate=8000),
        ),
    ),
    "FactorizedDensity": (
        vq.FactorizedDensity,
        dict(network=decoder, likelihood=vq.Gaussian),
    ),
    "WaveformDensity": (
        vq.WaveformDensity,
        dict(density=lambda: small.wavenet(16), companding=law),
    ),
    "ConditionalDensity": (
        vq.ConditionalDensity,
        dict(
            network=lambda: vq.PastFrames(8, 2, hidden_channels=4),
            density=lambda: small.prior(local_channels=4),
        ),
    ),
    "LatentGenerator": (
        vq.LatentGenerator,
        dict(autoencoder=vqvae, prior=small.prior),
    ),
}
OTHERS = {
    "None": lambda: None,
    "a class": lambda: vq.Encoder,
    "a number": lambda: 3,
    "a string": lambda: "Gaussian",
    "a network": encoder,
    "a Keras layer": lambda: keras.layers.Dense(3),
    "a quantizer": quantizer,
    "a bottleneck": gaussian,
    "a likelihood": vq.Gaussian,
    "a density": density,
    "a model": vqvae,
}
# What may stand there, although it is not the usual.
ALLOWED = {
    "encoder": ("a network", "a Keras layer"),
    "network": ("a network", "a Keras layer"),
    "preprocess": ("None", "a network", "a Keras layer"),
    "corruption": ("None", "a network", "a Keras layer"),
    "observation": ("None", "a network", "a Keras layer"),
    "auxiliary": ("None",),
    "fast_decoder": ("None",),
    "quantizer": ("a quantizer",),
    "bottleneck": ("a bottleneck",),
    "likelihood": ("a likelihood",),
    "decoder": ("a density",),
    "autoencoder": ("a model",),
}
_DENSITIES = [("ConditionalDensity", "density"), ("LatentGenerator", "prior")]
CASES = [(name, part) for name, (_, parts) in MADE.items() for part in parts]


@pytest.mark.parametrize("name, part", CASES)
def test_a_part_in_another_role_is_refused_when_the_model_is_made(name, part):
    cls, makers = MADE[name]
    parts = {key: make() for key, make in makers.items()}
    cls(**parts)  # all is well
    allowed = ALLOWED.get(part, ())
    if (name, part) in _DENSITIES:
        allowed = ("a density",)
    for other, make in OTHERS.items():
        if other not in allowed:
            with pytest.raises(ValueError, match="Received: "):
                cls(**{**parts, part: make()})


@pytest.mark.parametrize(
    "part, received",
    [
        (decoder, "Decoder, a layer or network"),
        (vq.Gaussian, "Gaussian, a likelihood"),
        (lambda: vq.Decoder, "the class Decoder itself; pass Decoder"),
        (lambda: None, "None"),
        (lambda: len, "of type builtin_function_or_method"),
    ],
)
def test_the_error_says_what_was_given_and_what_is_meant(part, received):
    with pytest.raises(ValueError) as error:
        vq.VQVAE(encoder(), quantizer(), part())
    assert error.match(r"The decoder of a VQVAE must be a density .*Factorized")
    assert error.match(f"Received: .*{received}")


def test_helpers_of_speech_train_speech_alone():
    for cls in (vq.models.SpeechCoder, vq.models.SpeechFastDecoder):
        with pytest.raises(
            ValueError, match="must be a SpeechVQVAE. Received: VQ"
        ):
            cls(vqvae())


def test_any_keras_model_is_a_network():
    network = keras.Sequential([keras.layers.Conv2D(4, 4, 4, padding="same")])
    vq.VQVAE(network, quantizer(), density())
