"""A quantizer of ours and one of vector-quantize-pytorch, on the same input.

It needs PyTorch: a test module that imports it is skipped where there is none.
"""

import typing

import numpy as np
import pytest
import tensorflow as tf

torch = pytest.importorskip("torch")
peers = pytest.importorskip("vector_quantize_pytorch")

K, D, N = 16, 4, 64
_ZERO = tf.UnconnectedGradients.ZERO


class Results(typing.NamedTuple):
    """What a call gives, and its gradients.

    `of_outputs` are the gradients of the weighted sum of the outputs, by
    latents and by each of the given variables; `of_loss` those of the loss.
    """

    quantized: np.ndarray
    codes: np.ndarray
    loss: np.ndarray
    of_outputs: list
    of_loss: list


def latents(channels=D, scale=1.0):
    # Of a seed of their own: none is an embedding, which leaves a rest of 0.
    rng = np.random.default_rng(100)
    return rng.normal(0, scale, [2, N // 2, channels]).astype(np.float32)


def codebook(seed=0):
    return np.random.default_rng(seed).normal(size=[K, D]).astype(np.float32)


def directions(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _weights(x):
    """Of the outputs, of both signs: by latents and channels."""
    return np.random.default_rng(101).normal(size=x.shape).astype(np.float32)


def ours(layer, x, variables=(), **call):
    sources = [tf.constant(x), *(v.value for v in variables)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sources[0])
        quantized, codes = layer(sources[0], return_codes=True, **call)
        loss = tf.add_n([tf.zeros([]), *layer.losses])
        target = tf.reduce_sum(quantized * _weights(x))
    gradients = [
        tape.gradient(y, sources, unconnected_gradients=_ZERO)
        for y in (target, loss)
    ]
    gradients = [
        [np.array(tf.convert_to_tensor(each)) for each in found]
        for found in gradients
    ]
    return Results(quantized.numpy(), codes.numpy(), loss.numpy(), *gradients)


def theirs(module, x, parameters=(), loss_of=lambda loss: loss.sum(), **call):
    """As `ours`; `loss_of` is of the loss that they return third."""
    sources = [torch.tensor(x, requires_grad=True), *parameters]
    quantized, codes, *losses = module(sources[0], **call)
    loss = loss_of(losses[0]) if losses else torch.zeros([])
    target = (quantized * torch.tensor(_weights(x))).sum()
    gradients = [
        torch.autograd.grad(
            y, sources, retain_graph=True, materialize_grads=True
        )
        if y.requires_grad
        else [torch.zeros_like(source) for source in sources]
        for y in (target, loss)
    ]
    gradients = [[each.numpy() for each in found] for found in gradients]
    found = (y.detach().numpy() for y in (quantized, codes, loss))
    return Results(*found, *gradients)


def assert_equal(received, expected):
    """Codes are the same; all else is close, as `assert_close` has it."""
    np.testing.assert_array_equal(received.codes, expected.codes)
    for name in ("quantized", "loss", "of_outputs", "of_loss"):
        found = [getattr(each, name) for each in (received, expected)]
        found = [each if isinstance(each, list) else [each] for each in found]
        for i, pair in enumerate(zip(*found, strict=True)):
            assert_close(*pair, f"{name} {i}")


def assert_close(received, expected, what=""):
    """At most 1e-5 of each value and 2e-6 of the largest apart."""
    received, expected = np.asarray(received), np.asarray(expected)
    least = 2e-6 * np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(received, expected, 1e-5, least, err_msg=what)


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
    set_codebook(module, book)
    module.train()
    return module


def set_codebook(module, book):
    """Sets a codebook `[K, D]`, or one `[G, K, D]` for each head."""
    inner = module._codebook
    book = torch.tensor(book.reshape(-1, *book.shape[-2:]))
    with torch.no_grad():
        inner.embed.copy_(book)
        if hasattr(inner, "embed_avg"):
            inner.embed_avg.copy_(book)
            inner.cluster_size.fill_(1.0)


def keep_codebooks(modules):
    """Makes a training step of theirs give its losses, but no update."""
    for module in modules:
        module._codebook.ema_update = False


def set_map(layer, module):
    """Gives a `SimVQ` of theirs our codebook and linear map."""
    with torch.no_grad():
        frozen = torch.tensor(np.array(layer.coefficients))
        module.frozen_codebook.copy_(frozen)
        weight = torch.tensor(np.array(layer.basis).T)
        module.code_transform.weight.copy_(weight)
