"""Exported autoencoders of float latents: answers, refusals, warm-up."""

import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.export_harness import (
    DRAWS,
    call,
    kinds_of_outputs,
    run_comparison,
    run_refusal_test,
    run_warmup_test,
    session_of,
)
from vqvae_tf import Autoencoder, layers
from vqvae_tf.bottlenecks import IndependentCategorical, KSparse
from vqvae_tf.export.saved_model import export
from vqvae_tf.runtime import random
from vqvae_tf.samples.digits import sample_digits

BITS = ("bits_per_dim", "reconstruction", "prior")


def answers(model, images):
    """What the signatures but `sample` must say of pictures."""
    latents = model.encode(images).numpy()
    again = {"images": model.decode(latents)}
    found = [
        ("encode", {"images": images}, {"latents": latents}),
        ("decode", {"latents": latents}, again),
        ("reconstruct", {"images": images}, again),
    ]
    if not model.bottleneck.has_prior:
        return found
    for seed in (0, 5):
        inputs = {"images": images, "seed": np.int32(seed)}
        found.append(("score", inputs, score(model, images, seed)))
    return found


def score(model, images, seed):
    seed = random.make_seed(seed)
    if model.observation is not None:
        images = model.observation(images, seed=random.fold_in(seed, 0))
    terms = model.log_terms(images, seed=random.fold_in(seed, 1))
    size = -math.prod(images.shape[1:]) * math.log(2)
    parts = [term.numpy()[0] / size for term in terms]
    return dict(zip(BITS, [sum(parts), *parts]))


def samples(model, count):
    found = []
    for seed, temperature in DRAWS:
        drawn = {"images": model.sample(count, temperature, seed)}
        inputs = {
            "num_samples": np.int32(count),
            "temperature": np.float32(temperature),
            "seed": np.int32(seed),
        }
        found.append(("sample", inputs, drawn))
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A VAE, exported and compared, in a process without this package."""
    keras.utils.set_random_seed(1)
    model, images = small.vae(), small.pictures(5)
    expected = []
    for batch in (images, images[:2, :8], images[:1]):
        expected += answers(model, batch) + samples(model, len(batch))
    folder = tmp_path_factory.mktemp("served") / "vae"
    return model, run_comparison(model, folder, expected)


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(served[1]).signatures


def test_vae(served):
    assert served[1].name == "1"  # compared as it was made


@pytest.mark.slow
def test_binary_digits_and_dense_layers(tmp_path):
    model, digits = small.dense_vae(), sample_digits()[0]
    expected = []
    for batch in (digits[:3], digits[:1]):
        expected += answers(model, batch) + samples(model, len(batch))
    path = run_comparison(model, tmp_path / "digits", expected)
    saved = tf.saved_model.load(path).signatures
    large = {"images": np.zeros([1, 56, 56, 1], np.uint8)}
    message = "Height and width must be 28 and 28"
    run_refusal_test(saved, "encode", large, message, "[1 56 56 1]")
    many = {"latents": np.zeros([1, 2, 1, 3], np.float32)}
    run_refusal_test(saved, "decode", many, "grid of 1 x 1", "[1 2 1 3]")


@pytest.mark.slow
def test_codes_that_are_drawn(tmp_path):
    bottleneck = IndependentCategorical(6, 3, 2, num_samples=2)
    model, images = small.vae(bottleneck, 12), small.pictures(2)
    expected = answers(model, images) + samples(model, 2)
    run_comparison(model, tmp_path / "vimco", expected)


def test_no_prior_no_samples(tmp_path):
    # With all that only training has.
    model = small.vae(
        KSparse(5),
        corruption=layers.MaskingNoise(0.5),
        regularizer=layers.Contractive(0.1, "hutchinson"),
    )
    images = small.pictures(3)
    # Of these signatures and no others.
    expected = answers(model, images) + answers(model, images[:1])
    run_comparison(model, tmp_path / "m", expected)


def test_no_sizes_no_samples(tmp_path):
    parts = small.vae()
    model = Autoencoder(parts.encoder, parts.bottleneck, parts.decoder)
    saved = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    assert "score" in saved and "sample" not in saved
    for images in (small.pictures(2), small.pictures(1)[:, :8]):
        for name, inputs, expected in answers(model, images):
            for key, value in call(saved, name, inputs).items():
                np.testing.assert_allclose(value, expected[key], atol=1e-5)


def test_half_precision_is_exported_in_float32(tmp_path):
    reference = small.vae()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.vae()
    model.set_weights(reference.get_weights())
    saved = tf.saved_model.load(export(model, tmp_path / "m")).signatures
    images = small.pictures(3)
    found = call(saved, "encode", {"images": images})["latents"]
    np.testing.assert_allclose(found, reference.encode(images), atol=1e-6)


def test_signatures_name_their_outputs(signatures):
    images, latents = {"images": ("uint8", 4)}, {"latents": ("float32", 4)}
    assert kinds_of_outputs(signatures) == {
        "serving_default": latents,
        "encode": latents,
        "decode": images,
        "reconstruct": images,
        "sample": images,
        "score": {name: ("float32", 1) for name in BITS},
    }


def test_the_bound_is_of_the_posterior(signatures, served):
    """Its parts sum up, and its mean over seeds is the ELBO's.

    Falsely fails with a chance below 1e-4: 3 means of 200, 4.5 deviations.
    """
    images = small.pictures(3)
    parts = [
        call(signatures, "score", {"images": images, "seed": np.int32(seed)})
        for seed in range(200)
    ]
    rows = np.stack([[p[name].numpy() for name in BITS] for p in parts])
    np.testing.assert_allclose(rows[:, 0], rows[:, 1] + rows[:, 2], 1e-4)
    model = served[0]
    kl = model.bottleneck.kl_divergence(model.latents(images)).numpy()
    expected = kl / (16 * 16 * 3 * math.log(2))
    error = rows[:, 2].std(axis=0) / math.sqrt(200)
    assert np.all(abs(rows[:, 2].mean(axis=0) - expected) < 4.5 * error)


# Refusals ---------------------------------------------------------------------


def valid_inputs(signature):
    images = {"images": small.pictures(2)}
    return {
        "encode": images,
        "reconstruct": images,
        "decode": {"latents": np.zeros([2, 4, 4, 2], np.float32)},
        "score": {**images, "seed": np.int32(0)},
        "sample": {
            "num_samples": np.int32(2),
            "temperature": np.float32(1),
            "seed": np.int32(0),
        },
    }[signature]


def latents_of(*shape, value=0.0):
    return {"latents": np.full(shape, value, np.float32)}


def images_of(*shape):
    return {"images": np.zeros(shape, np.uint8)}


SIZES = "Height and width must be multiples of 4"
REFUSED = [
    ("encode", images_of(0, 16, 16, 3), "at least one picture", "[0 16 16 3]"),
    ("encode", images_of(1, 18, 16, 3), SIZES, "[1 18 16 3]"),
    ("score", images_of(1, 16, 15, 3), SIZES, "[1 16 15 3]"),
    ("decode", latents_of(0, 4, 4, 2), "one grid of latents", "[0 4 4 2]"),
    ("decode", latents_of(1, 0, 4, 2), "no size of 0", "[1 0 4 2]"),
    ("decode", latents_of(1, 4, 4, 2, value=np.nan), "finite", "] [32]"),
    ("decode", latents_of(1, 4, 4, 2, value=np.inf), "finite", "] [32]"),
    ("sample", {"num_samples": np.int32(0)}, "num_samples must be", "[0]"),
    ("sample", {"num_samples": np.int32(257)}, "max_samples", "[257]"),
    ("sample", {"temperature": np.float32(-1)}, "temperature must", "[-1]"),
]


@pytest.mark.parametrize("signature, inputs, expected, received", REFUSED)
def test_refused_values(signatures, signature, inputs, expected, received):
    inputs = {**valid_inputs(signature), **inputs}
    run_refusal_test(signatures, signature, inputs, expected, received)


@pytest.fixture(scope="module")
def session(served):
    with session_of(served[1]) as run:
        yield run


@pytest.mark.parametrize(
    "signature, inputs, received, expected",
    [
        ("encode", images_of(16, 16, 3), "[16,16,3]", "[?,?,?,3]"),
        ("encode", images_of(1, 16, 16, 1), "[1,16,16,1]", "[?,?,?,3]"),
        ("decode", latents_of(4, 4, 2), "[4,4,2]", "[?,?,?,2]"),
        ("decode", latents_of(1, 4, 4, 3), "[1,4,4,3]", "[?,?,?,2]"),
        ("score", {"seed": np.zeros([2], np.int32)}, "[2]", "[]"),
    ],
)
def test_refused_shapes(session, signature, inputs, received, expected):
    """As a server calls it, which compares dtypes alone."""
    inputs = {**valid_inputs(signature), **inputs}
    message = f"{received} is not compatible with expected shape {expected}"
    error = tf.errors.InvalidArgumentError
    with pytest.raises(error, match=re.escape(message)):
        session(signature, inputs)


@pytest.mark.parametrize(
    "signature, inputs",
    [
        ("encode", {"images": np.zeros([1, 16, 16, 3], np.float32)}),
        ("decode", {"latents": np.zeros([1, 4, 4, 2], np.int32)}),
        ("score", {"seed": np.float32(0)}),
    ],
)
def test_refused_dtypes(signatures, session, signature, inputs):
    inputs = {**valid_inputs(signature), **inputs}
    with pytest.raises(tf.errors.InvalidArgumentError, match="Type mismatch"):
        session(signature, inputs)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be"):
        call(signatures, signature, inputs)


def test_warmup_requests_are_answered(served, signatures):
    run_warmup_test(served[1], signatures)
