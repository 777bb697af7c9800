"""The same codes, outputs, losses and gradients as vector-quantize-pytorch.

It runs where `make bench-peers` has installed PyTorch beside TensorFlow.
"""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.quantizers import (
    FSQ,
    LFQ,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)

torch = pytest.importorskip("torch")
peers = pytest.importorskip("vector_quantize_pytorch")

K, D, N = 16, 4, 64


def latents(channels=D, scale=1.0):
    rng = np.random.default_rng(0)
    return rng.normal(0, scale, [2, N // 2, channels]).astype(np.float32)


def codebook(seed=0):
    return np.random.default_rng(seed).normal(size=[K, D]).astype(np.float32)


def ours(layer, x):
    """Quantized latents, codes, the loss, and gradients of both."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        quantized, codes = layer(x, return_codes=True)
        loss = tf.add_n([tf.zeros([]), *layer.losses])
        target = tf.reduce_sum(quantized * quantized)
    gradients = [tape.gradient(y, x) for y in (target, loss)]
    gradients = [np.zeros(x.shape) if g is None else g for g in gradients]
    return quantized, codes, loss, gradients


def theirs(module, x, loss_of=lambda results: results[2].sum()):
    x = torch.tensor(x, requires_grad=True)
    results = module(x)
    quantized, codes = results[:2]
    target = (quantized * quantized).sum()
    (of_target,) = torch.autograd.grad(target, x, retain_graph=True)
    loss = loss_of(results)
    of_loss = torch.zeros_like(x)
    if loss.requires_grad:
        (of_loss,) = torch.autograd.grad(loss, x)
    arrays = [quantized, codes, loss, of_target, of_loss]
    quantized, codes, loss, *gradients = (a.detach().numpy() for a in arrays)
    return quantized, codes, loss, gradients


def assert_equal(received, expected, atol=1e-6):
    np.testing.assert_array_equal(received[1], expected[1])
    np.testing.assert_allclose(received[0], expected[0], 1e-5, 1e-6)
    np.testing.assert_allclose(received[2], expected[2], 1e-5, 1e-6)
    for a, b in zip(received[3], expected[3], strict=True):
        np.testing.assert_allclose(a, b, 1e-4, atol)


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (7, 5, 4)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_fsq(levels, symmetric):
    x = latents(len(levels))
    module = peers.FSQ(list(levels), preserve_symmetry=symmetric)
    expected = theirs(module, x, lambda results: torch.zeros([]))
    assert_equal(ours(FSQ(levels, symmetric), x), expected)


@pytest.mark.parametrize("diversity", [1.0, 0.5])
def test_lfq(diversity):
    """In training: out of it they have no loss. Their temperature is 1/100.

    Their logarithms stop at probabilities of 1e-5, ours nowhere, which the
    gradients of a few latents show.
    """
    x = latents(6, 0.3)
    module = peers.LFQ(
        codebook_size=64,
        dim=6,
        commitment_loss_weight=0.25,
        diversity_gamma=diversity,
    )
    module.train()
    assert_equal(ours(LFQ(6, diversity=diversity), x), theirs(module, x), 1e-4)


def test_simvq():
    x, layer = latents(), SimVQ(K, D)
    layer.build((None, D))
    module = peers.SimVQ(dim=D, codebook_size=K, rotation_trick=False)
    with torch.no_grad():
        frozen = torch.tensor(np.array(layer.coefficients))
        module.frozen_codebook.copy_(frozen)
        weight = torch.tensor(np.array(layer.basis).T)
        module.code_transform.weight.copy_(weight)
    assert_equal(ours(layer, x), theirs(module, x))


def vector_quantize(book, **options):
    module = peers.VectorQuantize(
        dim=D,
        codebook_size=K,
        commitment_weight=0.25,
        **{"rotation_trick": False, **options},
    )
    _set(module, book)
    return module


def _set(module, book):
    inner = module._codebook
    with torch.no_grad():
        inner.embed.copy_(torch.tensor(book)[None])
        if hasattr(inner, "embed_avg"):
            inner.embed_avg.copy_(torch.tensor(book)[None])
            inner.cluster_size.fill_(1.0)


def test_vector_quantizer_ema():
    """A training step's loss, codes and averages.

    Theirs are divided by Laplace-smoothed counts, ours by the counts.
    """
    x, book = latents(), codebook()
    layer = VectorQuantizerEMA(K, D)
    layer.set_codebook(book, counts=np.ones(K))
    module = vector_quantize(book, decay=0.99, eps=1e-5)
    module.train()
    expected = theirs(module, x)
    assert_equal(ours(layer, x), expected)
    layer(x, training=True)
    inner = module._codebook
    np.testing.assert_allclose(
        layer.ema_counts, inner.cluster_size.numpy(), 1e-5, 1e-6
    )
    np.testing.assert_allclose(
        layer.ema_sums, inner.embed_avg.numpy(), 1e-5, 1e-6
    )
    np.testing.assert_allclose(
        layer.codebook, inner.embed[0].numpy(), 1e-3, 1e-4
    )


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_rotation(scale):
    x, book = latents(scale=scale), codebook()
    layer = VectorQuantizerEMA(K, D, gradient="rotation")
    layer.set_codebook(book)
    module = vector_quantize(book, rotation_trick=True)
    module.train()
    assert_equal(ours(layer, x), theirs(module, x), 1e-5)


def test_cosine():
    x, book = latents(), codebook()
    layer = VectorQuantizerEMA(K, D, distance="cosine")
    layer.set_codebook(book, counts=np.ones(K))
    unit = book / np.linalg.norm(book, axis=-1, keepdims=True)
    module = vector_quantize(unit, decay=0.99, use_cosine_sim=True)
    module.train()
    assert_equal(ours(layer, x), theirs(module, x))
    layer.set_codebook(unit, counts=np.ones(K))
    layer(x, training=True)
    np.testing.assert_allclose(
        layer.codebook, module._codebook.embed[0].numpy(), 1e-3, 1e-4
    )


def test_residual():
    """Their straight-through gradient comes once for every stage, ours once."""
    x, books = latents(), [codebook(seed) / 2**seed for seed in range(3)]
    layer = ResidualQuantizer(VectorQuantizerEMA(K, D), 3)
    layer.build((None, None, D))
    module = peers.ResidualVQ(
        dim=D,
        num_quantizers=3,
        codebook_size=K,
        commitment_weight=0.25,
        rotation_trick=False,
    )
    for stage, own, book in zip(module.layers, layer.stages, books):
        _set(stage, book)
        own.set_codebook(book)
    module.train()
    for stage in module.layers:  # only losses: no update
        stage._codebook.ema_update = False
    *expected, (of_target, of_loss) = theirs(module, x)
    assert_equal(ours(layer, x), (*expected, (of_target / 3, of_loss)))


def test_codes_of_a_learned_codebook():
    x, book = latents(), codebook()
    layer = VectorQuantizer(K, D)
    layer.set_codebook(book)
    module = vector_quantize(book, learnable_codebook=True, ema_update=False)
    module.eval()
    quantized, codes, _ = module(torch.tensor(x))
    np.testing.assert_array_equal(layer.encode(x), codes.numpy())
    np.testing.assert_allclose(layer(x), quantized.detach().numpy(), 1e-5)
