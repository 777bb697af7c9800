"""Quantizers whose codebooks have different numbers of codes."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import unknown_sizes
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    FSQ,
    GroupedQuantizer,
    Quantizer,
    RandomProjectionQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
    VectorQuantizerEMA,
    usage,
)

SIZES, D = (8, 4, 16), 3


def latents(count=200, channels=D):
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(0, 0.3, [count, channels]), tf.float32)


def residual(cls=VectorQuantizer, sizes=SIZES, **options):
    """With normal codebooks, each finer than the one before."""
    layer = ResidualQuantizer([cls(size, D) for size in sizes], **options)
    layer.build((None, D))
    rng = np.random.default_rng(1)
    for i, stage in enumerate(layer.stages):
        table = rng.normal(0, 0.3 / 1.5**i, [stage.num_embeddings, D])
        stage.set_codebook(table)
    return layer


def tables(layer):
    return [np.float64(stage.codebook) for stage in layer.stages]


def by_hand(books, x):
    """Codes and sums of every stage, and the loss, in float64."""
    rest, codes, sums, loss = np.float64(x), [], [0.0], 0.0
    for book in books:
        code = oracle.nearest(rest[None], book[None])[0]
        loss += 1.25 * oracle.squared_error(rest, book[code])
        codes.append(code)
        sums.append(sums[-1] + book[code])
        rest = rest - book[code]
    return np.stack(codes, -1), sums[1:], loss


# The harness ------------------------------------------------------------------


def maker(count=3, **options):
    def make(**kwargs):
        dtype = kwargs.get("dtype")
        stages = [
            VectorQuantizerEMA(size, D, restart_after=2, dtype=dtype)
            for size in SIZES[:count]
        ]
        return ResidualQuantizer(stages, **options, **kwargs)

    return make


def grouped(**kwargs):
    dtype = kwargs.get("dtype")
    parts = [maker(2)(dtype=dtype), VectorQuantizer(5, 2, dtype=dtype)]
    return GroupedQuantizer(parts, **kwargs)


@pytest.mark.slow
def test_harness_of_stages():
    run_quantizer_test(maker(), {})


@pytest.mark.slow
def test_harness_of_a_beam():
    run_quantizer_test(maker(2, beam_size=3), {}, searches=0)


def test_harness_of_groups():
    """One of them has stages of its own."""
    run_quantizer_test(grouped, {})


# Codes and vectors ------------------------------------------------------------


def test_stages_are_those_of_a_plain_loop():
    layer, x = residual(), latents()
    codes, sums, loss = by_hand(tables(layer), x)
    assert [len(set(of_stage)) for of_stage in codes.T] == list(SIZES)
    quantized, received = layer(x, training=True, return_codes=True)
    np.testing.assert_array_equal(received, codes)
    np.testing.assert_array_equal(layer.encode(x), codes)
    np.testing.assert_allclose(quantized, sums[-1], 1e-5, 1e-6)
    np.testing.assert_allclose(layer.losses[0], loss, 1e-5)
    for n in range(1, 4):
        np.testing.assert_allclose(
            layer.decode(codes[:, :n]), sums[n - 1], 1e-5, 1e-6
        )


def test_a_wide_beam_finds_the_best_of_all_sums():
    layer, x = residual(beam_size=8 * 4), latents()
    every = np.array(list(itertools.product(*map(range, SIZES))))
    books = tables(layer)
    sums = sum(book[code] for book, code in zip(books, every.T))
    gaps = ((np.float64(x)[:, None] - sums) ** 2).sum(-1)
    expected = every[gaps.argmin(1)]
    np.testing.assert_array_equal(layer.encode(x), expected)
    quantized, codes = layer(x, training=True, return_codes=True)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(layer.decode(codes), quantized)
    assert np.any(by_hand(books, x)[0] != expected)


def test_dropped_stages_leave_the_others():
    layer = residual(dropout=1.0)
    x = latents()[:, tf.newaxis]
    quantized, codes = layer(x, training=True, return_codes=True)
    expected, sums, _ = by_hand(tables(layer), x[:, 0])
    counts = np.sum(codes[:, 0] >= 0, axis=-1)
    assert set(counts) == {1, 2, 3}
    kept = np.arange(3) < counts[:, None]
    np.testing.assert_array_equal(codes[:, 0], np.where(kept, expected, -1))
    wanted = np.stack(sums)[counts - 1, np.arange(len(counts))]
    np.testing.assert_allclose(quantized[:, 0], wanted, 1e-5, 1e-6)
    np.testing.assert_array_equal(layer.decode(codes), quantized)


def test_numbers_of_codes():
    layer = residual()
    assert layer.num_codes == SIZES and layer.num_embeddings == 16
    assert layer.bits_per_position == 3 + 2 + 4
    parts = [residual(), FSQ([5, 3]), VectorQuantizer(6, 2, num_codebooks=2)]
    both = GroupedQuantizer(parts)
    assert both.num_codes == (*SIZES, 15, 6, 6)
    bits = 9 + math.log2(15) + 2 * math.log2(6)
    assert both.bits_per_position == pytest.approx(bits)
    copy = GroupedQuantizer.from_config(both.get_config())
    assert copy.num_codes == both.num_codes
    assert VectorQuantizer(6, 2, num_codebooks=3).num_codes == (6, 6, 6)


def test_groups_are_those_of_their_quantizers():
    parts = [residual(), FSQ([5, 3])]
    layer, x = GroupedQuantizer(parts), latents(channels=D + 2)
    quantized, codes = layer(x, training=True, return_codes=True)
    for part, own, ours in (
        (parts[0], x[:, :D], np.s_[:, :3]),
        (parts[1], x[:, D:], np.s_[:, 3]),
    ):
        np.testing.assert_array_equal(codes[ours], part.encode(own))
    expected = [
        part.decode(part.encode(own))
        for part, own in zip(parts, tf.split(x, [D, 2], axis=-1))
    ]
    np.testing.assert_array_equal(quantized, np.concatenate(expected, -1))


# What is refused --------------------------------------------------------------


def groups():
    return GroupedQuantizer([FSQ([4, 2], symmetric=True), FSQ([2, 2], True)])


@pytest.mark.parametrize(
    "make, codes, message",
    [
        (residual, [8, 0, 0], r"codebook 0 must be in 0\.\.7\. .*0\.\.8"),
        (residual, [0, 4, 0], r"codebook 1 must be in 0\.\.3\. .*0\.\.4"),
        (residual, [0, 0, 16], r"codebook 2 must be in 0\.\.15\. .*16"),
        (residual, [0, -2, 0], r"codebook 1 must be in 0\.\.3\. .*-2\.\.0"),
        (residual, [0, 4], r"codebook 1 must be in 0\.\.3"),
        (residual, [8], r"Codes must be in 0\.\.7"),
        (groups, [7, 4], r"codebook 1 must be in 0\.\.3"),
        (groups, [-1, 4], r"codebook 1 must be in 0\.\.3"),
    ],
)
def test_codes_that_their_codebook_does_not_have(make, codes, message):
    layer = make()
    for dtype in (np.int32, np.int64):
        given = np.array([np.zeros(len(codes)), codes], dtype)
        for method in (layer.decode, layer.check_codes):
            with pytest.raises(ValueError, match=message):
                method(given)
    given = np.maximum(given, 0).astype(np.uint8)
    if np.all(np.array(codes) >= -1):
        with pytest.raises(ValueError, match=message):
            layer.decode(given)


def test_graphs_refuse_them_too():
    layer = residual()
    codes = tf.constant([[0, 4, 0], [7, 3, 15]])
    decode = tf.function(layer.decode, input_signature=[unknown_sizes(codes)])
    np.testing.assert_array_equal(decode(codes[1:]), layer.decode(codes[1:]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[7, 3, 15\]"):
        decode(codes)
    # -1 stands for no code in any of them.
    none = tf.constant([[-1, 3, -1]])
    np.testing.assert_array_equal(decode(none), layer.decode(none))
    expected = tables(layer)[1][[3]]
    np.testing.assert_allclose(decode(none), expected, 1e-6)


@pytest.mark.parametrize("cls", [VectorQuantizer, RandomProjectionQuantizer])
def test_quantizers_of_one_search_take_one_number(cls):
    with pytest.raises(ValueError, match="num_embeddings must be a positive"):
        cls([8, 4], 4, num_codebooks=2)


def test_a_quantizer_of_ones_own():
    class Halves(Quantizer):
        def __init__(self, **kwargs):
            super().__init__([2, 4], 2, num_codebooks=2, **kwargs)

        def search(self, z):
            levels = tf.constant([1.0, 3.0])
            codes = tf.round(tf.clip_by_value(z, 0.0, 1.0) * levels)
            return tf.cast(tf.transpose(codes), tf.int32)

        def look_up(self, codes):
            return tf.cast(tf.transpose(codes), tf.float32) / [1.0, 3.0]

    layer = Halves()
    x = tf.constant([[0.9, 0.4], [0.1, 0.9]])
    quantized, codes = layer(x, return_codes=True)
    np.testing.assert_array_equal(codes, [[1, 1], [0, 3]])
    np.testing.assert_allclose(quantized, [[1, 1 / 3], [0, 1]])
    figures = layer.usage_metric.per_codebook()
    np.testing.assert_array_equal(figures["usage"], [1.0, 0.5])
    with pytest.raises(ValueError, match="codebook 0"):
        layer.decode([[2, 0]])


# Usage ------------------------------------------------------------------------


def test_usage_is_of_each_codebooks_own_codes():
    layer = residual()
    codes = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3]])
    x = np.sum([book[c] for book, c in zip(tables(layer), codes.T)], axis=0)
    found = layer(tf.constant(x, tf.float32), training=False, return_codes=True)
    used = [len(set(of_stage)) for of_stage in found[1].numpy().T]
    figures = layer.usage_metric.per_codebook()
    np.testing.assert_allclose(figures["usage"], np.divide(used, SIZES))
    counts = layer.usage_metric.counts.numpy()
    assert counts.shape == (3, 16) and np.all(counts.sum(-1) == 4)
    assert not counts[1, 4:].any() and not counts[0, 8:].any()
    result = layer.usage_metric.result()
    for name, value in figures.items():
        key = f"{layer.name}_{name}"
        np.testing.assert_allclose(result[key], np.mean(value), 1e-6)
    # Each stage counts its own.
    for stage, row, size in zip(layer.stages, counts, SIZES):
        own = stage.usage_metric.counts.numpy()
        np.testing.assert_array_equal(own, row[None, :size])


def test_all_codes_in_use_are_a_usage_of_one():
    metric = usage.CodebookUsage([4, 2], 2)
    metric.update_state(tf.constant([[1.0, 2, 1, 1], [3, 3, 0, 0]]))
    assert metric.result()["usage"] == 1.0
    np.testing.assert_array_equal(metric.per_codebook()["usage"], [1.0, 1.0])
    np.testing.assert_allclose(metric.per_codebook()["perplexity"][1], 2.0)
    copy = usage.CodebookUsage.from_config(metric.get_config())
    assert copy.num_codes == (4, 2) and copy.counts.shape == (2, 4)
    assert usage.CodebookUsage([4, 4], 2).get_config()["num_embeddings"] == 4
