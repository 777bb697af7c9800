"""The same codes, outputs, losses and gradients as vector-quantize-pytorch.

Codes are the same, and all else differs by at most 1e-5 of each value and 2e-6
of the largest of its array. Gradients are those of a weighted sum of the
outputs, and those of the loss, by the latents and by all parameters. What
differs on purpose, a test says. It runs where `make bench-peers` has installed
PyTorch beside TensorFlow; test_peers_in_stages.py has quantizers of several
stages.
"""

import numpy as np
import pytest
import tensorflow as tf

from support.quantizer_peers import (
    D,
    K,
    assert_close,
    assert_equal,
    codebook,
    directions,
    latents,
    ours,
    peers,
    set_codebook,
    set_map,
    theirs,
    torch,
    vector_quantize,
)
from vqvae_tf.quantizers import (
    BSQ,
    FSQ,
    LFQ,
    Diversity,
    Orthogonality,
    RandomProjectionQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
    kmeans,
)

GRADIENTS = pytest.mark.parametrize(
    "gradient", ["straight_through", "rotation"]
)

BITS = 6

# Without codebooks ------------------------------------------------------------


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (7, 5, 4)])
@pytest.mark.parametrize("symmetric", [False, True])
def test_fsq(levels, symmetric):
    x = latents(len(levels))
    module = peers.FSQ(list(levels), preserve_symmetry=symmetric)
    assert_equal(ours(FSQ(levels, symmetric), x), theirs(module, x))


def look_up_free(monkeypatch, x, temperature, **options):
    """Their results in float64, with logarithms that stop nowhere.

    In theirs they stop at probabilities of 1e-5, which the gradients of a few
    latents show, in ours nowhere. And theirs are of 2^L products of numbers
    rounded to float32, where ours are of single bits.
    """
    module = peers.LFQ(
        codebook_size=2**BITS,
        dim=BITS,
        commitment_loss_weight=0.25,
        force_quantization_f32=False,
        **options,
    ).double()
    module.train()
    monkeypatch.setattr(
        "vector_quantize_pytorch.lookup_free_quantization.log",
        lambda p: p.clamp(min=1e-300).log(),
    )
    return theirs(module, np.float64(x), inv_temperature=1 / temperature)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
@pytest.mark.parametrize("diversity", [1.0, 0.5])
def test_lfq(monkeypatch, diversity, temperature):
    """In training: out of it they have no loss."""
    x = latents(BITS, 0.3)
    layer = LFQ(BITS, diversity=diversity, temperature=temperature)
    expected = look_up_free(
        monkeypatch, x, temperature, diversity_gamma=diversity
    )
    assert_equal(ours(layer, x), expected)


@pytest.mark.parametrize("temperature", [0.1, 0.01])
def test_bsq(monkeypatch, temperature):
    """But for the entropy of the batch: theirs is exact, ours of each bit."""
    x = latents(BITS, 0.3)
    layer = BSQ(BITS, diversity=0.0, temperature=temperature)
    expected = look_up_free(
        monkeypatch, x, temperature, diversity_gamma=0.0, spherical=True
    )
    assert_equal(ours(layer, x), expected)


# Codebooks that have gradients ------------------------------------------------


@GRADIENTS
@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_vector_quantizer(gradient, weight):
    """Their one loss is weighed for latents and codebook; ours separately."""
    x, book = latents(), codebook()
    layer = VectorQuantizer(K, D, commitment_cost=weight, gradient=gradient)
    layer.set_codebook(book)
    module = vector_quantize(
        book,
        learnable_codebook=True,
        ema_update=False,
        commitment_weight=weight,
        rotation_trick=gradient == "rotation",
    )
    received = ours(layer, x, layer.trainable_variables)
    expected = theirs(module, x, [module._codebook.embed])
    of_latents, of_codebook = expected.of_loss
    assert_equal(
        received,
        expected._replace(
            loss=expected.loss * (1 + weight) / weight,
            of_loss=[of_latents, of_codebook / weight],
        ),
    )


def test_evaluation():
    """Where theirs has no loss, and looks codes up in another way."""
    x, book = latents(), codebook()
    layer = VectorQuantizer(K, D)
    layer.set_codebook(book)
    module = vector_quantize(book, learnable_codebook=True, ema_update=False)
    module.eval()
    quantized, codes, _ = module(torch.tensor(x))
    np.testing.assert_array_equal(layer.encode(x), codes.numpy())
    assert_close(layer(x, training=False), quantized.detach().numpy())


@GRADIENTS
def test_simvq(gradient):
    """Theirs rotates gradients by default. The map is `basis` of ours."""
    x, layer = latents(), SimVQ(K, D, gradient=gradient)
    layer.build((None, D))
    module = peers.SimVQ(
        dim=D, codebook_size=K, rotation_trick=gradient == "rotation"
    )
    set_map(layer, module)
    expected = theirs(module, x, [module.code_transform.weight])
    expected.of_loss[1] = expected.of_loss[1].T
    assert_equal(ours(layer, x, [layer.basis]), expected)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_orthogonality(weight, heads):
    x = latents(heads * D)
    books = np.stack([codebook(seed) for seed in range(heads)])
    layer = VectorQuantizer(
        K,
        D,
        commitment_cost=1.0,
        num_codebooks=heads,
        regularizers=Orthogonality(weight),
    )
    layer.set_codebook(books if heads > 1 else books[0])
    module = vector_quantize(
        books,
        dim=heads * D,
        codebook_dim=D,
        heads=heads,
        separate_codebook_per_head=True,
        learnable_codebook=True,
        ema_update=False,
        commitment_weight=1.0,
        orthogonal_reg_weight=weight,
    )
    expected = theirs(module, x, [module._codebook.embed])
    received = ours(layer, x, layer.trainable_variables)
    # The codebook's own term, which in theirs is the same as the commitment.
    term = np.mean((received.quantized - x) ** 2)
    assert_equal(received, expected._replace(loss=expected.loss + term))


# Codebooks of moving averages -------------------------------------------------


@GRADIENTS
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_vector_quantizer_ema(gradient, scale):
    x, book = latents(scale=scale), codebook()
    layer = VectorQuantizerEMA(K, D, gradient=gradient)
    layer.set_codebook(book)
    module = vector_quantize(book, rotation_trick=gradient == "rotation")
    assert_equal(ours(layer, x), theirs(module, x))


def test_rotation_of_no_direction():
    """Theirs rotates the latent itself, and of nothing makes nothing.

    Ours is the code, whose gradient is copied.
    """
    x = np.zeros([1, 1, D], np.float32)
    layer = VectorQuantizerEMA(K, D, gradient="rotation")
    layer.set_codebook(codebook())
    received = ours(layer, x)
    expected = theirs(vector_quantize(codebook(), rotation_trick=True), x)
    np.testing.assert_array_equal(received.codes, expected.codes)
    assert not np.any(expected.quantized)
    np.testing.assert_array_equal(
        received.quantized[0, 0], codebook()[received.codes[0, 0]]
    )
    layer.gradient = "straight_through"
    copied = ours(layer, x).of_outputs
    np.testing.assert_array_equal(received.of_outputs, copied)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_averages(distance):
    """Of several steps, where theirs do not smooth counts."""
    layer, module = averages(distance, eps=0.0)
    for step in range(5):
        x = latents(scale=1.0 + step)
        assert_equal(ours(layer, x), theirs(module, x))
        layer(x, training=True)
        assert_averages(layer, module)
        assert_close(layer.codebook, module._codebook.embed[0].numpy())


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_smoothed_averages(distance):
    """By default theirs divide sums by Laplace-smoothed counts, ours do not.

    That moves all of their codes, even those that no latent has chosen. As
    directions they are the same.
    """
    layer, module = averages(distance, eps=1e-2)
    x = latents()
    layer(x, training=True)
    module(torch.tensor(x))
    assert_averages(layer, module)
    counts = np.array(layer.ema_counts)
    smoothed = (counts + 1e-2) / (counts.sum() + K * 1e-2) * counts.sum()
    expected = np.array(layer.ema_sums / smoothed[..., np.newaxis])[0]
    if distance == "cosine":
        expected = directions(expected)
        assert_close(layer.codebook, expected)
    assert_close(module._codebook.embed[0].numpy(), expected)


def averages(distance, **options):
    """A layer and a module of the same codebook."""
    cosine = distance == "cosine"
    book = directions(codebook()) if cosine else codebook()
    layer = VectorQuantizerEMA(K, D, distance=distance)
    layer.set_codebook(book, counts=np.ones(K))
    module = vector_quantize(book, decay=0.99, use_cosine_sim=cosine, **options)
    return layer, module


def assert_averages(layer, module):
    inner = module._codebook
    assert_close(layer.ema_counts, inner.cluster_size.numpy())
    assert_close(layer.ema_sums, inner.embed_avg.numpy())


def test_accumulated_averages():
    """Three batches, one update."""
    layer = VectorQuantizerEMA(K, D, accumulation_steps=3)
    layer.set_codebook(codebook(), counts=np.ones(K))
    module = vector_quantize(codebook(), decay=0.99, eps=0.0)
    for i in range(3):
        x = latents(scale=1.0 + i)
        module(torch.tensor(x), accum_ema_update=i < 2)
        layer(x, training=True)
        assert_averages(layer, module)
    assert np.all(layer.ema_counts != 1)
    assert_close(layer.codebook, module._codebook.embed[0].numpy())


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
    module(torch.tensor(x))
    layer(x, training=True)
    counts = layer.ema_counts.numpy(), inner.cluster_size.numpy()
    restarted = [np.isin(found, (2.0, 4.0)) for found in counts]
    np.testing.assert_array_equal(*restarted)
    assert K // 3 <= np.sum(restarted[0]) < K
    rows = {tuple(row) for row in x.reshape(-1, D)}
    for table in (layer.embeddings.numpy(), inner.embed.numpy()):
        assert {tuple(row) for row in table[restarted[0]]} <= rows


# Directions -------------------------------------------------------------------


@GRADIENTS
@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_cosine(cls, gradient):
    """Theirs have no codebook of directions with a gradient.

    Ours with one gives the same otherwise, of embeddings of any norm. The loss
    of its codebook is left out here.
    """
    x, book = latents(), codebook()
    layer = cls(K, D, distance="cosine", gradient=gradient)
    layer.set_codebook(book)
    module = vector_quantize(
        directions(book),
        use_cosine_sim=True,
        rotation_trick=gradient == "rotation",
    )
    received = ours(layer, x)
    if cls is VectorQuantizer:
        received = received._replace(loss=received.loss * 0.25 / 1.25)
    assert_equal(received, theirs(module, x))


def test_diversity():
    """The same entropy where distances are those of directions.

    |z - e|^2 is then 2 minus twice the cosine, so that our temperature is 2
    divided by theirs, which multiplies. Theirs is without log K. And where
    theirs moves its codebook in the same call, it overwrites what the gradient
    of this loss is computed from: so here it stays.
    """
    x, book = latents().reshape(-1, D), directions(codebook())
    layer = VectorQuantizerEMA(
        K, D, distance="cosine", regularizers=Diversity(0.3, temperature=0.4)
    )
    layer.set_codebook(book)
    module = vector_quantize(
        book,
        use_cosine_sim=True,
        ema_update=False,
        codebook_diversity_loss_weight=0.3,
        codebook_diversity_temperature=5.0,
    )
    expected = theirs(module, x)
    loss = expected.loss + 0.3 * np.float32(np.log(K))
    assert_equal(ours(layer, x), expected._replace(loss=loss))


def test_diversity_of_a_sequence():
    """Theirs is a mean over positions of the entropy over the batch.

    Ours is the entropy over all latents. And theirs compares distances where
    ours compares their squares, as here.
    """
    x, book = latents().reshape(16, 4, D), codebook()
    module = vector_quantize(
        book,
        codebook_diversity_loss_weight=1.0,
        codebook_diversity_temperature=1.0,
    )
    *_, breakdown = module(torch.tensor(x), return_loss_breakdown=True)
    z = torch.tensor(x)[:, :, None], torch.tensor(book)[None, None]
    p = torch.softmax(-torch.linalg.norm(z[0] - z[1], dim=-1), dim=-1)
    mean = p.mean(0)
    assert_close(
        breakdown.codebook_diversity.numpy(),
        (mean * mean.log()).sum(-1).mean().numpy(),
    )


def test_diversity_of_a_codebook():
    """Its gradient, where theirs has one for the sake of `Orthogonality`."""
    x, book = directions(latents()).reshape(-1, D), directions(codebook())
    module = vector_quantize(
        book,
        use_cosine_sim=True,
        ema_update=False,
        orthogonal_reg_weight=1.0,
        codebook_diversity_loss_weight=1.0,
        codebook_diversity_temperature=5.0,
    )
    *_, breakdown = module(torch.tensor(x), return_loss_breakdown=True)
    for expected, term in (
        (breakdown.codebook_diversity, Diversity(1.0, temperature=0.4)),
        (breakdown.orthogonal_reg, Orthogonality(1.0)),
    ):
        (expected,) = torch.autograd.grad(
            expected, module._codebook.embed, retain_graph=True
        )
        with tf.GradientTape() as tape:
            table = tf.constant(book[np.newaxis])
            tape.watch(table)
            value = term(tf.constant(x[np.newaxis]), table)
        # Ours is of |e|^2 - 2 z . e, theirs of the cosine: the same on the
        # sphere, along which embeddings of directions move.
        received = _along(book, tape.gradient(value, table))
        assert_close(received, _along(book, expected.numpy()))


def _along(book, gradient):
    """The part of a gradient that is orthogonal to the embeddings."""
    gradient = np.array(gradient)[0]
    return gradient - book * np.sum(book * gradient, axis=-1, keepdims=True)


# Projections ------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls, distance",
    [
        (VectorQuantizer, "euclidean"),
        (VectorQuantizerEMA, "euclidean"),
        (VectorQuantizerEMA, "cosine"),
    ],
)
@pytest.mark.parametrize("groups, shared", [(1, False), (3, False), (3, True)])
def test_projection(cls, distance, groups, shared):
    """Groups of two channels each, of a codebook of their own or one."""
    dim = 2
    x = latents(groups * D)
    rng = np.random.default_rng(1)
    size = (1 if shared else groups, K, dim)
    books = rng.normal(size=size).astype(np.float32)
    learned = cls is VectorQuantizer
    if distance == "cosine":
        books = directions(books)
    options = dict(commitment_cost=1.0, distance=distance)
    layer = cls(
        K,
        D,
        num_codebooks=groups,
        codebook_dim=dim,
        shared_codebook=shared,
        **options,
    )
    layer.build((None, groups * D))
    layer.set_codebook(books if len(books) > 1 else books[0])
    module = vector_quantize(
        books,
        dim=groups * D,
        heads=groups,
        codebook_dim=dim,
        separate_codebook_per_head=not shared,
        learnable_codebook=learned,
        ema_update=False,
        commitment_weight=1.0,
        use_cosine_sim=distance == "cosine",
    )
    maps = (
        (module.project_in, layer.project_in),
        (module.project_out, layer.project_out),
    )
    for linear, own in maps:
        bias = rng.normal(size=own.bias.shape).astype(np.float32)
        own.bias.assign(bias)
        # Each of our groups has a matrix, theirs are blocks of a single one.
        blocks = torch.block_diag(*torch.tensor(np.array(own.kernel)))
        with torch.no_grad():
            linear.weight.copy_(blocks.T)
            linear.bias.copy_(torch.tensor(bias.ravel()))
    parameters = [p for linear, _ in maps for p in (linear.weight, linear.bias)]
    variables = [v for _, own in maps for v in (own.kernel, own.bias)]
    if learned:
        parameters.append(module._codebook.embed)
        variables.append(layer.embeddings)
    received, expected = (
        ours(layer, x, variables),
        theirs(module, x, parameters),
    )
    for found in (expected.of_outputs, expected.of_loss):
        for i in (1, 3):
            found[i] = _blocks(found[i].T, variables[i - 1].shape)
            found[i + 1] = found[i + 1].reshape(variables[i].shape)
    loss = expected.loss * (2 if learned else 1)
    assert_equal(received, expected._replace(loss=loss))


def _blocks(matrix, shape):
    """The blocks `[G, inputs, outputs]` on the diagonal of a matrix."""
    groups, rows, columns = shape
    blocks = matrix.reshape(groups, rows, groups, columns)
    return np.stack([blocks[g, :, g] for g in range(groups)])


# Nothing to learn -------------------------------------------------------------


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
    set_codebook(module.vq, directions(np.array(layer.codebook)))
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
    assert_close(means, expected.numpy())
    np.testing.assert_array_equal(sizes, bins.numpy())
