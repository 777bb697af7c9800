"""Residual quantizers beside those of vector-quantize-pytorch.

As test_peers.py. Theirs passes the gradient of the sum on once for each stage,
straight through or rotated as that stage's vector is to its rest; ours once
for all of them. The gradients of the losses are the same.
"""

import random

import numpy as np
import pytest
import tensorflow as tf

from support.quantizer_peers import (
    D,
    K,
    assert_close,
    assert_equal,
    codebook,
    keep_codebooks,
    latents,
    ours,
    peers,
    set_codebook,
    set_map,
    theirs,
    torch,
)
from vqvae_tf.quantizers import (
    GroupedQuantizer,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)

STAGES = 3
GRADIENTS = pytest.mark.parametrize(
    "gradient", ["straight_through", "rotation"]
)


def residual_vq(kind=peers.ResidualVQ, dim=D, count=STAGES, **options):
    return kind(
        **{
            "dim": dim,
            "num_quantizers": count,
            "codebook_size": K,
            "commitment_weight": 0.25,
            "rotation_trick": False,
            **options,
        }
    )


def of_averages(count=STAGES, options=None, **module_options):
    """A layer of averages and a module, of the same codebooks that stay."""
    layer = ResidualQuantizer(
        VectorQuantizerEMA(K, D), count, **(options or {})
    )
    layer.build((None, None, D))
    module = residual_vq(count=count, **module_options)
    fill(layer, module)
    module.train()
    keep_codebooks(module.layers)
    return layer, module


def fill(layer, module, first=0):
    """Gives the stages of both the same codebooks."""
    for i, (own, stage) in enumerate(zip(layer.stages, module.layers)):
        book = codebook(first + i) / 2**i
        set_codebook(stage, book)
        own.set_codebook(book)


class Arranged:
    """Stages of ours as theirs arranges them: each passes its own gradient."""

    losses = ()

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, x, return_codes):
        assert return_codes
        rest, total, codes = x, 0.0, []
        for stage in self.layer.stages:
            stage.gradient = self.layer.gradient
            quantized, code = stage(rest, return_codes=True)
            rest = rest - tf.stop_gradient(quantized)
            total += quantized
            codes.append(code)
        return total, tf.stack(codes, axis=-1)


def arranged(layer, x, results):
    """Our results, with the latents' gradient of that arrangement."""
    _, *of_variables = results.of_outputs
    of_outputs = ours(Arranged(layer), x).of_outputs + of_variables
    return results._replace(of_outputs=of_outputs)


@GRADIENTS
def test_residual(gradient):
    x = latents()
    layer, module = of_averages(
        options=dict(gradient=gradient), rotation_trick=gradient == "rotation"
    )
    received, expected = ours(layer, x), theirs(module, x)
    assert_equal(arranged(layer, x, received), expected)
    if gradient == "straight_through":
        once = expected.of_outputs[0] / STAGES
        assert_close(received.of_outputs[0], once)


@GRADIENTS
@pytest.mark.parametrize("shared", [False, True])
def test_residual_of_learned_codebooks(gradient, shared):
    """With the codebooks' own gradients, of one codebook from all stages."""
    x = latents()
    stage = VectorQuantizer(K, D, commitment_cost=1.0)
    layer = ResidualQuantizer(stage, STAGES, shared=shared, gradient=gradient)
    layer.build((None, None, D))
    module = residual_vq(
        shared_codebook=shared,
        learnable_codebook=True,
        ema_update=False,
        commitment_weight=1.0,
        rotation_trick=gradient == "rotation",
    )
    fill(layer, module)
    module.train()
    expected = theirs(module, x, list(module.parameters()))
    received = ours(layer, x, layer.trainable_variables)
    # Ours has a loss of the codebooks as well, which is the same in value.
    expected = expected._replace(loss=2 * expected.loss)
    assert_equal(arranged(layer, x, received), expected)
    assert len(received.of_loss) == 1 + (1 if shared else STAGES)


def test_shared_averages():
    """Theirs multiplies averages by their decay after every stage.

    So the first stages' latents count less; ours adds up those of all stages.
    """
    x = latents()
    stage = VectorQuantizerEMA(K, D, decay=0.9)
    layer = ResidualQuantizer(stage, STAGES, shared=True)
    layer.build((None, None, D))
    module = residual_vq(shared_codebook=True, decay=0.9)
    fill(layer, module)
    module.train()
    received, expected = ours(layer, x), theirs(module, x)
    (of_outputs,) = expected.of_outputs
    expected = expected._replace(of_outputs=[of_outputs / STAGES])
    assert_equal(received, expected)
    layer(x, training=True)
    counts = [
        np.bincount(received.codes[..., i].ravel(), minlength=K)
        for i in range(STAGES)
    ]
    assert_close(stage.ema_counts[0], 0.9 + 0.1 * sum(counts))
    each = sum(0.1 * 0.9**i * n for i, n in enumerate(reversed(counts)))
    inner = module.layers[0]._codebook
    assert_close(inner.cluster_size[0].numpy(), 0.9**STAGES + each)


def test_dropout():
    """Of one example; theirs drops the same stages of a whole batch."""
    x = latents()[:1]
    layer, module = of_averages(
        options=dict(dropout=1.0), quantize_dropout=True
    )
    for stage in layer.stages:
        stage.trainable = False
    seen = set()
    for _ in range(20):
        received = ours(layer, x, training=True)
        kept = int(np.sum(received.codes[0, 0] >= 0))
        expected = theirs(
            module, x, rand_quantize_dropout_fixed_seed=_seed_of(kept)
        )
        (of_outputs,) = expected.of_outputs
        assert_equal(
            received, expected._replace(of_outputs=[of_outputs / kept])
        )
        seen.add(kept)
    assert seen == {1, 2, 3}


def _seed_of(kept):
    """A seed by which theirs keeps so many stages."""
    return next(
        seed
        for seed in range(100)
        if random.Random(seed).randrange(STAGES) == kept - 1
    )


@GRADIENTS
def test_residual_simvq(gradient):
    """Theirs rotates in each stage by default."""
    x = latents()
    layer = ResidualQuantizer(SimVQ(K, D), STAGES, gradient=gradient)
    layer.build((None, None, D))
    module = peers.ResidualSimVQ(
        dim=D,
        num_quantizers=STAGES,
        codebook_size=K,
        rotation_trick=gradient == "rotation",
    )
    for own, stage in zip(layer.stages, module.layers):
        set_map(own, stage)
    expected = theirs(module, x, list(module.parameters()))
    for gradients in (expected.of_outputs, expected.of_loss):
        gradients[1:] = [each.T for each in gradients[1:]]
    received = ours(layer, x, layer.trainable_variables)
    assert_equal(arranged(layer, x, received), expected)


def test_a_beam_of_all_codes_finds_the_same():
    """Narrower ones differ: theirs adds up the errors after every stage."""
    x = latents()
    layer, module = of_averages(
        2,
        dict(beam_size=K),
        beam_size=K,
        beam_score_quantizer_weights=[0.0, 1.0],
    )
    module.eval()
    quantized, codes, _ = module(torch.tensor(x))
    np.testing.assert_array_equal(layer.encode(x), codes.numpy())
    assert_close(layer(x), quantized.detach().numpy())


def test_grouped_residual():
    """Theirs has a loss for each stage; ours is their mean over groups."""
    x, stages = latents(2 * D), 2
    layer = GroupedQuantizer(
        ResidualQuantizer(VectorQuantizerEMA(K, D), stages), 2
    )
    layer.build((None, None, 2 * D))
    module = residual_vq(peers.GroupedResidualVQ, 2 * D, stages, groups=2)
    for i, (group, own) in enumerate(zip(module.rvqs, layer.quantizers)):
        fill(own, group, first=stages * i)
        keep_codebooks(group.layers)
    module.train()
    expected = theirs(module, x)
    # [groups, batch, n, stages] to [batch, n, groups * stages].
    codes = np.moveaxis(expected.codes, 0, -2).reshape(*x.shape[:2], -1)
    expected = expected._replace(
        codes=codes,
        loss=expected.loss / 2,
        of_outputs=[expected.of_outputs[0] / stages],
        of_loss=[expected.of_loss[0] / 2],
    )
    assert_equal(ours(layer, x), expected)
