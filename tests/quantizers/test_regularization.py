"""Losses of a codebook's use and of its directions."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    CodebookRegularizer,
    Diversity,
    Orthogonality,
    VectorQuantizer,
    VectorQuantizerEMA,
)

G, N, K, D = 2, 30, 8, 4


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "cls, options",
    [
        (
            VectorQuantizer,
            dict(
                regularizers=[Diversity(0.5, 0.01), Orthogonality(2.0)],
                num_codebooks=2,
            ),
        ),
        pytest.param(
            VectorQuantizerEMA,
            dict(regularizers=[Diversity()], distance="cosine"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_harness(cls, options):
    run_quantizer_test(
        cls,
        dict(num_embeddings=K, embedding_dim=D, **options),
        identity_gradient="distance" not in options,
        exact="distance" not in options,
    )


# The equations ----------------------------------------------------------------


def diversity(z, e, weights, temperature):
    scores = -oracle.distances(np.float64(z), np.float64(e)) / temperature
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p = (p * weights[:, None]).sum(1) / weights.sum()
    return np.log(e.shape[1]) + (p * np.log(p)).sum(-1).mean()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_diversity(shared, weighted):
    z, e = values(G, N, D), values(1 if shared else G, K, D, seed=1)
    weights = np.arange(N) % 3 / 2.0 if weighted else np.ones(N)
    given = tf.constant(weights, tf.float32) if weighted else None
    received = Diversity(0.5, 2.0)(tf.constant(z), tf.constant(e), given)
    expected = 0.5 * diversity(z, e, weights, 2.0)
    np.testing.assert_allclose(received, expected, 1e-5)


@pytest.mark.parametrize("size", [3, 8])
def test_orthogonality(size):
    e = values(G, size, D)
    units = np.float64(e) / np.linalg.norm(e, axis=-1, keepdims=True)
    cosines = units @ units.swapaxes(1, 2) - np.eye(size)
    expected = 5.0 * (cosines**2).sum((1, 2)).mean() / size**2
    received = Orthogonality(5.0)(tf.zeros([G, 1, D]), tf.constant(e))
    np.testing.assert_allclose(received, expected, 1e-5)


def descent(regularizer, z, e, of, rate, steps):
    """Minimizes it over latents or codebook; the loss before and after."""
    z, e = tf.Variable(z), tf.Variable(e)
    variable = {"z": z, "e": e}[of]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = regularizer(z, e)
        variable.assign_sub(rate * tape.gradient(loss, variable))
        return loss

    losses = [step() for _ in range(steps)]
    return losses[0], losses[-1]


@pytest.mark.parametrize("of", ["z", "e"])
def test_diversity_can_be_learned(of):
    z = 0.1 * values(1, N, D) + 1.0
    before, after = descent(
        Diversity(1.0), z, values(1, K, D, seed=1), of, 3.0, 60
    )
    assert after < 0.5 * before


@pytest.mark.parametrize("size, least", [(3, 0.0), (8, 1 / 4 - 1 / 8)])
def test_orthogonality_can_be_learned(size, least):
    _, after = descent(
        Orthogonality(1.0), values(1, 1, D), values(1, size, D), "e", 3.0, 150
    )
    np.testing.assert_allclose(after, least, atol=2e-3)


def test_gradients_are_finite_where_codes_are_never_used():
    e = tf.constant([[[0.0], [1e6], [-1e6]]])
    z = tf.constant([[[0.1], [0.2]]])
    with tf.GradientTape() as tape:
        tape.watch([z, e])
        loss = Diversity(1.0, 1e-3)(z, e)
    assert np.isclose(loss, np.log(3))
    for gradient in tape.gradient(loss, [z, e]):
        assert np.all(np.isfinite(gradient))


# In layers --------------------------------------------------------------------


def test_the_layer_adds_them():
    x = values(N, D)
    terms = [Diversity(0.7), Orthogonality(3.0)]
    plain = VectorQuantizer(K, D)
    layer = VectorQuantizer(K, D, regularizers=terms)
    for quantizer in (plain, layer):
        quantizer.set_codebook(values(K, D, seed=1))
        quantizer(x)
    z, e = tf.constant(x)[None], layer.codebook[None]
    expected = plain.losses[0] + sum(term(z, e) for term in terms)
    np.testing.assert_allclose(layer.losses[0], expected, 1e-6)


@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_they_see_the_codebook_before_the_step(cls):
    options = dict(regularizers=Diversity(1.0, 0.5), commitment_cost=0.0)
    if cls is VectorQuantizerEMA:
        options["decay"] = 0.0  # moves at once
    layer = cls(K, D, **options)
    layer.build((None, D))
    layer.set_codebook(values(K, D, seed=3))
    x = tf.constant(values(20, D, seed=4), tf.float32)
    layer(x, training=False)
    expected = sum(layer.losses)
    layer(x, training=True)
    np.testing.assert_allclose(sum(layer.losses), expected, rtol=1e-6)


def test_a_latent_that_is_not_finite_gives_the_codebook_no_gradient():
    x = values(N, D)
    x[3, 1] = np.nan
    layer = VectorQuantizer(K, D, regularizers=[Diversity(), Orthogonality()])
    with tf.GradientTape() as tape:
        layer(x, training=True)
        loss = layer.losses[0]
    gradient = tape.gradient(loss, layer.embeddings.value)
    assert np.all(np.isfinite(gradient))


def test_one_of_your_own():
    class Short(CodebookRegularizer):
        def value(self, z, codebooks, weights):
            return tf.reduce_mean(codebooks**2)

    layer = VectorQuantizer(K, D, regularizers=Short(2.0), commitment_cost=0)
    layer.set_codebook(values(K, D))
    layer(layer.codebook)
    expected = 2 * np.mean(values(K, D) ** 2)
    np.testing.assert_allclose(layer.losses[0], expected, 1e-5)
    assert repr(layer.regularizers[0]) == "Short(weight=2.0)"


def test_configurations_keep_them():
    terms = [Diversity(0.3, 2.0), Orthogonality(4)]
    layer = VectorQuantizer(K, D, regularizers=terms)
    copy = VectorQuantizer.from_config(layer.get_config())
    assert [repr(term) for term in copy.regularizers] == [
        "Diversity(weight=0.3, temperature=2.0)",
        "Orthogonality(weight=4)",
    ]
    assert "regularizers" not in VectorQuantizer(K, D).get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Diversity(-1), "weight must be a finite number of at least 0"),
        (lambda: Diversity(1, 0), r"temperature must be a number in \[1e-6"),
        (lambda: Orthogonality("1"), "weight must be a finite number"),
        (
            lambda: VectorQuantizer(K, D, regularizers="diversity"),
            r"such as Diversity\(0.1\).* Received: regularizers='diversity'",
        ),
        (
            lambda: VectorQuantizer(K, D, regularizers=[Diversity, 1]),
            "or a list of them. Received: regularizers=",
        ),
        (
            lambda: VectorQuantizerEMA(K, D, regularizers=Orthogonality(2.0)),
            r"use a VectorQuantizer. Received: .* Orthogonality\(weight=2.0\)",
        ),
        (
            lambda: CodebookRegularizer(1.0)(values(1, 2, D), values(1, K, D)),
            "must implement value",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make()
