"""Keras' own `Model.export` and `quantize`: that they work, or say why not."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small

RNG = np.random.default_rng(0)


def codes(*shape):
    return RNG.integers(0, 8, shape).astype(np.int32)


def one_hot(count):
    return {"global": np.eye(count, dtype=np.float32)[[0, 1]]}


def pictures():
    return small.pictures(2).astype(np.float32)


def decoder():
    return small.autoencoder().decoder


# What makes a model, and what it is called with.
CALLED = {
    "VQVAE": (small.autoencoder, lambda: [pictures()]),
    "Autoencoder": (small.vae, lambda: [pictures()]),
    "VQVAE of codes": (
        lambda: small.two_levels().prior.autoencoder,
        lambda: [codes(2, 4, 4)],
    ),
    "SpeechVQVAE": (
        small.speech_vqvae,
        lambda: [small.waveforms(2, 8), one_hot(3)],
    ),
    "LatentGenerator": (small.generator, lambda: [pictures()]),
    "LatentGenerator of classes": (
        lambda: small.generator(num_classes=5),
        lambda: [pictures(), one_hot(5)],
    ),
    "PixelCNN": (
        lambda: small.prior(2, global_channels=5),
        lambda: [codes(2, 4, 4, 2), one_hot(5)],
    ),
    "WaveNet": (lambda: small.wavenet(8), lambda: [codes(2, 6)]),
    "ConditionalDensity": (
        lambda: small.video().prior,
        lambda: [
            codes(2, 4, 4),
            {"past": codes(2, 2, 4, 4), "action": np.int32([0, 4])},
        ],
    ),
    "FactorizedDensity": (
        decoder,
        lambda: [pictures(), {"local": np.zeros([2, 4, 4, 4], np.float32)}],
    ),
}


@pytest.mark.parametrize("name", CALLED)
def test_an_exported_call_answers_as_the_model_does(name, tmp_path):
    make, arguments = CALLED[name]
    model, given = make(), arguments()
    model.export(tmp_path / "call", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "call"))
    np.testing.assert_allclose(
        tf.cast(loaded.serve(*given), tf.float32),
        tf.cast(model(*given), tf.float32),
        rtol=1e-5,
    )


def test_a_model_that_was_only_fitted_is_exported_for_tensorflow_alone(
    tmp_path,
):
    model = small.dense_vae(8)
    x = RNG.integers(0, 256, [4, 8, 8, 1]).astype(np.float32)
    model.compile("sgd")
    model.fit(x, verbose=0)
    model.export(tmp_path / "call", verbose=False)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", model(x))
    code = (
        "import sys; sys.modules['keras'] = sys.modules['vqvae_tf'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        "x, y = np.load('x.npy'), np.load('y.npy')\n"
        "loaded = tf.saved_model.load('call')\n"
        "assert abs(loaded.serve(x).numpy() - y.astype(int)).max() <= 1"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_another_signature_can_be_given(tmp_path):
    model = small.autoencoder()
    spec = tf.TensorSpec([1, 32, 32, 3], tf.uint8, "pictures")
    model.export(tmp_path / "call", verbose=False, input_signature=[spec])
    loaded = tf.saved_model.load(str(tmp_path / "call"))
    assert loaded.serve(tf.zeros([1, 32, 32, 3], tf.uint8)).shape == spec.shape


def test_what_cannot_be_called_is_not_exported(tmp_path):
    speech = small.speech_vqvae(auxiliary=small.spectral_decoder())
    for model in (small.video(), vq.models.SpeechCoder(speech)):
        with pytest.raises(ValueError, match="vqvae_tf.export.export"):
            model.export(tmp_path / "call")
    density = vq.FactorizedDensity(
        vq.Decoder(3, hidden_channels=4), vq.Gaussian()
    )
    with pytest.raises(ValueError, match="input_signature"):
        density.export(tmp_path / "call")
    assert not list(tmp_path.iterdir())


def test_models_are_not_quantized_to_what_could_not_be_loaded():
    for model in (small.dense_vae(8), small.generator().prior):
        variables = [v.dtype for v in model.variables]
        with pytest.raises(ValueError, match="cannot quantize models.*LiteRT"):
            model.quantize("int8")
        assert [v.dtype for v in model.variables] == variables
