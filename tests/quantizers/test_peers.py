"""The same codes, outputs, losses and gradients as vector-quantize-pytorch.

It runs where `make bench-peers` has installed PyTorch beside TensorFlow.
"""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.quantizers import (
    FSQ,
    LFQ,
    GroupedQuantizer,
    Orthogonality,
    RandomProjectionQuantizer,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
    kmeans,
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
        **{
            "dim": D,
            "codebook_size": K,
            "commitment_weight": 0.25,
            "rotation_trick": False,
            **options,
        }
    )
    _set(module, book)
    return module


def _set(module, book):
    """Sets a codebook `[K, D]`, or one `[G, K, D]` for each head."""
    inner = module._codebook
    book = torch.tensor(book.reshape(-1, *book.shape[-2:]))
    with torch.no_grad():
        inner.embed.copy_(book)
        if hasattr(inner, "embed_avg"):
            inner.embed_avg.copy_(book)
            inner.cluster_size.fill_(1.0)


def residual_vq(kind, dim, count, **options):
    return kind(
        dim=dim,
        num_quantizers=count,
        codebook_size=K,
        commitment_weight=0.25,
        rotation_trick=False,
        **options,
    )


def _keep(stages):
    """Makes a training step of theirs give its losses, but no update."""
    for stage in stages:
        stage._codebook.ema_update = False


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


def test_accumulated_averages():
    """Three batches, one update."""
    book = codebook()
    layer = VectorQuantizerEMA(K, D, accumulation_steps=3)
    layer.set_codebook(book, counts=np.ones(K))
    module = vector_quantize(book, decay=0.99)
    module.train()
    inner = module._codebook
    for i in range(3):
        x = latents(scale=1.0 + i)
        module(torch.tensor(x), accum_ema_update=i < 2)
        layer(x, training=True)
        np.testing.assert_allclose(
            layer.ema_counts, inner.cluster_size.numpy(), 1e-5, 1e-6
        )
        np.testing.assert_allclose(
            layer.ema_sums, inner.embed_avg.numpy(), 1e-5, 1e-6
        )
    assert np.all(layer.ema_counts != 1)


def test_restarts_by_averaged_counts():
    """The same codes; theirs are drawn and counted otherwise."""
    x, book = latents(), codebook()
    book[::3] += 9.0  # so that no latent chooses them
    options = dict(counts=np.full(K, 2.01))
    layer = VectorQuantizerEMA(K, D, decay=0.9, restart_below=2.0)
    layer.set_codebook(book, **options)
    module = vector_quantize(book, decay=0.9, threshold_ema_dead_code=2)
    inner = module._codebook
    with torch.no_grad():
        inner.cluster_size.fill_(2.01)
        inner.embed_avg.copy_(torch.tensor(2.01 * book)[None])
    module.train()
    module(torch.tensor(x))
    layer(x, training=True)
    counts = layer.ema_counts.numpy(), inner.cluster_size.numpy()
    restarted = [np.isin(found, (2.0, 4.0)) for found in counts]
    np.testing.assert_array_equal(*restarted)
    assert K // 3 <= np.sum(restarted[0]) < K
    rows = {tuple(row) for row in x.reshape(-1, D)}
    for table in (layer.embeddings.numpy(), inner.embed.numpy()):
        assert {tuple(row) for row in table[restarted[0]]} <= rows


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
    module = residual_vq(peers.ResidualVQ, D, 3)
    for stage, own, book in zip(module.layers, layer.stages, books):
        _set(stage, book)
        own.set_codebook(book)
    module.train()
    _keep(module.layers)
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


def test_a_beam_of_all_codes_finds_the_same():
    """Narrower ones differ: theirs adds up the errors after every stage."""
    x, books = latents(), [codebook(seed) / 2**seed for seed in range(2)]
    layer = ResidualQuantizer(VectorQuantizerEMA(K, D), 2, beam_size=K)
    layer.build((None, None, D))
    module = residual_vq(
        peers.ResidualVQ,
        D,
        2,
        beam_size=K,
        beam_score_quantizer_weights=[0.0, 1.0],
    )
    for stage, own, book in zip(module.layers, layer.stages, books):
        _set(stage, book)
        own.set_codebook(book)
    module.eval()
    quantized, codes, _ = module(torch.tensor(x))
    np.testing.assert_array_equal(layer.encode(x), codes.numpy())
    np.testing.assert_allclose(layer(x), quantized.detach().numpy(), 1e-5, 1e-6)


def test_grouped_residual():
    """Theirs has a loss for each stage; ours is their mean over groups."""
    x, stages = latents(2 * D), 2
    layer = GroupedQuantizer(
        ResidualQuantizer(VectorQuantizerEMA(K, D), stages), 2
    )
    layer.build((None, None, 2 * D))
    module = residual_vq(peers.GroupedResidualVQ, 2 * D, stages, groups=2)
    for i, (theirs_, ours_) in enumerate(zip(module.rvqs, layer.quantizers)):
        for j, (stage, own) in enumerate(zip(theirs_.layers, ours_.stages)):
            book = codebook(2 * i + j) / 2**j
            _set(stage, book)
            own.set_codebook(book)
        _keep(theirs_.layers)
    module.train()
    quantized, codes, loss, (of_target, of_loss) = theirs(module, x)
    # [groups, batch, n, stages] to [batch, n, groups * stages].
    codes = np.moveaxis(codes, 0, -2).reshape(*x.shape[:2], -1)
    expected = quantized, codes, loss / 2, (of_target / stages, of_loss / 2)
    assert_equal(ours(layer, x), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_groups_with_a_projection(shared):
    """Three heads of two channels each, of a codebook of their own or one."""
    groups, dim = 3, 2
    x = latents(groups * D)
    rng = np.random.default_rng(1)
    size = (1 if shared else groups, K, dim)
    books = rng.normal(size=size).astype(np.float32)
    layer = VectorQuantizerEMA(
        K, D, num_codebooks=groups, codebook_dim=dim, shared_codebook=shared
    )
    layer.build((None, groups * D))
    layer.set_codebook(books)
    module = vector_quantize(
        books,
        dim=groups * D,
        heads=groups,
        codebook_dim=dim,
        separate_codebook_per_head=not shared,
    )
    for linear, own in (
        (module.project_in, layer.project_in),
        (module.project_out, layer.project_out),
    ):
        # Each of our groups has a matrix, theirs are blocks of a single one.
        blocks = torch.block_diag(*torch.tensor(np.array(own.kernel)))
        with torch.no_grad():
            linear.weight.copy_(blocks.T)
            linear.bias.zero_()
    module.train()
    _keep([module])
    assert_equal(ours(layer, x), theirs(module, x), 1e-5)


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_losses_of_a_learned_codebook(weight):
    """Theirs weighs one loss of both sides, which ours weighs separately."""
    x, book = latents(), codebook()
    layer = VectorQuantizer(
        K, D, commitment_cost=1.0, regularizers=Orthogonality(weight)
    )
    layer.set_codebook(book)
    module = vector_quantize(
        book,
        learnable_codebook=True,
        ema_update=False,
        commitment_weight=1.0,
        orthogonal_reg_weight=weight,
    )
    module.train()
    parameter = module._codebook.embed
    loss = module(torch.tensor(x))[2]
    (gradient,) = torch.autograd.grad(loss.sum(), parameter)
    with tf.GradientTape() as tape:
        layer(x)
        value = tf.add_n(layer.losses)
    received = tape.gradient(value, layer.trainable_variables[0])
    commitment = np.mean((np.array(layer(x)) - x) ** 2)
    np.testing.assert_allclose(
        value - commitment, loss.detach().numpy(), 1e-5, 1e-6
    )
    np.testing.assert_allclose(received, gradient.numpy(), 1e-4, 1e-6)


def test_random_projection():
    """Theirs normalizes each vector, ours leaves that to the model.

    With several codebooks theirs has another linear map, which is not trained.
    """
    channels, dim = 12, 6
    x = latents(channels)
    layer = RandomProjectionQuantizer(K, channels, dim)
    layer.build((None, channels))
    module = peers.RandomProjectionQuantizer(
        dim=channels,
        codebook_size=K,
        codebook_dim=dim,
        norm=False,
    )
    module.rand_projs.copy_(torch.tensor(np.array(layer.projection))[None])
    books = np.array(layer.codebook)
    books /= np.linalg.norm(books, axis=-1, keepdims=True)
    _set(module.vq, books)
    codes = module(torch.tensor(x)).numpy()
    np.testing.assert_array_equal(layer.encode(x), codes)


def test_kmeans(monkeypatch):
    """The same centroids and sizes from the same first centroids."""
    from vector_quantize_pytorch.vector_quantize_pytorch import (
        kmeans as their_kmeans,
    )

    x = latents().reshape(1, -1, D)
    firsts = x[:, ::4][:, :K]
    monkeypatch.setattr(kmeans, "_seeds", lambda *_: tf.constant(firsts))
    means, sizes = kmeans.KMeans(iterations=5).fit(x, K, seed=[0, 0])
    expected, bins = their_kmeans(
        torch.tensor(x), K, 5, sample_fn=lambda *_: torch.tensor(firsts)
    )
    assert bins.min() > 0  # theirs leaves empty clusters where they are
    np.testing.assert_allclose(means, expected.numpy(), 1e-5, 1e-6)
    np.testing.assert_array_equal(sizes, bins.numpy())
