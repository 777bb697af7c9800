"""SimVQ: a frozen codebook behind a learned linear map, arXiv:2411.02038."""

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import SimVQ


def latents(count=50, channels=4):
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.5, [count, channels]).astype(np.float32)


def test_harness():
    options = dict(num_embeddings=8, embedding_dim=4)
    run_quantizer_test(SimVQ, options, exact=False)


def test_codes_loss_and_gradients_are_those_of_the_equations():
    layer, x = SimVQ(16, 4, commitment_cost=0.3), tf.constant(latents())
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        quantized, codes = layer(x, return_codes=True)
        loss = tf.add_n(layer.losses)
    of_x, of_basis = tape.gradient(loss, [x, layer.basis.value])
    table = np.float64(layer.coefficients) @ np.float64(layer.basis)
    z = oracle.split(x, 1)
    expected = oracle.nearest(z, table[None])
    q = table[expected[0]]
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_allclose(quantized, q, 1e-5, 1e-6)
    np.testing.assert_allclose(loss, 1.3 * oracle.squared_error(z[0], q), 1e-5)
    np.testing.assert_allclose(of_x, 0.3 * 2 * (z[0] - q) / z.size, 1e-4, 1e-7)
    chosen = np.float64(layer.coefficients)[expected[0]]
    np.testing.assert_allclose(
        of_basis, chosen.T @ (2 * (q - z[0])) / z.size, 1e-4, 1e-7
    )


def test_one_step_moves_all_embeddings():
    """Those that no latent has chosen, too."""
    layer, x = SimVQ(512, 4), tf.constant(latents(count=4))
    before = layer.codebook.numpy()
    with tf.GradientTape() as tape:
        layer(x)
        loss = tf.add_n(layer.losses)
    layer.basis.assign_sub(0.1 * tape.gradient(loss, layer.basis.value))
    assert len(np.unique(layer.encode(x))) <= 4
    assert np.all(np.any(layer.codebook != before, axis=-1))


def test_the_codebook_is_as_wide_as_the_paper_has_it():
    layer = SimVQ(4096, 16)
    layer.build((None, 16))
    np.testing.assert_allclose(np.std(layer.coefficients), 0.25, rtol=0.02)
    assert np.all(np.abs(layer.basis) <= 0.25)
    assert [v.name for v in layer.trainable_variables] == ["basis"]
    other = SimVQ(4096, 16, seed=1)
    assert np.any(other.codebook != layer.codebook)


@pytest.mark.parametrize("channels", [3, 8])
def test_channels_are_the_embeddings(channels):
    with pytest.raises(ValueError, match="embedding_dim = 4 channels"):
        SimVQ(8, 4)(tf.zeros([2, channels]))
