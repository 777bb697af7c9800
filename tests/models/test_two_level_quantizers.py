"""Two levels of codes, with other quantizers at either of them."""

import numpy as np
import pytest

import vqvae_tf as vq
from support import small, video as videos
from support.harness import saved_and_loaded
from vqvae_tf.evaluation.two_levels import MapBits
from vqvae_tf.models.level_priors import sizes_of
from vqvae_tf.utils.code_sizes import as_argument

# Of the lower level and of the upper one.
LEVELS = [("FSQ", "residual"), ("residual", "FSQ")]


def of_codes(quantizer, grid, **options):
    """A PixelCNN of a quantizer's codes."""
    return vq.PixelCNN(
        as_argument(quantizer.num_codes),
        grid,
        num_codebooks=quantizer.num_codebooks,
        hidden_channels=8,
        num_layers=1,
        head_channels=8,
        **options,
    )


def make(lower, upper):
    base, own = videos.autoencoder(lower), videos.quantizer(upper)
    above = vq.VQVAE(
        vq.GlobalEncoder(4, own.channels, **small.SMALL),
        own,
        of_codes(
            base.quantizer,
            (4, 4),
            local_channels=own.channels,
            local_upsampling=4,
        ),
        preprocess=vq.CodeEmbedding(sizes_of(base.quantizer), 6),
        event_shape=(4, 4, *axes_of(lower)),
    )
    above.build()
    rng = np.random.default_rng(1)
    for v in above.trainable_variables:
        v.assign(v + 0.2 * rng.normal(size=v.shape))
    top = vq.LatentGenerator(above, of_codes(own, (1, 1)))
    model = vq.LatentGenerator(base, top)
    model.build()
    return model


def axes_of(kind):
    """The axis of codebooks, which one codebook does not have."""
    count = len(videos.SIZES[kind])
    return (count,) if count > 1 else ()


@pytest.fixture(scope="module", params=LEVELS, ids="-".join)
def levels(request):
    return request.param


@pytest.fixture(scope="module")
def model(levels):
    return make(*levels)


def test_codes_of_both_levels(model, levels):
    x = small.pictures(6)
    maps = model.encode(x)
    assert maps.shape == (6, 4, 4, *axes_of(levels[0]))
    latents = model.prior.encode(maps)
    assert latents.shape == (6, 1, 1, *axes_of(levels[1]))
    assert len(np.unique(latents)) > 1
    again = model.prior.decode(latents)
    assert again.shape == maps.shape
    assert model.decode(again).shape == x.shape


def test_the_bound_and_samples(model, levels):
    x = small.pictures(3)
    maps = model.encode(x)
    base = model.autoencoder
    expected = base.decoder.log_prob(x, {"local": base.quantizer.decode(maps)})
    expected += model.prior.log_prob(maps)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-5)
    drawn = model.sample(2, seed=1)
    assert drawn.shape == (2, small.SIZE, small.SIZE, 3)
    assert model.prior.sample(2, seed=1).shape == (2, *maps.shape[1:])
    bits = MapBits(model.prior.autoencoder)
    latents = model.prior.encode(maps)
    assert bits(maps.numpy(), latents.numpy()).shape == (3,)


def test_the_upper_level_is_trained(model):
    maps = model.encode(small.pictures(8))
    above = make_again(model.prior.autoencoder)
    above.compile("adam")
    logs = above.fit(maps, batch_size=8, epochs=4, verbose=0).history
    assert np.all(np.isfinite(logs["loss"]))
    assert logs["loss"][-1] < logs["loss"][0]


def make_again(model):
    """A copy with the same weights."""
    copy = type(model).from_config(model.get_config())
    copy.build()
    copy.set_weights(model.get_weights())
    return copy


def test_saved_and_loaded(model):
    x = small.pictures(3)
    loaded = saved_and_loaded(model)
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    np.testing.assert_array_equal(
        loaded.sample(2, seed=4), model.sample(2, seed=4)
    )
