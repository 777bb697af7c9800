"""Grouped quantization: a quantizer for each group, arXiv:2305.02765."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import assert_config_round_trip
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    FSQ,
    LFQ,
    GroupedQuantizer,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)

K, D, N, GROUPS = 8, 3, 2, 2


def latents(count=60, channels=GROUPS * D):
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(0, 0.3, [count, channels]), tf.float32)


def grouped_residual(cls=VectorQuantizer, **options):
    return GroupedQuantizer(ResidualQuantizer(cls(K, D), N, **options), GROUPS)


def spread(layer):
    """Gives all stages normal codebooks, each finer than the one before."""
    layer.build((None, layer.channels))
    rng = np.random.default_rng(1)
    for part in layer.quantizers:
        for i, stage in enumerate(part.stages):
            stage.set_codebook(rng.normal(0, 0.3 / 2**i, [K, D]))
    return layer


def test_harness():
    def make(**kwargs):
        dtype = kwargs.get("dtype")
        stages = ResidualQuantizer(VectorQuantizer(K, 2, dtype=dtype), N)
        parts = [stages, VectorQuantizerEMA(K, D, dtype=dtype)]
        return GroupedQuantizer(parts, **kwargs)

    run_quantizer_test(make, {})


def by_hand(layer, x):
    """Codes `[N, G]`, sums and the loss, in float64."""
    codes, sums, losses = [], [], []
    for i, part in enumerate(layer.quantizers):
        rest = np.float64(x)[:, i * D : (i + 1) * D]
        total, loss = 0.0, 0.0
        for stage in part.stages:
            table = np.float64(stage.codebook)
            code = oracle.nearest(rest[None], table[None])[0]
            codes.append(code)
            loss += 1.25 * oracle.squared_error(rest, table[code])
            total = total + table[code]
            rest = rest - table[code]
        sums.append(total)
        losses.append(loss)
    return np.stack(codes, -1), np.concatenate(sums, -1), np.mean(losses)


def test_it_is_that_of_each_group():
    layer, x = spread(grouped_residual()), latents()
    codes, sums, loss = by_hand(layer, x)
    quantized, received = layer(x, return_codes=True)
    np.testing.assert_array_equal(received, codes)
    np.testing.assert_array_equal(layer.encode(x), codes)
    np.testing.assert_allclose(quantized, sums, 1e-5, 1e-6)
    np.testing.assert_allclose(layer.losses[0], loss, 1e-5)
    assert layer.bits_per_position == 3 * N * GROUPS


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_groups_of_one_codebook_are_the_codebooks_of_one_quantizer(gradient):
    """Codes, vectors, loss, gradients and usage."""
    x = latents()
    one = VectorQuantizer(K, D, num_codebooks=GROUPS, gradient=gradient)
    part = VectorQuantizer(K, D, gradient=gradient)
    layer = GroupedQuantizer(part, GROUPS)
    for each in (one, layer):
        each.build(x.shape)
    tables = np.random.default_rng(1).normal(size=[GROUPS, K, D])
    one.set_codebook(tables)
    for part, table in zip(layer.quantizers, tables):
        part.set_codebook(table)
    results = []
    for each in (one, layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            quantized, codes = each(x, training=True, return_codes=True)
            loss = tf.add_n(each.losses)
            target = tf.reduce_sum(quantized**3) + loss
        counts = each.usage_metric.counts.numpy()
        gradients = tape.gradient(target, [x, *each.trainable_variables])
        of_books = tf.concat(gradients[1:], axis=0)
        of_books = tf.reshape(of_books, tables.shape)
        results.append([quantized, codes, counts, loss, gradients[0], of_books])
    for received, expected in zip(*results):
        np.testing.assert_allclose(received, expected, 1e-5, 1e-6)


def test_groups_of_several_kinds_and_sizes():
    parts = [FSQ([4, 2], symmetric=True), LFQ(3), SimVQ(8, 4)]
    parts.append(ResidualQuantizer(VectorQuantizerEMA(8, 2), 3))
    layer, x = GroupedQuantizer(parts), latents(channels=2 + 3 + 4 + 2)
    assert (layer.channels, layer.num_codebooks) == (11, 6)
    with tf.GradientTape() as tape:
        tape.watch(x)
        quantized, codes = layer(x, training=False, return_codes=True)
        total = tf.reduce_sum(quantized)
    expected = [
        np.reshape(part.encode(own), [-1, part.num_codebooks])
        for part, own in zip(parts, tf.split(x, [2, 3, 4, 2], axis=-1))
    ]
    np.testing.assert_array_equal(codes, np.concatenate(expected, axis=-1))
    # FSQ's gradient is that of its bound, the others pass it as it is.
    slopes = 1 - np.tanh(x[:, :2]) ** 2
    received = tape.gradient(total, x)
    np.testing.assert_allclose(received[:, :2], slopes, rtol=1e-4)
    np.testing.assert_array_equal(received[:, 2:], np.ones([60, 9]))
    assert_config_round_trip(layer)
    usage = layer.usage_metric.per_codebook()["usage"]
    own = [part.usage_metric.per_codebook()["usage"] for part in parts]
    np.testing.assert_array_equal(usage, np.concatenate(own))


def test_codes_that_are_missing():
    """Of a residual quantizer its stage, of another one its group."""
    parts = [ResidualQuantizer(VectorQuantizer(K, D), N), VectorQuantizer(K, D)]
    layer = GroupedQuantizer(parts)
    codes = np.array([[1, 2, 3], [1, -1, 3], [1, 2, -1], [-1, -1, -1]])
    decoded = layer.decode(codes)
    first, last = parts[0].decode(codes[:, :2]), parts[1].decode(codes[:, 2])
    np.testing.assert_array_equal(decoded, np.concatenate([first, last], -1))
    assert np.all(decoded[1] != 0) and np.all(decoded[2, D:] == 0)
    assert np.all(decoded[2, :D] != 0) and np.all(decoded[3] == 0)


# Parts ------------------------------------------------------------------------


def leaves(layer):
    return [stage for part in layer.quantizers for stage in part.stages]


def test_copies_have_names_and_seeds_of_their_own():
    stage = VectorQuantizer(K, D, seed=5, name="vq")
    residual = ResidualQuantizer(stage, N, dropout=1.0, seed=3, name="rvq")
    layer = GroupedQuantizer(residual, 3)
    names = [part.name for part in (*layer.quantizers, *leaves(layer))]
    assert len(set(names)) == len(names) == 3 + 3 * N
    assert [part.name for part in layer.quantizers] == ["rvq", "rvq_1", "rvq_2"]
    assert [stage.seed for stage in leaves(layer)] == [5, 6, 7, 8, 9, 10]
    assert [part.seed for part in layer.quantizers] == [3, 3, 3]


def test_all_groups_drop_the_same_stages():
    layer = grouped_residual(dropout=1.0)
    x = tf.reshape(latents(200), [100, 2, GROUPS * D])
    _, codes = layer(x, training=True, return_codes=True)
    kept = np.reshape(codes >= 0, [100, 2, GROUPS, N])
    np.testing.assert_array_equal(kept[..., 0, :], kept[..., 1, :])
    assert 0 < np.mean(kept[..., 1]) < 1


def test_names_of_metrics_are_all_different():
    inputs = keras.Input((4, GROUPS * D))
    model = keras.Model(inputs, grouped_residual(VectorQuantizerEMA)(inputs))
    names = [name for metric in model.metrics for name in metric.result()]
    # Keras lists those of parts of parts several times.
    assert len(set(names)) == 2 * (1 + GROUPS + GROUPS * N)


@pytest.mark.parametrize(
    "quantizers, count, message",
    [
        (VectorQuantizer(K, D), None, "needs num_groups"),
        (VectorQuantizer(K, D), 0, "num_groups must be a positive"),
        ([], None, "quantizers must be a Quantizer, or a list"),
        (keras.layers.Dense(3), None, "quantizers must be a Quantizer"),
        ([VectorQuantizer(K, D)], 3, "a list has as many"),
    ],
)
def test_quantizers_that_are_refused(quantizers, count, message):
    with pytest.raises(ValueError, match=message):
        GroupedQuantizer(quantizers, count)


def test_channels_are_the_sum_of_the_groups():
    layer = GroupedQuantizer([VectorQuantizer(K, 3), VectorQuantizer(K, 5)])
    with pytest.raises(ValueError, match=r"3 \+ 5 = 8 channels"):
        layer(tf.zeros([2, 7]))
