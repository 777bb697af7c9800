"""A window that slides over grids larger than a density's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support.harness import assert_config_round_trip
from vqvae_tf import WindowedDensity
from vqvae_tf.densities.windowed import windows

CODES = 5


def make(num_codebooks=1, global_channels=None, window=(3, 4), **options):
    keras.utils.set_random_seed(0)
    prior = vq.PixelCNN(
        CODES,
        window,
        num_codebooks,
        hidden_channels=4,
        num_layers=1,
        head_channels=4,
        global_channels=global_channels,
    )
    prior.build()
    rng = np.random.default_rng(0)
    for variable in prior.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return WindowedDensity(prior, (5, 7), **options)


def grids(count=2, shape=(5, 7)):
    rng = np.random.default_rng(1)
    return rng.integers(0, CODES, [count, *shape]).astype(np.int32)


@pytest.mark.parametrize(
    "grid, size, stride",
    [
        ((5, 7), (3, 4), (1, 2)),
        ((5, 7), (5, 7), (2, 3)),
        ((2, 9), (3, 4), (1, 4)),
        ((4, 4), (2, 2), (2, 2)),
    ],
)
def test_each_position_is_new_once(grid, size, stride):
    count = np.zeros(grid, int)
    for window in windows(grid, size, stride):
        count[
            window.top : window.top + window.height,
            window.left : window.left + window.width,
        ] += window.new
        assert window.height <= size[0] and window.width <= size[1]
    np.testing.assert_array_equal(count, 1)


def test_log_prob_is_the_sum_of_new_positions():
    density, codes = make(), grids()
    total = np.zeros(2)
    for window in windows((5, 7), (3, 4), (1, 2)):
        part = codes[
            :,
            window.top : window.top + 3,
            window.left : window.left + 4,
        ]
        logits = density.density.logits(part)
        terms = -tf.nn.sparse_softmax_cross_entropy_with_logits(part, logits)
        total += (terms.numpy() * window.new).sum((1, 2))
    np.testing.assert_allclose(density.log_prob(codes), total, rtol=1e-5)


def test_probabilities_sum_to_1():
    """All grids of 2x3 codes of 2, under a window of 2x2."""
    prior = vq.PixelCNN(
        2, (2, 2), hidden_channels=4, num_layers=1, head_channels=4
    )
    density = WindowedDensity(prior, (2, 3))
    every = np.indices([2] * 6).reshape(6, -1).T.reshape(-1, 2, 3)
    total = tf.reduce_sum(tf.exp(density.log_prob(every.astype(np.int32))))
    assert float(total) == pytest.approx(1.0, rel=1e-5)


def test_samples_have_these_probabilities():
    """Frequencies of 4,000 samples of 1x3 codes of 2."""
    keras.utils.set_random_seed(3)
    prior = vq.PixelCNN(
        2, (1, 2), hidden_channels=4, num_layers=1, head_channels=4
    )
    prior.build()
    for v in prior.trainable_variables:
        v.assign(np.random.default_rng(0).normal(0, 1, v.shape))
    density = WindowedDensity(prior, (1, 3))
    drawn = density.sample(4000, seed=0).numpy().reshape(-1, 3)
    every = np.indices([2] * 3).reshape(3, -1).T
    p = np.exp(density.log_prob(every.reshape(-1, 1, 3).astype(np.int32)))
    found = [(drawn == codes).all(-1).mean() for codes in every]
    assert np.abs(found - p).max() < 4 * np.sqrt(0.25 / 4000)


def test_one_window_is_the_density_itself():
    density = make()
    codes = grids(shape=(3, 4))
    np.testing.assert_allclose(
        density.log_prob(codes), density.density.log_prob(codes), rtol=1e-6
    )


def test_masks_exclude_positions():
    density, codes = make(), grids()
    mask = np.random.default_rng(2).random([2, 5, 7]) < 0.5
    parts = (
        density.log_prob(codes, mask=mask),
        density.log_prob(codes, mask=~mask),
    )
    np.testing.assert_allclose(sum(parts), density.log_prob(codes), rtol=1e-5)


@pytest.mark.parametrize("num_codebooks", [1, 2])
def test_samples_keep_what_is_given(num_codebooks):
    density = make(num_codebooks, global_channels=3)
    context = {"global": tf.one_hot([0, 2], 3)}
    drawn = density.sample(context=context, seed=1)
    books = () if num_codebooks == 1 else (2,)
    assert drawn.shape == (2, 5, 7, *books)
    again = density.sample(context=context, seed=1)
    np.testing.assert_array_equal(drawn, again)
    assert np.any(density.sample(context=context, seed=2) != drawn)
    mask = np.zeros([2, 5, 7], bool)
    mask[:, 2:4, 3:] = True
    other = density.sample(
        context=context, seed=3, given=drawn, given_mask=mask
    )
    np.testing.assert_array_equal(other.numpy()[mask], drawn.numpy()[mask])
    assert np.any(other != drawn)
    graph = tf.function(lambda seed: density.sample(context=context, seed=seed))
    np.testing.assert_array_equal(graph(1), drawn)


def test_as_a_prior_of_larger_pictures():
    from support import small

    model = small.autoencoder()
    prior = vq.PixelCNN(8, (4, 4), hidden_channels=4, num_layers=1)
    generator = vq.LatentGenerator(model, WindowedDensity(prior, (4, 8)))
    assert generator.sample(2, seed=0).shape == (2, 16, 32, 3)


def test_config_and_errors():
    density = make(stride=(2, 1))
    copy = assert_config_round_trip(density)
    assert copy.stride == (2, 1) and copy.window == (3, 4)
    with pytest.raises(ValueError, match="event_shape must be .height, width"):
        WindowedDensity(density.density, (4,))
    with pytest.raises(ValueError, match="without a local context"):
        local = vq.PixelCNN(8, (4, 4), local_channels=3)
        WindowedDensity(local, (4, 8))
    with pytest.raises(ValueError, match="leaves codes out.*stride=.4, 1"):
        WindowedDensity(density.density, (5, 7), stride=(4, 1))
    with pytest.raises(ValueError, match="draws codes in order"):
        masked = vq.MaskedCodeTransformer(
            8, (4, 4), hidden_channels=8, num_layers=1, num_heads=1
        )
        WindowedDensity(masked, (4, 8))
    with pytest.raises(ValueError, match="grids of known sizes"):
        tf.function(
            density.log_prob,
            input_signature=[tf.TensorSpec([None, None, 7], tf.int32)],
        ).get_concrete_function()
