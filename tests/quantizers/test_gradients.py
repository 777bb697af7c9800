"""How gradients pass from quantized latents to latents."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)
from vqvae_tf.quantizers.gradients import rotation, straight_through


def gradient(estimator, e, q, dy):
    e, q, dy = (tf.constant(x, tf.float32) for x in (e, q, dy))
    with tf.GradientTape() as tape:
        tape.watch(e)
        y = estimator(e, q)
    np.testing.assert_array_equal(y, q)
    return tape.gradient(y, e, output_gradients=dy).numpy()


def matrix(e, q):
    """(|q| / |e|) R in float64, as the paper has it, and the ratio."""
    u, v = e / np.linalg.norm(e), q / np.linalg.norm(q)
    r = (u + v) / np.linalg.norm(u + v)
    turn = np.eye(len(e)) - 2 * np.outer(r, r) + 2 * np.outer(v, u)
    return np.linalg.norm(q) / np.linalg.norm(e), turn


@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(2, 16))
def test_rotation_is_the_papers(seed, channels):
    """R turns e towards q, by lengths and angles that stay."""
    rng = np.random.default_rng(seed)
    e, q, dy = rng.normal(size=[3, channels])
    ratio, turn = matrix(e, q)
    np.testing.assert_allclose(turn @ turn.T, np.eye(channels), atol=1e-6)
    np.testing.assert_allclose(ratio * turn @ e, q, atol=1e-6)
    received = gradient(rotation, e[None], q[None], dy[None])[0]
    scale = ratio * np.linalg.norm(dy)
    opposite = np.linalg.norm(e / np.linalg.norm(e) + q / np.linalg.norm(q))
    if opposite > 0.01:
        np.testing.assert_allclose(
            received, ratio * turn.T @ dy, atol=1e-3 * scale
        )


def test_rotation_is_copied_where_it_is_undefined():
    e = [[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]]
    q = [[1.0, 2.0], [0.0, 0.0], [-2.0, -4.0]]
    dy = [[3.0, -1.0]] * 3
    np.testing.assert_array_equal(gradient(rotation, e, q, dy), dy)


def test_where_latent_and_code_agree_both_are_one():
    x = np.random.default_rng(0).normal(size=[2, 5, 4])
    dy = np.random.default_rng(1).normal(size=[2, 5, 4])
    np.testing.assert_allclose(
        gradient(rotation, x, x, dy),
        gradient(straight_through, x, x, dy),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: VectorQuantizer(8, 4, num_codebooks=2, **options),
        lambda **options: VectorQuantizerEMA(8, 4, **options),
        lambda **options: SimVQ(8, 4, **options),
        lambda **options: ResidualQuantizer(
            VectorQuantizer(8, 4), 2, **options
        ),
    ],
    ids=["VectorQuantizer", "VectorQuantizerEMA", "SimVQ", "Residual"],
)
def test_every_quantizer_with_vectors_can_rotate(make):
    """Each codebook's vectors by themselves."""
    layer = make(gradient="rotation")
    rng = np.random.default_rng(0)
    x = rng.normal(size=[6, layer.channels]).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        y = layer(value)
    received = tape.gradient(y, value, output_gradients=dy)
    groups = 2 if layer.channels == 8 else 1
    shape = [6, groups, layer.channels // groups]
    for i, g in np.ndindex(6, groups):
        parts = (np.reshape(a, shape)[i, g] for a in (x, y, dy, received))
        e, q, of_q, of_e = map(np.float64, parts)
        ratio, turn = matrix(e, q)
        np.testing.assert_allclose(of_e, ratio * turn.T @ of_q, 1e-3, 1e-4)
    copy = type(layer).from_config(layer.get_config())
    assert copy.gradient == "rotation"
    with pytest.raises(ValueError, match="one of straight_through, rotation"):
        make(gradient="turn")


def test_harness():
    run_quantizer_test(
        VectorQuantizerEMA,
        dict(num_embeddings=8, embedding_dim=4, gradient="rotation"),
        identity_gradient=False,
    )
