"""PixelSNAIL: causality, log_prob, sampling, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import densities_harness as harness
from support.densities_harness import CONDITIONAL, dependence
from support.naive_sampling import NaiveSampler
from vqvae_tf.densities.autoregressive.pixel_snail import PixelSNAIL
from vqvae_tf.densities.autoregressive.pixel_snail_layer import (
    GatedResidual,
    ShiftedConv,
)

GRID = (4, 6)


def small(num_embeddings=5, num_codebooks=1, scale=0.1, **options):
    keras.utils.set_random_seed(7)
    sizes = dict(
        event_shape=GRID,
        hidden_channels=8,
        num_blocks=2,
        num_layers=1,
        num_heads=2,
        key_channels=4,
        head_channels=16,
    )
    density = PixelSNAIL(
        num_embeddings, num_codebooks=num_codebooks, **{**sizes, **options}
    )
    return harness.perturbed(density, scale)


def places():
    """Row and column of outputs and of inputs."""
    rows, columns = np.stack(np.indices(GRID)).reshape(2, -1)
    return (rows[:, None], columns[:, None]), (rows, columns)


def test_the_first_layer_sees_rows_above_and_columns_to_the_left():
    layer = ShiftedConv(3, 3)
    layer.build()
    (r, c), (r0, c0) = places()
    expected = (r - r0 == 1) & (abs(c - c0) <= 1)
    expected |= (r == r0) & (c - c0 == 1)
    x = np.random.default_rng(0).normal(size=[1, *GRID, 3])
    result = dependence(lambda x: tf.reshape(layer(x)[..., 0], [-1]), x)
    np.testing.assert_array_equal(result, expected)


def test_residual_layers_see_what_is_above_and_to_the_left():
    layer = GatedResidual(3, 4, kernel_size=2)
    layer.build()
    (r, c), (r0, c0) = places()
    expected = (r >= r0) & (r - r0 <= 2) & (c >= c0) & (c - c0 <= 2)
    x = np.random.default_rng(0).normal(size=[1, *GRID, 3])
    result = dependence(lambda x: tf.reshape(layer(x)[..., 0], [-1]), x)
    np.testing.assert_array_equal(result, expected)


def test_a_residual_layer_equals_its_formula():
    layer = GatedResidual(
        3, 4, kernel_size=1, extra_channels=2, global_channels=5
    )
    layer.build()
    rng = np.random.default_rng(0)
    for v in layer.trainable_variables:
        v.assign(rng.normal(size=v.shape))
    x, extra = rng.normal(size=[1, 2, 2, 3]), rng.normal(size=[1, 2, 2, 2])
    given = rng.normal(size=[1, 5])

    def elu(x):
        return np.where(x > 0, x, np.expm1(x))

    hidden = elu(x) @ layer.first.kernel.numpy()[0, 0]
    hidden += layer.first.bias.numpy() + elu(extra) @ layer.of_extra.kernel
    gates = elu(hidden) @ layer.second.kernel.numpy()[0, 0]
    gates += layer.second.bias.numpy() + given @ layer.of_global.kernel.numpy()
    a, b = np.split(gates, 2, axis=-1)
    expected = x + a / (1 + np.exp(-b))
    arrays = [np.float32(each) for each in (x, extra, given)]
    np.testing.assert_allclose(layer(*arrays), expected, atol=1e-5)


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_attention_sees_exactly_the_past(num_codebooks):
    harness.check_sees_all_of_the_past(small(num_codebooks=num_codebooks))


def test_without_attention_it_sees_part_of_the_past():
    density = small(num_heads=0)
    embedded = density.embed(np.zeros([1, *GRID, 1], np.int32))
    weights = tf.constant(np.arange(5.0), tf.float32)
    result = dependence(
        lambda x: tf.reshape(
            tf.linalg.matvec(density.of_embedded(x), weights), [-1]
        ),
        embedded,
    )
    order = np.arange(len(result))
    past = order[:, None] > order
    assert not np.any(result & ~past) and np.any(past & ~result)
    assert np.all(result[order[1:], order[:-1]][order[1:] % GRID[1] > 0])


@pytest.mark.parametrize(
    "num_codebooks, jit_compile, options",
    [
        (1, True, dict(num_output_layers=1)),
        (3, False, dict(kernel_size=3, first_kernel_size=3)),
        (1, False, dict(num_heads=0, local_layers=1)),
    ],
)
def test_cached_logits_equal_naive_ones(num_codebooks, jit_compile, options):
    density = small(num_codebooks=num_codebooks, **CONDITIONAL, **options)
    harness.check_cached_equals_naive(density, (6, 10), jit_compile)


@pytest.mark.parametrize(
    "num_embeddings, num_codebooks, grid", [(3, 1, (2, 2)), (2, 2, (1, 3))]
)
def test_probabilities_sum_to_one(num_embeddings, num_codebooks, grid):
    density = small(num_embeddings, num_codebooks, global_channels=2)
    harness.check_probabilities_sum_to_one(density, grid)


def test_codebooks_of_different_sizes():
    density = small([4, 2], 2)
    codes = density.sample(8, seed=0).numpy()
    assert codes[..., 0].max() == 3 and codes[..., 1].max() == 1


def test_samples_equal_those_of_a_forward_pass_each():
    density = small(6, 2, **CONDITIONAL)
    harness.check_sampling(density, NaiveSampler)


@pytest.mark.parametrize(
    "options",
    [
        dict(num_codebooks=2, local_layers=1, **CONDITIONAL),
        pytest.param(dict(num_output_layers=1), marks=pytest.mark.slow),
        pytest.param(dict(num_heads=0), marks=pytest.mark.slow),
    ],
)
def test_harness(options):
    harness.check_contract(small, **options)


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    harness.check_replicas(small)


@pytest.mark.slow  # the Transformer's test shows what they share
def test_exported_sampler(tmp_path):
    density = small(num_codebooks=2, **CONDITIONAL)
    harness.check_exported_sampler(density, tmp_path)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(num_blocks=0), "num_blocks must be a positive"),
        (dict(num_layers=0), "num_layers must be a positive"),
        (dict(num_heads=-1), "num_heads must be an integer in 0"),
        (dict(key_channels=0), "key_channels must be a positive"),
        (dict(first_kernel_size=2), "first_kernel_size must be an odd"),
        (dict(local_upsampling=2), "local_upsampling needs local_channels"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
