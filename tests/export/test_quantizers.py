"""SavedModels of every quantizer: codes and pictures are the model's own."""

import re

import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from support.export_harness import call, prior_answers
from vqvae_tf import quantizers
from vqvae_tf.export.saved_model import export


def residual(**options):
    return quantizers.ResidualQuantizer(vq.VectorQuantizer(8, 4), 2, **options)


def several_sizes():
    return quantizers.ResidualQuantizer(
        [vq.VectorQuantizer(size, 4) for size in (8, 4, 16)]
    )


QUANTIZERS = {
    "FSQ": lambda: quantizers.FSQ((4, 3, 3)),
    "residual": residual,
    "residual, by a beam": lambda: residual(beam_size=3),
    "groups of residuals": lambda: quantizers.GroupedQuantizer(residual(), 2),
    "stages of several sizes": several_sizes,
    "LFQ": lambda: quantizers.LFQ(4),
    "BSQ": lambda: quantizers.BSQ(4),
    "SimVQ": lambda: quantizers.SimVQ(8, 4),
    "random projection": lambda: quantizers.RandomProjectionQuantizer(8, 4),
    "factorized and shared": lambda: vq.VectorQuantizer(
        8, 4, num_codebooks=2, codebook_dim=2, shared_codebook=True
    ),
    "cosine, by k-means": lambda: vq.VectorQuantizerEMA(
        8,
        4,
        distance="cosine",
        initialization="kmeans",
        sampling=quantizers.SoftmaxSampling(),
    ),
}
FAST = ("FSQ", "groups of residuals", "stages of several sizes")


def autoencoder(quantizer):
    return vq.VQVAE(
        vq.Encoder(quantizer.channels, **small.SMALL),
        quantizer,
        vq.FactorizedDensity(vq.Decoder(3, **small.SMALL), vq.Gaussian()),
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST))
        for name in QUANTIZERS
    ],
)
def test_encode_and_decode(name, tmp_path):
    quantizer = QUANTIZERS[name]()
    model = autoencoder(quantizer)
    model.build()
    signatures = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    x = small.pictures(3)
    codes = model.encode(x)
    assert codes.shape == (3, *quantizer.codes_shape((4, 4, None)))
    received = signatures["encode"](images=tf.constant(x))["codes"]
    np.testing.assert_array_equal(received, codes)
    decoded = signatures["decode"](codes=received)["images"]
    # Rounded to levels, which XLA and graphs may do otherwise at a half.
    expected = model.decode(codes).numpy().astype(int)
    assert np.abs(decoded.numpy().astype(int) - expected).max() <= 1
    _check_refused(signatures, quantizer, codes.numpy())
    if quantizer.leaves_out_codes:
        fewer = codes.numpy()
        fewer[..., 1:] = -1
        decoded = signatures["decode"](codes=tf.constant(fewer))["images"]
        expected = model.decode(codes[..., :1]).numpy().astype(int)
        assert np.abs(decoded.numpy().astype(int) - expected).max() <= 1


def test_a_prior_of_several_sizes(tmp_path):
    model = vq.LatentGenerator(
        autoencoder(several_sizes()),
        vq.PixelCNN((8, 4, 16), (4, 4), 3, hidden_channels=8, num_layers=1),
    )
    model.build()
    signatures = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    for name, inputs, outputs in prior_answers(model, small.pictures(2)):
        received = call(signatures, name, inputs)
        for key, value in outputs.items():
            difference = np.float64(received[key]) - np.float64(value)
            # Pictures are rounded to levels.
            most = 1 if key == "images" else 1e-4
            assert np.abs(difference).max() <= most, (name, key)


def _check_refused(signatures, quantizer, codes):
    """A code that its codebook does not have, of each codebook."""
    for book, size in enumerate(quantizer.num_codes):
        for wrong in (-2 if quantizer.leaves_out_codes else -1, size):
            given = codes.reshape(-1, quantizer.num_codebooks).copy()
            given[0, book] = wrong
            given = tf.constant(given.reshape(codes.shape))
            with pytest.raises(tf.errors.InvalidArgumentError) as error:
                signatures["decode"](codes=given)
            most = re.escape(f"0..{_largest(quantizer)}")
            assert re.search(f"Expected codes in {most}", str(error.value))


def _largest(quantizer):
    largest = [size - 1 for size in quantizer.num_codes]
    return largest if len(set(largest)) > 1 else largest[0]
