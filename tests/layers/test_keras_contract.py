"""Keras' own test of layers, over every public layer of the package.

What cannot be called as that test calls layers is named below, with why.
"""

import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.testing import TestCase

from vqvae_tf import bottlenecks, layers, networks, quantizers
from vqvae_tf.layers.batch_norm import BatchNorm
from vqvae_tf.layers.causal_conv import (
    CausalConv1D,
    DownRightConv2D,
    VerticalConv2D,
)

SPEECH = dict(sample_rate=800, num_mels=3, window=16, hop=4)


def floats(*shape, dtype="float32"):
    values = 0.1 * np.random.default_rng(0).normal(size=shape)
    return tf.constant(values, dtype)


class Case(typing.NamedTuple):
    """A layer, and what Keras' test is told of it."""

    cls: type
    options: dict
    data: typing.Any  # a tensor, or a dict of arguments
    training: bool = True  # whether Keras' test can train it


CASES = {
    "AttentionBlock": Case(
        layers.AttentionBlock,
        dict(channels=4, num_heads=2, num_groups=2),
        floats(2, 3, 4, 4),
    ),
    "Binarization": Case(
        layers.Binarization, {}, tf.constant([[[[0], [90], [255]]]], tf.uint8)
    ),
    "CodeEmbedding": Case(
        layers.CodeEmbedding,
        dict(num_embeddings=8, embedding_dim=3),
        tf.constant([[[0, 7], [3, 1]]]),
    ),
    "Dropout": Case(layers.Dropout, dict(rate=0.5), floats(2, 4, 3)),
    "GaussianCorruption": Case(
        layers.GaussianCorruption, dict(stddev=0.5), floats(2, 4, 4, 3)
    ),
    "GriffinLim": Case(
        layers.GriffinLim, dict(steps=2, **SPEECH), floats(2, 5, 3)
    ),
    "GroupNorm": Case(layers.GroupNorm, dict(groups=2), floats(2, 4, 3, 4)),
    # Keras' test trains layers of one input alone.
    "GroupNormBlock": Case(
        layers.GroupNormBlock,
        dict(channels=4, strides=2, num_groups=2),
        floats(2, 4, 4, 2),
    ),
    "LabelAdversary": Case(
        layers.LabelAdversary,
        dict(num_classes=3, channels=4),
        {"latents": floats(2, 5, 4), "labels": tf.one_hot([0, 2], 3)},
        training=False,
    ),
    "LogMel": Case(layers.LogMel, SPEECH, floats(2, 20)),
    "MaskingNoise": Case(
        layers.MaskingNoise, dict(rate=0.5), floats(2, 4, 4, 3)
    ),
    "MuLaw": Case(layers.MuLaw, dict(num_levels=16), floats(2, 20)),
    "PixelScaling": Case(
        layers.PixelScaling, {}, tf.constant([[[[0], [90], [255]]]], tf.uint8)
    ),
    "ResidualBlock": Case(
        layers.ResidualBlock, dict(channels=3), floats(2, 4, 4, 3)
    ),
    "ResidualStack": Case(
        layers.ResidualStack,
        dict(num_layers=1, channels=3, rank=1),
        floats(2, 4, 3),
    ),
    "SaltAndPepperNoise": Case(
        layers.SaltAndPepperNoise, dict(rate=0.5), floats(2, 4, 4, 3)
    ),
    "SpectralConv2D": Case(
        layers.SpectralConv2D,
        dict(filters=3, kernel_size=3, padding="same"),
        floats(2, 4, 4, 2),
    ),
    "SpectralDecoder": Case(
        layers.SpectralDecoder, dict(channels=4, **SPEECH), floats(2, 5, 4)
    ),
    "SpectralDecoder of speakers": Case(
        layers.SpectralDecoder,
        dict(channels=4, **SPEECH),
        {"latents": floats(2, 5, 4), "speakers": tf.one_hot([0, 2], 3)},
        training=False,
    ),
    "VectorQuantizer": Case(
        layers.VectorQuantizer,
        dict(num_embeddings=8, embedding_dim=4),
        floats(2, 3, 4),
    ),
    "BSQ": Case(quantizers.BSQ, dict(num_bits=4), floats(2, 3, 4)),
    "FSQ": Case(quantizers.FSQ, dict(levels=[4, 3]), floats(2, 3, 2)),
    "LFQ": Case(quantizers.LFQ, dict(num_bits=4), floats(2, 3, 4)),
    "RandomProjectionQuantizer": Case(
        quantizers.RandomProjectionQuantizer,
        dict(num_embeddings=8, channels=4, num_codebooks=2),
        floats(2, 3, 4),
    ),
    "SimVQ": Case(
        quantizers.SimVQ,
        dict(num_embeddings=8, embedding_dim=4),
        floats(2, 3, 4),
    ),
    "VectorQuantizerEMA": Case(
        layers.VectorQuantizerEMA,
        dict(
            num_embeddings=8,
            embedding_dim=2,
            num_codebooks=2,
            initialize_from_data=True,
            restart_after=3,
        ),
        floats(2, 3, 3, 4),
    ),
    "BatchNorm": Case(BatchNorm, {}, floats(2, 4, 3)),
    "CausalConv1D": Case(
        CausalConv1D,
        dict(filters=3, kernel_size=2, dilation_rate=2),
        floats(2, 6, 4),
    ),
    "DownRightConv2D": Case(
        DownRightConv2D, dict(filters=3), floats(2, 4, 4, 2)
    ),
    "VerticalConv2D": Case(
        VerticalConv2D, dict(filters=3, kernel_size=(2, 3)), floats(2, 4, 4, 2)
    ),
    "Decoder": Case(
        networks.Decoder,
        dict(output_channels=3, hidden_channels=4, num_residual_layers=1),
        floats(2, 2, 2, 4),
    ),
    "DenseDecoder": Case(
        networks.DenseDecoder,
        dict(output_channels=1, picture_size=4, hidden_units=(3,)),
        floats(2, 1, 1, 4),
    ),
    "DenseEncoder": Case(
        networks.DenseEncoder,
        dict(output_channels=4, picture_size=4, hidden_units=(3,)),
        floats(2, 4, 4, 1),
    ),
    "Encoder": Case(
        networks.Encoder,
        dict(
            output_channels=4,
            hidden_channels=4,
            num_residual_layers=1,
            batch_norm=True,
        ),
        floats(2, 8, 8, 3),
    ),
    "GroupNormEncoder": Case(
        networks.GroupNormEncoder,
        dict(
            output_channels=3,
            stage_channels=(4, 6),
            num_residual_layers=1,
            num_groups=2,
        ),
        floats(2, 4, 4, 3),
    ),
    "GroupNormDecoder": Case(
        networks.GroupNormDecoder,
        dict(
            output_channels=3,
            stage_channels=(4, 6),
            num_residual_layers=0,
            num_groups=2,
        ),
        floats(2, 2, 2, 4),
    ),
    "PatchDiscriminator": Case(
        networks.PatchDiscriminator,
        dict(hidden_channels=4, num_layers=1),
        floats(2, 8, 8, 3),
    ),
    "ResidualFeatures": Case(
        networks.ResidualFeatures,
        dict(stage_channels=(4, 8), blocks_per_stage=1, num_groups=2),
        floats(2, 8, 8, 3),
    ),
    "GlobalEncoder": Case(
        networks.GlobalEncoder,
        dict(grid_size=4, output_channels=6, hidden_channels=4),
        floats(2, 4, 4, 3),
    ),
}

# Their configurations alone are tested.
OTHERS = {
    # Of a function, not of tensors.
    "Contractive": layers.Contractive(0.5, "hutchinson"),
    # A metric.
    "CodebookUsage": layers.CodebookUsage(8, prefix="vq_"),
    # Options, not layers.
    "Diversity": quantizers.Diversity(0.5, temperature=0.1),
    "GumbelSoftmax": quantizers.GumbelSoftmax(0.5, 2.0),
    "KMeans": quantizers.KMeans(5, num_latents=100),
    "Orthogonality": quantizers.Orthogonality(3.0),
    "SoftmaxSampling": quantizers.SoftmaxSampling(0.5),
    # Of one dict, which Keras' test would take apart into arguments.
    # Keras' test wants each argument in the configuration as it was given.
    "GroupedQuantizer": quantizers.GroupedQuantizer(
        layers.VectorQuantizer(8, 4), 2
    ),
    "ResidualQuantizer": quantizers.ResidualQuantizer(
        layers.VectorQuantizer(8, 4), 3, dropout=0.5
    ),
    "PastFrames": networks.PastFrames(
        8, num_past=2, num_actions=3, hidden_channels=4
    ),
    "UpperCodes": networks.UpperCodes(
        ("top",), [8], [2], hidden_channels=4, num_residual_layers=1
    ),
    # An `Autoencoder` calls their methods.
    "DiagonalGaussian": bottlenecks.DiagonalGaussian(capacity=3.0),
    "Identity": bottlenecks.Identity(),
    "IndependentCategorical": bottlenecks.IndependentCategorical(4, 3),
    "KSparse": bottlenecks.KSparse(2),
    "Sparse": bottlenecks.Sparse(0.5, 3.0),
}
FUNCTIONS = {"log_mean_exp"}
BASES = {"Bottleneck", "CodebookRegularizer", "Quantizer"}


def test_every_public_layer_is_here():
    rooms = (layers, networks, bottlenecks, quantizers)
    public = {name for room in rooms for name in room.__all__}
    assert public - FUNCTIONS - BASES <= {*CASES, *OTHERS}


@pytest.mark.filterwarnings(
    # Of layers without weights, which Keras' test trains too.
    "ignore:The model does not have any trainable weights:UserWarning",
    # Its generator is fitted with shuffle=True, the default.
    "ignore:`shuffle=True` was passed:UserWarning",
)
@pytest.mark.parametrize("name", CASES)
def test_keras_own_test_of_layers(name):
    case = CASES[name]
    data = dict(input_data=case.data)
    if isinstance(case.data, dict):
        names = {f"{name}_shape": x for name, x in case.data.items()}
        data = {
            "input_shape": {k: tuple(x.shape) for k, x in names.items()},
            "input_dtype": {k: x.dtype.name for k, x in names.items()},
        }
    TestCase().run_layer_test(
        case.cls,
        case.options,
        run_training_check=case.training,
        **data,
    )


@pytest.mark.parametrize("name", OTHERS)
def test_keras_own_test_of_configurations(name):
    TestCase().run_class_serialization_test(OTHERS[name])


POLICIES = (
    *("float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16"),
)


def symbolic(data):
    return keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), data
    )


def called(layer, data):
    return layer(**data) if isinstance(data, dict) else layer(data)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", CASES)
def test_symbolic_outputs_have_the_dtype_and_shape_of_real_ones(name, policy):
    """Or the next layer of a functional model is made for another dtype."""
    case = CASES[name]
    layer = case.cls(**case.options, dtype=policy)
    promised = called(layer, symbolic(case.data))
    received = called(layer, case.data)
    for spec, value in zip(
        keras.tree.flatten(promised), keras.tree.flatten(received)
    ):
        assert spec.dtype == value.dtype.name
        assert spec.shape[1:] == tuple(value.shape[1:])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, case in CASES.items()
        if all(x.dtype.is_floating for x in keras.tree.flatten(case.data))
    ],
)
def test_dtypes_of_outputs_for_inputs_of_another_dtype(name, dtype):
    case = CASES[name]
    data = keras.tree.map_structure(lambda x: tf.cast(x, dtype), case.data)
    layer = case.cls(**case.options)
    promised = keras.tree.flatten(called(layer, symbolic(data)))
    for spec, value in zip(promised, keras.tree.flatten(called(layer, data))):
        assert spec.dtype == value.dtype.name


@pytest.mark.parametrize("policy", POLICIES)
def test_symbolic_past_frames_have_the_dtype_of_real_ones(policy):
    data = {
        "past": tf.zeros([2, 2, 4, 4], tf.int32),
        "action": tf.constant([0, 1]),
    }
    layer = networks.PastFrames(
        8, num_past=2, num_actions=3, hidden_channels=4, dtype=policy
    )
    promised = layer(symbolic(data))
    received = layer(data)
    assert promised.keys() == received.keys()
    for name, value in received.items():
        assert promised[name].dtype == value.dtype.name
        assert promised[name].shape[1:] == tuple(value.shape[1:])


def test_a_bottleneck_that_is_called_says_what_to_do():
    with pytest.raises(ValueError, match="called by an Autoencoder.*encode"):
        bottlenecks.Identity()(floats(2, 1, 1, 3))
