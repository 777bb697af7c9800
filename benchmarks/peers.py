"""Quantizers to compare: ours, the textbook's, Sonnet's and lucidrains'.

Each is a function of float32 arrays `latents [N, D]`, `weights [N, D]` and
`codebook [K, D]` that returns a `Quantizer`.
"""

import importlib.util
import typing

import tensorflow as tf
from textbook import TextbookQuantizer

from vqvae_tf import VectorQuantizerEMA

COMMITMENT_COST = 0.25
DECAY = 0.99


class Quantizer(typing.NamedTuple):
    """What is measured of a quantizer; both wait for their result."""

    # Forward, gradient to the latents of `sum(quantized * weights) + loss`,
    # update of the codebook. Returns the gradient, [N, D].
    step: typing.Callable
    # Returns the codes, [N], by the present codebook.
    codes: typing.Callable


def ours(latents, weights, codebook):
    layer = VectorQuantizerEMA(*codebook.shape, COMMITMENT_COST, DECAY)
    layer.build(latents.shape)
    layer.embeddings.assign(codebook[None])
    layer.ema_sums.assign(codebook[None])
    return _keras(layer, latents, weights)


def textbook(latents, weights, codebook):
    layer = TextbookQuantizer(*codebook.shape, COMMITMENT_COST, DECAY)
    layer.build(latents.shape)
    layer.codebook.assign(codebook)
    layer.sums.assign(codebook)
    return _keras(layer, latents, weights)


def _keras(layer, latents, weights):
    def forward(latents):
        quantized = layer(latents, training=True)
        return quantized, tf.add_n(layer.losses)

    return _tensorflow(forward, layer.encode, latents, weights)


def _tensorflow(forward, encode, latents, weights):
    latents, weights = tf.constant(latents), tf.constant(weights)

    @tf.function
    def step(latents, weights):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            quantized, loss = forward(latents)
            loss += tf.reduce_sum(quantized * weights)
        return tape.gradient(loss, latents)

    return Quantizer(
        lambda: step(latents, weights).numpy(),
        lambda: tf.function(encode)(latents).numpy(),
    )


def sonnet(latents, weights, codebook):
    """`sonnet.nets.VectorQuantizerEMA`, of the package dm-sonnet."""
    import sonnet as snt

    layer = snt.nets.VectorQuantizerEMA(
        codebook.shape[1], codebook.shape[0], COMMITMENT_COST, DECAY
    )
    layer.embeddings.assign(codebook.T)

    def forward(latents):
        outputs = layer(latents, is_training=True)
        return outputs["quantize"], outputs["loss"]

    def encode(latents):
        return layer(latents, is_training=False)["encoding_indices"]

    return _tensorflow(forward, encode, latents, weights)


def lucidrains(latents, weights, codebook):
    """`VectorQuantize`, of the package vector-quantize-pytorch."""
    import torch

    layer = torch_quantizer(*codebook.shape)
    books = layer._codebook
    books.embed.data.copy_(torch.tensor(codebook)[None])
    books.embed_avg.data.copy_(torch.tensor(codebook)[None])
    latents = torch.from_numpy(latents)[None].requires_grad_()
    weights = torch.from_numpy(weights)[None]

    def step():
        latents.grad = None
        quantized, _, loss = layer(latents)
        ((quantized * weights).sum() + loss.sum()).backward()
        return latents.grad[0].numpy()

    def codes():
        layer.eval()
        with torch.no_grad():
            indices = layer(latents)[1]
        layer.train()
        return indices[0].numpy()

    return Quantizer(step, codes)


def torch_quantizer(num_embeddings, dim, **kwargs):
    """`VectorQuantize` with our loss, gradient and moving averages."""
    from vector_quantize_pytorch import VectorQuantize

    return VectorQuantize(
        dim=dim,
        codebook_size=num_embeddings,
        decay=DECAY,
        commitment_weight=COMMITMENT_COST,
        kmeans_init=False,
        threshold_ema_dead_code=0,
        **{"rotation_trick": False, **kwargs},
    )


NEEDED = {
    "sonnet": ["sonnet"],
    "lucidrains": ["torch", "vector_quantize_pytorch"],
    "torch": ["torch", "vector_quantize_pytorch"],
}


def installed(name) -> bool:
    """Whether what a peer needs is there; says so where it is not."""
    missing = [
        package
        for package in NEEDED.get(name, [])
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        print(
            f"{name} is left out, for want of {' and '.join(missing)}: "
            "pip install vqvae_tf[bench]",
            flush=True,
        )
    return not missing
