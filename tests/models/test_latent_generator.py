"""An autoencoder and a prior as one density: the bound, and its samples."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import run_density_test
from vqvae_tf import (
    VQVAE,
    Decoder,
    Encoder,
    FactorizedDensity,
    Gaussian,
    LatentGenerator,
    PixelCNN,
    VectorQuantizer,
)
from vqvae_tf.runtime import random

SIZE = small.SIZE
DIMENSIONS = SIZE * SIZE * 3
CLASSES = {"global": np.eye(2, dtype=np.float32)[[0, 1, 1]]}


@pytest.fixture(scope="module", params=[1, 2], ids=["G=1", "G=2"])
def model(request):
    keras.utils.set_random_seed(0)
    return small.generator(request.param, num_classes=2)


@pytest.fixture(scope="module")
def plain():
    keras.utils.set_random_seed(0)
    return small.generator()


def parts(model, x, context):
    """log p(x | z_q) and log p(z_q), from the parts' own methods."""
    codes = model.autoencoder.encode(x)
    local = model.autoencoder.quantizer.decode(codes)
    return (
        model.autoencoder.decoder.log_prob(x, {"local": local}).numpy(),
        model.prior.log_prob(codes, context).numpy(),
    )


# The bound -------------------------------------------------------------------


def test_log_prob_is_the_sum_of_its_parts(model):
    x = small.pictures(3)
    reconstruction, prior = parts(model, x, CLASSES)
    assert np.all(prior < 0) and np.all(reconstruction < prior)
    received = model.log_prob(x, CLASSES)
    np.testing.assert_allclose(received, reconstruction + prior, rtol=1e-6)
    other = {"global": CLASSES["global"][:, ::-1]}
    assert np.all(model.log_prob(x, other) != received)


def test_bits_per_dim_and_evaluate(model):
    x = small.pictures(3)
    nats = np.array(parts(model, x, CLASSES), np.float64)
    expected = -nats / (DIMENSIONS * np.log(2))
    bits = model.bits_per_dim(x, CLASSES)
    assert set(bits) == {"total", "reconstruction", "prior"}
    np.testing.assert_allclose(bits["reconstruction"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(bits["prior"], expected[1], rtol=1e-5)
    np.testing.assert_allclose(bits["total"], expected.sum(0), rtol=1e-5)
    model.compile("sgd")
    # The second batch has one row of padding.
    padded = np.concatenate([x, x[:1]])
    context = {"global": np.concatenate([CLASSES["global"], [[1.0, 0.0]]])}
    logs = model.evaluate(
        padded,
        context,
        batch_size=2,
        sample_weight=np.array([1.0, 1.0, 1.0, 0.0]),
        verbose=0,
        return_dict=True,
    )
    assert set(logs) == {
        "loss",
        "bits_per_dim",
        "reconstruction_bits",
        "prior_bits",
    }
    means = expected.mean(1)
    for name, value in [
        ("reconstruction_bits", means[0]),
        ("prior_bits", means[1]),
        ("bits_per_dim", means.sum()),
        ("loss", means.sum() * np.log(2)),
    ]:
        np.testing.assert_allclose(logs[name], value, rtol=1e-5)


def test_log_prob_is_below_that_of_all_codes_together():
    """log p(x) = log sum_c p(x | c) p(c), over all 16 grids of codes c."""
    keras.utils.set_random_seed(0)
    likelihood = Gaussian(scale=60.0)
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    autoencoder = VQVAE(
        Encoder(4, **sizes),
        VectorQuantizer(2, 4),
        FactorizedDensity(Decoder(3, **sizes), likelihood),
        event_shape=(8, 8, 3),
    )
    prior = PixelCNN(2, (2, 2), hidden_channels=4, num_layers=1)
    model = LatentGenerator(autoencoder, prior)
    model.build()
    x = small.pictures(3, 8)
    every = list(itertools.product(range(2), repeat=4))
    every = np.array(every, np.int32).reshape(16, 2, 2)
    log_prior = prior.log_prob(every).numpy().astype(np.float64)
    np.testing.assert_allclose(np.exp(log_prior).sum(), 1.0, rtol=1e-5)
    local = autoencoder.quantizer.decode(every)
    bounds = model.log_prob(x).numpy()
    for picture, bound in zip(x, bounds):
        given = autoencoder.decoder.log_prob(
            np.tile(picture, [16, 1, 1, 1]), {"local": local}
        )
        joint = given.numpy().astype(np.float64) + log_prior
        assert bound < np.logaddexp.reduce(joint)
        assert np.min(abs(joint - bound)) < 1e-3  # one of the terms


def test_harness():
    keras.utils.set_random_seed(0)
    run_density_test(
        lambda **_: small.generator(num_classes=2),
        small.pictures(3),
        CLASSES,
        (3, SIZE, SIZE, 3),
        fits=False,
    )


# Samples ---------------------------------------------------------------------


def test_samples_are_decoded_samples_of_the_prior(model):
    seed = random.make_seed(5)
    codes = model.prior.sample(
        context=CLASSES, temperature=0.7, seed=random.fold_in(seed, 0)
    )
    received = model.sample(context=CLASSES, temperature=0.7, seed=5)
    assert received.dtype == tf.uint8
    assert received.shape == (3, SIZE, SIZE, 3)
    expected = model.autoencoder.decode(codes)
    np.testing.assert_array_equal(received, expected)


def test_seeds_and_numbers(plain):
    draws = plain.sample(4, seed=1)
    assert draws.shape == (4, SIZE, SIZE, 3)
    np.testing.assert_array_equal(plain.sample(4, seed=1), draws)
    assert np.any(plain.sample(4, seed=2) != draws)
    assert np.any(draws[0] != draws[1])
    np.testing.assert_array_equal(plain.mode(), plain.sample(seed=0))
    cold = plain.sample(2, temperature=0.0, seed=1)
    np.testing.assert_array_equal(cold, plain.sample(2, temperature=0.0))
    keras.utils.set_random_seed(3)
    free = plain.sample(4)
    assert np.any(plain.sample(4) != free)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(plain.sample(4), free)


def test_another_grid(plain):
    draws = plain.sample(2, event_shape=(3, 5), seed=0)
    assert draws.shape == (2, 12, 20, 3)


def test_decoder_temperature(plain):
    point = plain.sample(3, seed=1).numpy().astype(float)
    same = plain.sample(3, seed=1, decoder_temperature=0)
    np.testing.assert_array_equal(same, point)
    for temperature in (1.0, tf.constant(1.0)):
        noisy = plain.sample(3, seed=1, decoder_temperature=temperature)
        noisy = noisy.numpy().astype(float)
        # The likelihood's scale is 25, of the same codes.
        assert 20 < np.std(noisy - point) < 30
    cold = plain.sample(3, seed=1, decoder_temperature=tf.constant(0.0))
    np.testing.assert_array_equal(cold, point)


# Completion ------------------------------------------------------------------


def test_a_code_is_kept_where_all_of_its_data_is(model):
    """Codes are 4x4 pixels: one missing pixel frees a code."""
    x = small.pictures(3)
    mask = np.ones([3, SIZE, SIZE], bool)
    mask[0, :, 8:] = False  # the right half
    mask[1, 5, 6] = False  # one pixel of the code at (1, 1)
    mask[2] = False
    kept = np.ones([3, 4, 4], bool)
    kept[0, :, 2:] = False
    kept[1, 1, 1] = False
    kept[2] = False
    codes, received = model._given_codes(tf.constant(x), tf.constant(mask))
    np.testing.assert_array_equal(received, kept)
    for dtype in (bool, np.float32):
        completed = model.sample(
            context=CLASSES, seed=2, given=x, given_mask=mask.astype(dtype)
        )
        drawn = model.prior.sample(
            context=CLASSES,
            seed=random.fold_in(random.make_seed(2), 0),
            given=codes,
            given_mask=kept,
        )
        known = np.asarray(drawn) == np.asarray(codes)
        assert np.all(known[kept])
        expected = np.where(mask[..., None], x, model.decode(drawn))
        np.testing.assert_array_equal(completed, expected)


def test_hidden_data_changes_nothing(plain):
    """The encoder sees the mean of what is given in the place of the rest."""
    x = small.pictures(3)
    mask = np.ones([3, SIZE, SIZE], bool)
    mask[:, SIZE // 2 :] = False
    completed = plain.sample(seed=2, given=x, given_mask=mask)
    other = np.where(mask[..., None], x, np.float32(np.nan))
    np.testing.assert_array_equal(
        plain.sample(seed=2, given=other, given_mask=mask), completed
    )
    filled = x.astype(np.float32)
    half = filled[:, : SIZE // 2]
    filled[:, SIZE // 2 :] = half.mean(axis=(1, 2), keepdims=True)
    codes, _ = plain._given_codes(tf.constant(x), tf.constant(mask))
    np.testing.assert_array_equal(codes, plain.encode(filled))


def test_all_and_nothing_given(plain):
    x = small.pictures(3)
    nothing = np.zeros([3, SIZE, SIZE], bool)
    everything = plain.sample(seed=2, given=x, given_mask=~nothing)
    np.testing.assert_array_equal(everything, x)
    free = plain.sample(seed=2, given=x, given_mask=nothing)
    np.testing.assert_array_equal(free, plain.sample(3, seed=2))


# The autoencoder's methods, and what is refused ------------------------------


def test_codes_in_and_out(model):
    x = small.pictures(3)
    codes = model.autoencoder.encode(x)
    np.testing.assert_array_equal(model.encode(x), codes)
    decoded = model.autoencoder.decode(codes)
    np.testing.assert_array_equal(model.decode(codes), decoded)
    np.testing.assert_array_equal(model.reconstruct(x), decoded)


def test_classes_of_the_prior_alone():
    """A PixelCNN decoder that knows no classes, after a prior that does."""
    keras.utils.set_random_seed(0)
    sizes = dict(hidden_channels=8, num_layers=1, head_channels=8)
    autoencoder = VQVAE(
        Encoder(4, hidden_channels=8, num_downsamples=1),
        VectorQuantizer(8, 4),
        PixelCNN(256, (4, 4), 3, local_channels=4, local_upsampling=2, **sizes),
        event_shape=(4, 4, 3),
    )
    prior = PixelCNN(8, (2, 2), global_channels=2, **sizes)
    model = LatentGenerator(autoencoder, prior)
    x = small.pictures(3, 4)
    reconstruction, code_log_prob = parts(model, x, CLASSES)
    np.testing.assert_allclose(
        model.log_prob(x, CLASSES), reconstruction + code_log_prob, rtol=1e-5
    )
    assert model.sample(context=CLASSES, seed=0).shape == x.shape


def test_fit_is_refused(plain):
    plain.compile("adam")
    before = [v.numpy() for v in plain.trainable_variables]
    with pytest.raises(RuntimeError, match="trained in two stages: fit its"):
        plain.fit(small.pictures(2), verbose=0)
    for old, variable in zip(before, plain.trainable_variables):
        np.testing.assert_array_equal(variable, old)


def test_a_mask_leaves_codes_and_pixels_out():
    """Rows of padding below: as without them, for codes given in order."""
    model = small.generator()
    x = small.pictures(2)
    mask = np.ones([2, SIZE, SIZE], np.float32)
    mask[:, 8:] = 0
    # The encoder sees black there, whatever the pictures have.
    codes = model.encode(x * mask[..., None])
    decoder = model.autoencoder.decoder
    kept = mask[:, ::4, ::4]
    local = model.autoencoder.quantizer.decode(codes) * kept[..., None]
    expected = decoder.log_prob(x, {"local": local}, mask=mask)
    expected += model.prior.log_prob(codes, mask=kept)
    np.testing.assert_allclose(
        model.log_prob(x, mask=mask), expected, rtol=1e-6
    )
    model.compile()
    dataset = tf.data.Dataset.from_tensors((x, {}, mask))
    found = model.evaluate(dataset, verbose=0, return_dict=True)
    bits = -np.mean(expected) / (x[0].size / 2 * np.log(2))
    assert found["bits_per_dim"] == pytest.approx(bits, rel=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x: m.bits_per_dim(x / 255.0), "scaled already"),
        (lambda m, x: m.sample(2, decoder_temperature=-1.0), "at least 0"),
        (lambda m, x: m.sample(2, given=x), "given_mask=None"),
        (lambda m, x: m.log_prob(x[:, :10]), "multiples of the encoder's"),
        (lambda m, x: m.log_prob(x / 255.0), "scaled already"),
        (
            lambda m, x: m.sample(given=x, given_mask=x[:, :8, :, 0] > 9),
            "given_mask must have the shape of given without its",
        ),
        (
            lambda m, x: LatentGenerator(m.prior, m.autoencoder),
            "needs .autoencoder, prior.* Received: PixelCNN and VQVAE",
        ),
        (
            lambda m, x: LatentGenerator(m.autoencoder, PixelCNN(3, (4, 4))),
            "Received: a prior with num_embeddings=3",
        ),
        (
            lambda m, x: LatentGenerator(
                m.autoencoder,
                PixelCNN(m.prior.num_embeddings, (4, 4), num_codebooks=2),
            ),
            "Received: a prior with num_codebooks=2",
        ),
    ],
)
def test_errors(plain, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(plain, small.pictures(2))
    assert "Received: " in str(error.value)
