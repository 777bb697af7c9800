"""The bound over neighbouring codes, against all codes there are."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import small
from vqvae_tf.evaluation.neighbour_bound import neighbour_bound


def tiny(values, groups=1, **options):
    """A VQ-VAE of 4x4 pictures with one place of codes."""
    keras.utils.set_random_seed(0)
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    model = vq.VQVAE(
        vq.Encoder(2 * groups, **sizes),
        vq.VectorQuantizer(values, 2, num_codebooks=groups, **options),
        vq.FactorizedDensity(vq.Decoder(3, **sizes), vq.Gaussian()),
        event_shape=(4, 4, 3),
    )
    model.build()
    return model


def joint(model, x, codes):
    """log p(x | z) p(z) with a uniform prior, of one set of codes."""
    local = model.quantizer.decode(_shaped(model, codes))
    log_px = model.decoder.log_prob(x, {"local": local})
    return float(log_px[0]) - len(codes) * math.log(
        model.quantizer.num_embeddings
    )


def _shaped(model, codes):
    codes = np.reshape(codes, [1, 1, 1, -1]).astype(np.int32)
    return codes if model.quantizer.num_codebooks > 1 else codes[..., 0]


def test_one_place_gives_the_likelihood_itself():
    model, x = tiny(5), small.pictures(2, 4)
    found = neighbour_bound(model, x, num_nearest=4)
    for i in range(2):
        picture = x[i : i + 1]
        all_codes = [joint(model, picture, [k]) for k in range(5)]
        own = int(model.encode(picture).numpy().item())
        assert found["codes"][i] == pytest.approx(all_codes[own], rel=1e-5)
        expected = np.logaddexp.reduce(all_codes)
        assert found["neighbours"][i] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [{}, dict(shared_codebook=True, codebook_dim=3, distance="cosine")],
)
def test_neighbours_differ_in_one_codebook(options):
    model, x = tiny(3, groups=2, **options), small.pictures(1, 4)
    own = model.encode(x).numpy().ravel()
    near = [
        codes
        for codes in itertools.product(range(3), repeat=2)
        if np.sum(own != codes) <= 1
    ]
    assert len(near) == 5
    expected = np.logaddexp.reduce([joint(model, x, codes) for codes in near])
    found = neighbour_bound(model, x, num_nearest=2)["neighbours"][0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_nearest_come_first():
    model, x = tiny(6), small.pictures(1, 4)
    latent = model.latents(x).numpy().ravel()
    distance = ((model.quantizer.codebook.numpy() - latent) ** 2).sum(-1)
    order = np.argsort(distance)
    expected = np.logaddexp.reduce([joint(model, x, [k]) for k in order[:3]])
    found = neighbour_bound(model, x, num_nearest=2)["neighbours"][0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_learned_prior_counts():
    generator = small.generator()
    x = small.pictures(1)
    found = neighbour_bound(generator, x, num_nearest=1)
    expected = generator.log_prob(x)
    np.testing.assert_allclose(found["codes"], expected, rtol=1e-5)
    assert found["neighbours"] > found["codes"]
    uniform = neighbour_bound(generator.autoencoder, x, num_nearest=1)
    codes = generator.autoencoder.encode(x)
    difference = generator.prior.log_prob(codes) + 16 * math.log(8)
    # Of float32 bounds in the thousands.
    rounding = 4 * np.spacing(np.float32(np.abs(found["codes"]).max()))
    np.testing.assert_allclose(
        found["codes"] - uniform["codes"], difference, 1e-3, rounding
    )


@pytest.mark.parametrize(
    "number, message", [(5, "below K=5"), (0, "num_nearest must be a positive")]
)
def test_refusals(number, message):
    with pytest.raises(ValueError, match=message):
        neighbour_bound(tiny(5), tf.zeros([1, 4, 4, 3], tf.uint8), number)


@pytest.mark.parametrize(
    "quantizer",
    [
        vq.quantizers.FSQ((4, 4)),
        vq.quantizers.ResidualQuantizer(vq.VectorQuantizer(4, 3), 2),
    ],
)
def test_other_quantizers_are_refused(quantizer):
    model = vq.VQVAE(
        vq.Encoder(quantizer.channels, **small.SMALL),
        quantizer,
        vq.FactorizedDensity(vq.Decoder(3, **small.SMALL), vq.Gaussian()),
    )
    with pytest.raises(ValueError, match="data.neighbour_pictures=0"):
        neighbour_bound(model, small.pictures(1))
