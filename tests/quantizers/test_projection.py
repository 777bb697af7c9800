"""Factorized codes: a codebook of fewer dimensions than the latents."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    KMeans,
    ResidualQuantizer,
    VectorQuantizer,
    VectorQuantizerEMA,
)

K, D, SMALL = 8, 6, 2
CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def latents(channels=D, seed=0, count=40):
    x = np.random.default_rng(seed).normal(size=[count, channels])
    return x.astype(np.float32)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def built(cls, groups=1, **options):
    """A layer with a codebook and biases of some size."""
    options = {"codebook_dim": SMALL, "num_codebooks": groups, **options}
    layer = cls(K, D, **options)
    layer.build((None, groups * D))
    rng = np.random.default_rng(1)
    layer.embeddings.assign(rng.normal(size=[groups, K, SMALL]))
    for projection in (layer.project_in, layer.project_out):
        projection.bias.assign(0.1 * rng.normal(size=projection.bias.shape))
    return layer


@pytest.mark.parametrize(
    "cls, options",
    [
        (VectorQuantizerEMA, dict(num_codebooks=2, restart_after=2)),
        pytest.param(
            VectorQuantizer, dict(distance="cosine"), marks=pytest.mark.slow
        ),
    ],
)
def test_harness(cls, options):
    options = dict(num_embeddings=K, embedding_dim=D, codebook_dim=3, **options)
    run_quantizer_test(cls, options, identity_gradient=False, exact=False)


@CLASSES
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_equations(cls, groups, distance):
    layer = built(cls, groups, distance=distance)
    x = tf.constant(latents(groups * D))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized, codes = layer(x, return_codes=True)
        loss, total = layer.losses[0], tf.reduce_sum(quantized**2) / 2
    w, b, v, c, e = (
        np.float64(variable)
        for variable in (
            layer.project_in.kernel,
            layer.project_in.bias,
            layer.project_out.kernel,
            layer.project_out.bias,
            layer.embeddings,
        )
    )
    z = oracle.split(x, groups) @ w + b
    if distance == "cosine":
        z, e = unit(z), unit(e)
    expected = oracle.nearest(z, e)
    q = oracle.look_up(e, expected)
    np.testing.assert_array_equal(np.reshape(codes, [40, groups]), expected.T)
    out = q @ v + c
    np.testing.assert_allclose(quantized, oracle.join(out, x.shape), 1e-4, 1e-5)
    terms = 1.25 if cls is VectorQuantizer else 0.25
    error = terms * oracle.squared_error(z, q)
    np.testing.assert_allclose(loss, error, 1e-5)
    # Straight through within the smaller space alone.
    of_kernel = tape.gradient(total, layer.project_out.kernel.value)
    np.testing.assert_allclose(
        of_kernel, np.einsum("gnd,gne->gde", q, out), 1e-3, 1e-3
    )
    if distance == "euclidean":
        of_x = (out @ v.swapaxes(1, 2)) @ w.swapaxes(1, 2)
        np.testing.assert_allclose(
            tape.gradient(total, x), oracle.join(of_x, x.shape), 1e-3, 1e-4
        )
    assert layer.codebook.shape[-1] == SMALL


def test_averages_are_of_projected_latents():
    layer, x = built(VectorQuantizerEMA, decay=0.5), latents()
    before, codes = layer.embeddings.numpy()[0], layer.encode(x).numpy()
    z = layer.to_search_space(tf.constant(x)).numpy()[0]
    layer(x, training=True)
    expected = [before[k] + z[codes == k].sum(0) for k in range(K)]
    sizes = 1 + np.bincount(codes, minlength=K)
    expected = np.stack(expected) / sizes[:, None]
    np.testing.assert_allclose(layer.codebook, expected, 1e-4, 1e-5)
    assert {v.name for v in layer.trainable_variables} == {"kernel", "bias"}
    layer.trainable = False
    assert not layer.trainable_variables


@CLASSES
def test_clusters_are_of_projected_latents(cls):
    layer = cls(K, D, codebook_dim=SMALL, initialization=KMeans(3, 40))
    layer(latents(), training=True)
    assert layer.gathered.shape == (1, 40, SMALL)
    assert len(np.unique(layer.encode(latents()))) == K


def test_initial_values_are_those_of_dense():
    layer = VectorQuantizer(K, 64, codebook_dim=32, num_codebooks=3)
    layer.build((None, 192))
    limit = (6 / 96) ** 0.5
    for projection in (layer.project_in, layer.project_out):
        kernel = np.abs(projection.kernel)
        assert 0.98 * limit < kernel.max() <= limit
        np.testing.assert_array_equal(projection.bias, 0)
    # Of each group, and of each direction, its own.
    kernels = [*layer.project_in.kernel.numpy()]
    kernels += [*layer.project_out.kernel.numpy()]
    assert len({float(np.ravel(kernel)[0]) for kernel in kernels}) == 6


@pytest.mark.parametrize("value", [0, -1, 2.5, "8"])
def test_sizes_that_are_refused(value):
    with pytest.raises(ValueError, match="codebook_dim must be a positive"):
        VectorQuantizer(K, D, codebook_dim=value)


def test_stages_of_a_residual_quantizer_share_a_space():
    stage = VectorQuantizer(K, D, codebook_dim=2, name="vq")
    with pytest.raises(ValueError, match="Received: vq with codebook_dim=2"):
        ResidualQuantizer(stage, 2)
