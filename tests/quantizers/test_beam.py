"""Beam search of residual quantizers, against all combinations in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from support.harness import unknown_sizes
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    FSQ,
    GroupedQuantizer,
    ResidualQuantizer,
    SimVQ,
    SoftmaxSampling,
    VectorQuantizer,
    VectorQuantizerEMA,
    beam,
    lookup,
)

K, D, N = 4, 3, 3


def latents(count=60):
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(0, 0.3, [count, D]), tf.float32)


def residual(size, stages=N, cls=VectorQuantizer, **options):
    """With normal codebooks, each a little finer than the one before."""
    layer = ResidualQuantizer(cls(K, D), stages, beam_size=size, **options)
    layer.build((None, D))
    rng = np.random.default_rng(1)
    for i, stage in enumerate(layer.stages):
        stage.set_codebook(rng.normal(0, 0.3 / 1.3**i, [K, D]))
    return layer


def tables(layer):
    return [np.float64(stage.codebook) for stage in layer.stages]


def errors(layer, x):
    return np.sum((layer.decode(layer.encode(x)) - x) ** 2, axis=-1)


def best_of_all(books, x):
    """The codes of the best of all combinations, `[N, stages]`."""
    codes = np.array(list(itertools.product(range(K), repeat=len(books))))
    sums = sum(book[code] for book, code in zip(books, codes.T))
    gaps = ((np.float64(x)[:, None] - sums) ** 2).sum(-1)
    return codes[gaps.argmin(1)]


def best_of_beam(books, z, size):
    """The codes of one latent, by the definition."""
    beams = [((), z)]
    for book in books:
        longer = [
            ((*codes, k), rest - book[k])
            for codes, rest in beams
            for k in range(K)
        ]
        longer.sort(key=lambda pair: (pair[1] ** 2).sum())
        beams = longer[:size]
    return beams[0][0]


def test_harness():
    def make(**kwargs):
        stage = VectorQuantizerEMA(
            8, D, restart_after=2, dtype=kwargs.get("dtype")
        )
        return ResidualQuantizer(stage, 2, beam_size=3, **kwargs)

    run_quantizer_test(make, {}, searches=0)


@pytest.mark.parametrize("size", [K ** (N - 1), 10**6])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all(size):
    layer, x = residual(size), latents()
    expected = best_of_all(tables(layer), x)
    quantized, codes = layer(x, return_codes=True)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(layer.encode(x), expected)
    np.testing.assert_array_equal(layer.decode(codes), quantized)
    assert np.any(residual(1).encode(x) != expected)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_best_sums_are_kept_from_stage_to_stage(size):
    layer, x = residual(size), latents()
    books = tables(layer)
    expected = [best_of_beam(books, z, size) for z in np.float64(x)]
    np.testing.assert_array_equal(layer.encode(x), expected)


def test_of_two_stages_no_latent_does_worse_with_a_wider_beam():
    """Of more, a beam may lose what greedy search would have found."""
    x = latents(300)
    found = [errors(residual(size, stages=2), x) for size in range(1, K + 1)]
    for narrow, wide in itertools.pairwise(found):
        assert np.all(wide <= narrow + 1e-6)
    assert np.mean(found[1]) < np.mean(found[0])


def test_of_more_stages_the_mean_error_falls():
    x = latents(300)
    found = [np.mean(errors(residual(size), x)) for size in (1, 2, 4, 16)]
    assert np.all(np.diff(found) < 0)


def test_a_beam_of_one_is_the_nearest_of_each_stage():
    layer, x = residual(1), latents()
    books = tables(layer)
    expected = [best_of_beam(books, z, 1) for z in np.float64(x)]
    np.testing.assert_array_equal(layer.encode(x), expected)


def test_loss_gradients_and_averages_are_those_of_the_codes():
    """As of a greedy quantizer that is told these codes."""
    layer = residual(3, cls=VectorQuantizerEMA, gradient="rotation")
    x = latents()
    books, before = tables(layer), np.float64(x)
    codes = layer.encode(x).numpy()
    with tf.GradientTape() as tape:
        tape.watch(x)
        quantized = layer(x, training=True)
        loss = tf.add_n(layer.losses)
    of_x = tape.gradient(loss, x)
    rest, expected, gradient = before, 0.0, 0.0
    for book, code, stage in zip(books, codes.T, layer.stages):
        chosen = np.eye(K)[code]
        counts = 0.99 + 0.01 * chosen.sum(0)
        sums = 0.99 * book + 0.01 * chosen.T @ rest
        np.testing.assert_allclose(
            stage.codebook, sums / counts[:, None], 1e-5, 1e-6
        )
        rest = rest - book[code]
        expected += 0.25 * np.mean(rest**2)
        gradient += 0.25 * 2 * rest / rest.size
    np.testing.assert_allclose(quantized, before - rest, 1e-5, 1e-6)
    np.testing.assert_allclose(loss, expected, 1e-5)
    np.testing.assert_allclose(of_x, gradient, 1e-4, 1e-7)
    counts = layer.usage_metric.counts.numpy()
    np.testing.assert_array_equal(
        counts, [np.bincount(code, minlength=K) for code in codes.T]
    )


def test_codebooks_are_initialized_before_they_are_searched():
    stage = VectorQuantizer(16, D, initialize_from_data=True)
    layer, x = ResidualQuantizer(stage, N, beam_size=3), latents(300)
    quantized, codes = layer(x, training=True, return_codes=True)
    np.testing.assert_array_equal(layer.decode(codes), quantized)
    np.testing.assert_array_equal(layer.encode(x), codes)
    assert np.mean((quantized - x) ** 2) < 0.1 * np.var(x)


def test_examples_without_the_last_stages_have_the_best_codes_of_the_first():
    layer = residual(3, dropout=1.0)
    x = latents(90)[:, tf.newaxis]
    quantized, codes = layer(x, training=True, return_codes=True)
    codes, books = codes.numpy()[:, 0], tables(layer)
    for z, code in zip(np.float64(x[:, 0]), codes):
        kept = code[code >= 0]
        assert tuple(kept) == best_of_beam(books[: len(kept)], z, 3)
    assert set(np.sum(codes >= 0, axis=-1)) == {1, 2, 3}
    np.testing.assert_array_equal(layer.decode(codes[:, None]), quantized)


def test_many_latents_are_searched_in_chunks(monkeypatch):
    """Of known and unknown number, and under XLA."""
    layer, x = residual(3), latents(150)
    expected = layer.encode(x)
    chunked = []
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", 0)
    in_chunks = beam._best_in_chunks
    monkeypatch.setattr(
        beam, "_best_in_chunks", lambda *a: chunked.append(1) or in_chunks(*a)
    )
    np.testing.assert_array_equal(layer.encode(x), expected)
    assert len(chunked) == N
    spec = [unknown_sizes(x)]
    for options in (dict(input_signature=spec), dict(jit_compile=True)):
        found = tf.function(layer.encode, **options)
        for count in (150, 64, 5, 0):
            np.testing.assert_array_equal(found(x[:count]), expected[:count])


def test_stages_of_several_kinds():
    """Their vectors alone are compared."""
    stages = [SimVQ(8, 3), FSQ([2, 2, 2], symmetric=True)]
    stages.append(VectorQuantizer(8, 3, distance="cosine"))
    layer, x = ResidualQuantizer(stages, beam_size=64), latents()
    layer.build(x.shape)
    books = [np.float64(stage.codebook) for stage in stages]
    sums = sum(
        book.reshape([8 if i == j else 1 for j in range(3)] + [D])
        for i, book in enumerate(books)
    )
    gaps = ((np.float64(x)[:, None] - sums.reshape(-1, D)) ** 2).sum(-1)
    np.testing.assert_allclose(errors(layer, x), gaps.min(1), 1e-4, 1e-6)


@pytest.mark.parametrize(
    "stages, size, message",
    [
        (VectorQuantizer(K, D), 0, "beam_size must be a positive"),
        (VectorQuantizer(K, D), 1.5, "beam_size must be a positive"),
        (
            GroupedQuantizer(VectorQuantizer(K, D), 1),
            2,
            "needs stages that search by themselves. Received: .* of others",
        ),
        (
            VectorQuantizer(K, D, sampling=SoftmaxSampling()),
            2,
            "Received: .*, which draws its codes",
        ),
    ],
)
def test_what_is_refused(stages, size, message):
    with pytest.raises(ValueError, match=message):
        ResidualQuantizer(stages, 2, beam_size=size)


def test_configurations_from_before_it_still_load():
    config = residual(3).get_config()
    assert ResidualQuantizer.from_config(config).beam_size == 3
    del config["beam_size"]
    assert ResidualQuantizer.from_config(config).beam_size == 1
