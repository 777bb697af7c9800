"""One codebook for all groups of channels."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import KMeans, VectorQuantizer, VectorQuantizerEMA

K, D, G = 8, 4, 3
CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def latents(count=30, seed=0):
    x = np.random.default_rng(seed).normal(size=[count, G * D])
    return (0.1 * x).astype(np.float32)


def single(x):
    """The same latents, each group's as a position of its own."""
    return np.reshape(x, [-1, G, D])


def pair(cls, **options):
    """A shared codebook for groups, and a codebook without groups."""
    shared = cls(K, D, num_codebooks=G, shared_codebook=True, **options)
    return shared, cls(K, D, **options)


@pytest.mark.parametrize(
    "cls, options",
    [
        (
            VectorQuantizerEMA,
            dict(initialize_from_data=True, restart_after=2),
        ),
        pytest.param(
            VectorQuantizer,
            dict(codebook_dim=2, initialization=KMeans()),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_harness(cls, options):
    options = dict(
        num_embeddings=K,
        embedding_dim=D,
        num_codebooks=3,
        shared_codebook=True,
        **options,
    )
    projected = "codebook_dim" in options
    run_quantizer_test(
        cls, options, identity_gradient=not projected, exact=not projected
    )


@CLASSES
def test_equations(cls):
    layer, x = pair(cls)[0], latents()
    quantized, codes = layer(x, return_codes=True)
    assert layer.codebook.shape == (K, D) and codes.shape == (30, G)
    z = oracle.split(x, G)
    e = np.repeat(np.float64(layer.codebook)[None], G, axis=0)
    expected = oracle.nearest(z, e)
    np.testing.assert_array_equal(codes, expected.T)
    q = oracle.look_up(e, expected)
    np.testing.assert_allclose(quantized, oracle.join(q, x.shape), 1e-6)
    terms = 1.25 if cls is VectorQuantizer else 0.25
    error = oracle.squared_error(z, q)
    np.testing.assert_allclose(layer.losses[0], terms * error, 1e-5)


@CLASSES
@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(initialization="data", restart_after=2),
        dict(initialization="kmeans", distance="cosine"),
    ],
)
def test_it_learns_like_one_codebook_of_all_groups(cls, options):
    layer, other = pair(cls, **options)
    mask = np.arange(30) % 4 > 0
    for seed in range(4):
        x = latents(seed=seed)
        given = mask if seed % 2 else None
        of_each = None if given is None else np.repeat(mask[:, None], G, 1)
        quantized = layer(x, training=True, mask=given)
        expected = other(single(x), training=True, mask=of_each)
        np.testing.assert_allclose(single(quantized), expected, 1e-5, 1e-7)
    for a, b in zip(layer.weights, other.weights, strict=True):
        if a is layer.usage_metric.counts:
            a = np.sum(a, axis=0, keepdims=True)
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


def test_gradients_of_all_groups_reach_it():
    layer, other = pair(VectorQuantizer)
    gradients = []
    for quantizer, x in ((layer, latents()), (other, single(latents()))):
        with tf.GradientTape() as tape:
            quantizer(x)
            loss = quantizer.losses[0]
        gradients.append(tape.gradient(loss, quantizer.embeddings.value))
    np.testing.assert_allclose(*gradients, 1e-4, 1e-7)


@CLASSES
def test_it_can_be_given(cls):
    layer, given = pair(cls)[0], latents(K)[:, :D]
    layer.set_codebook(given)
    np.testing.assert_array_equal(layer.codebook, given)
    decoded = layer.decode([[0, 1, 2], [7, 7, 0]])
    np.testing.assert_array_equal(
        single(decoded), given[np.array([[0, 1, 2], [7, 7, 0]])]
    )
    with pytest.raises(ValueError, match=r"\[K, D\] = \(8, 4\)"):
        layer.set_codebook(np.zeros([G, K, D]))


def test_usage_is_of_each_group():
    layer = pair(VectorQuantizer)[0]
    layer.set_codebook(10.0 * np.eye(K, D))
    x = np.concatenate([np.eye(K, D)[:2] * 10.0] * G, axis=1)
    x[:, :D] = x[0, :D]  # one code in the first group, two in the others
    layer(x, training=False)
    np.testing.assert_array_equal(
        np.sum(layer.usage_metric.counts.numpy() > 0, axis=1), [1, 2, 2]
    )
