"""A VQ-VAE of the codes of another one, with a prior: two levels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf import (
    VQVAE,
    Encoder,
    GlobalEncoder,
    LatentGenerator,
    VectorQuantizerEMA,
)
from vqvae_tf.runtime import random

SIZE = small.SIZE


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small.two_levels()


def test_log_prob_is_the_sum_of_three_parts(model):
    x = small.pictures(5)
    base, above = model.autoencoder, model.prior.autoencoder
    codes = base.encode(x)
    latents = above.encode(codes)
    assert codes.shape == (5, 4, 4) and latents.shape == (5, 1, 1, 3)
    parts = [
        base.decoder.log_prob(x, {"local": base.quantizer.decode(codes)}),
        above.decoder.log_prob(
            codes, {"local": above.quantizer.decode(latents)}
        ),
        model.prior.prior.log_prob(latents),
    ]
    parts = np.array([part.numpy() for part in parts], np.float64)
    assert np.all(parts < 0)
    np.testing.assert_allclose(model.log_prob(x), parts.sum(0), rtol=1e-6)
    np.testing.assert_allclose(
        model.prior.log_prob(codes), parts[1:].sum(0), rtol=1e-5
    )
    bits = model.bits_per_dim(x)
    scale = -1 / (SIZE * SIZE * 3 * np.log(2))
    np.testing.assert_allclose(
        bits["prior"], parts[1:].sum(0) * scale, rtol=1e-5
    )


def test_what_the_levels_are_of(model):
    assert model.prior.num_embeddings == 8
    assert model.prior.num_codebooks == 1
    assert model.prior.event_shape == (4, 4)
    assert model.num_embeddings is None
    assert model.event_shape == (SIZE, SIZE, 3)


def test_samples(model):
    draws = model.sample(4, seed=1)
    assert draws.shape == (4, SIZE, SIZE, 3) and draws.dtype == tf.uint8
    np.testing.assert_array_equal(model.sample(4, seed=1), draws)
    assert np.any(model.sample(4, seed=2) != draws)
    assert np.any(draws[0] != draws[1])
    maps = model.prior.sample(3, seed=1)
    assert maps.shape == (3, 4, 4) and maps.dtype == tf.int32
    assert model.prior.prior.sample(3, seed=1).shape == (3, 1, 1, 3)


def test_a_sample_goes_down_level_by_level(model):
    seed = random.fold_in(random.make_seed(5), 0)
    maps = model.prior.sample(4, temperature=0.7, seed=seed)
    received = model.sample(4, temperature=0.7, seed=5)
    np.testing.assert_array_equal(received, model.decode(maps))
    above = model.prior.autoencoder
    latents = model.prior.prior.sample(
        4, temperature=0.7, seed=random.fold_in(seed, 0)
    )
    expected = above.decoder.sample(
        context={"local": above.quantizer.decode(latents)},
        temperature=0.7,
        seed=random.fold_in(seed, 1),
    )
    np.testing.assert_array_equal(maps, expected)


def test_one_set_of_global_codes_has_many_maps(model):
    inner = model.prior.autoencoder
    latents = np.tile(model.prior.prior.sample(1, seed=1), [4, 1, 1, 1])
    local = inner.quantizer.decode(latents)
    maps = inner.decoder.sample(context={"local": local}, seed=1).numpy()
    assert np.any(maps[0] != maps[1])


def test_top_k_is_of_both_levels(model):
    top = model.prior
    expected = np.tile(top.sample(1, top_k=1, seed=1), [4, 1, 1])
    for seed in (1, 2):
        maps = top.sample(4, top_k=1, seed=seed)
        np.testing.assert_array_equal(maps, expected)
    maps = top.sample(4, top_k=2, seed=1).numpy()
    assert np.any(maps[0] != maps[1])


@pytest.mark.parametrize("zero", [0, 0.0, tf.constant(0.0)])
def test_temperature_0_takes_the_most_probable(model, zero):
    """A decoder of codes has no point estimate, but most probable codes."""
    top = model.prior
    maps = top.sample(2, temperature=zero, seed=1)
    np.testing.assert_array_equal(maps[0], maps[1])
    again = top.sample(2, temperature=0.0, seed=2)
    np.testing.assert_array_equal(maps, again)
    above = top.autoencoder
    latents = top.prior.sample(2, temperature=0, seed=1)
    logits = above.decoder.logits(
        maps, {"local": above.quantizer.decode(latents)}
    )
    np.testing.assert_array_equal(np.argmax(logits, axis=-1), maps)


def test_completion_is_refused(model):
    maps = model.encode(small.pictures(2))
    mask = np.ones([2, 4, 4], bool)
    message = "cannot complete codes. Received: given, for a Latent.* are codes"
    with pytest.raises(ValueError, match=message):
        model.prior.sample(given=maps, given_mask=mask)
    pictures = dict(given=small.pictures(2), given_mask=np.ones([2, 16, 16]))
    with pytest.raises(ValueError, match=message):
        model.sample(**pictures)


def of_codes(num_embeddings):
    """A VQ-VAE of other codes."""
    return VQVAE(
        GlobalEncoder(4, 4, hidden_channels=8),
        VectorQuantizerEMA(8, 4),
        small.prior(local_channels=4, local_upsampling=4),
        event_shape=(4, 4),
    ), VQVAE(
        Encoder(4, hidden_channels=8),
        VectorQuantizerEMA(num_embeddings, 4),
        small.prior(local_channels=4, local_upsampling=4),
    )


def test_parts_that_do_not_fit(model):
    _, of_nine = of_codes(9)
    for autoencoder, prior, message in [
        (of_nine, model.prior, "num_embeddings=9. Received: .*embeddings=8"),
        (
            small.autoencoder(2),
            model.prior,
            "num_codebooks=2. Received: a prior with num_codebooks=1",
        ),
        # A model of pictures is no prior of codes, nor is a VQ-VAE of them.
        (
            model.autoencoder,
            small.generator(),
            "num_embeddings=8. Received: a prior with num_embeddings=None",
        ),
        (
            model.autoencoder,
            model,
            "Received: a prior with num_embeddings=None",
        ),
        (
            model.autoencoder,
            model.prior.autoencoder,
            "density over its codes. Received: VQVAE and VQVAE",
        ),
        # The other way round.
        (model.prior.autoencoder, model.prior, "Received: a prior with num_co"),
    ]:
        with pytest.raises(ValueError, match=message):
            LatentGenerator(autoencoder, prior)


def test_preset(model, tmp_path):
    model.save_to_preset(tmp_path / "levels")
    loaded = LatentGenerator.from_preset(tmp_path / "levels")
    assert type(loaded.prior) is LatentGenerator
    x = small.pictures(3)
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    np.testing.assert_array_equal(
        loaded.sample(3, seed=4), model.sample(3, seed=4)
    )
    codes = loaded.prior.encode(loaded.encode(x))
    np.testing.assert_array_equal(codes, model.prior.encode(model.encode(x)))
