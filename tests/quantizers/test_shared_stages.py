"""Residual quantization whose stages share one codebook."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import saved_and_loaded
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    FSQ,
    LFQ,
    GroupedQuantizer,
    GumbelSoftmax,
    ResidualQuantizer,
    SimVQ,
    SoftmaxSampling,
    VectorQuantizer,
    VectorQuantizerEMA,
)

K, D, N = 8, 4, 3


def latents(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(0, 0.3, [count, D]), tf.float32)


def book(size=K):
    """Of embeddings of several sizes."""
    rng = np.random.default_rng(1)
    scales = 0.3 / 2 ** (np.arange(size) % N)
    return (scales[:, None] * rng.normal(size=[size, D])).astype(np.float32)


def shared(cls=VectorQuantizerEMA, stages=N, given=True, size=K, **options):
    of_layer = ("dropout", "beam_size", "gradient")
    own = {k: options.pop(k) for k in of_layer if k in options}
    stage = cls(size, D, **options)
    layer = ResidualQuantizer(stage, stages, shared=True, **own)
    layer.build((None, D))
    if given:
        stage.set_codebook(book(size))
    return layer


def copies(cls=VectorQuantizer, **options):
    """Stages of their own, with the same embeddings."""
    layer = ResidualQuantizer(cls(K, D), N, **options)
    layer.build((None, D))
    for stage in layer.stages:
        stage.set_codebook(book())
    return layer


def rests_of(table, x, codes):
    """What each stage searched, and in the end what is left, in float64."""
    rests = [np.float64(x)]
    for code in np.asarray(codes).T:
        chosen = np.where(code[:, None] >= 0, np.float64(table)[code], 0.0)
        rests.append(rests[-1] - chosen)
    return rests


def maker(cls, **arguments):
    def make(**kwargs):
        names = ("dropout", "beam_size")
        own = {k: v for k, v in arguments.items() if k in names}
        given = {k: v for k, v in arguments.items() if k not in names}
        stage = cls(K, D, dtype=kwargs.get("dtype"), **given)
        return ResidualQuantizer(stage, N, shared=True, **own, **kwargs)

    return make


@pytest.mark.parametrize(
    "make, options",
    [
        (maker(VectorQuantizer), dict(searches=N)),
        (
            maker(VectorQuantizerEMA, restart_after=2, initialization="data"),
            dict(searches=N),
        ),
        (
            maker(
                VectorQuantizerEMA,
                decay=0.5,
                restart_below=3.0,
                accumulation_steps=2,
                beam_size=2,
            ),
            dict(searches=0),
        ),
        pytest.param(
            maker(SimVQ),
            dict(searches=N, exact=False),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            maker(VectorQuantizer, restart_after=2, initialization="kmeans"),
            dict(searches=N),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["gradient", "restarts", "accumulation", "SimVQ", "clusters"],
)
def test_harness(make, options):
    run_quantizer_test(make, {}, **options)


@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_all_stages_search_the_same_codebook(cls):
    layer, x = shared(cls), latents()
    quantized, codes = layer(x, return_codes=True)
    rest, expected = np.float64(x), []
    table = np.float64(layer.stages[0].codebook)
    for _ in range(N):
        expected.append(oracle.nearest(rest[None], table[None])[0])
        rest = rest - table[expected[-1]]
    np.testing.assert_array_equal(codes, np.stack(expected, -1))
    np.testing.assert_array_equal(layer.encode(x), codes)
    np.testing.assert_allclose(quantized, x - rest, 1e-5, 1e-6)
    left = rests_of(table, x, codes)[1:]
    share = 1.25 if cls is VectorQuantizer else 0.25
    loss = share * sum(np.mean(r**2) for r in left)
    np.testing.assert_allclose(sum(layer.losses), loss, 1e-5)
    for n in range(1, N + 1):
        np.testing.assert_allclose(
            layer.decode(codes[:, :n]), x - left[n - 1], 1e-4, 1e-6
        )


# Learning ---------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, dict(beam_size=3), dict(dropout=1.0)])
@pytest.mark.parametrize("masked", [False, True])
def test_one_update_from_the_rests_of_all_stages(options, masked):
    layer, stage = shared(decay=0.8, **options), None
    (stage,) = {id(s): s for s in layer.stages}.values()
    for seed in range(3):
        x = latents(seed=seed)
        mask = np.arange(60) % 3 > 0 if masked else None
        table = stage.codebook.numpy()
        counts, sums = stage.ema_counts.numpy()[0], stage.ema_sums.numpy()[0]
        if not options:
            expected = layer.encode(x)
        quantized, codes = layer(x, training=True, mask=mask, return_codes=True)
        codes = codes.numpy()
        if not options:  # no stage has seen the next codebook
            np.testing.assert_array_equal(codes, expected)
        *rests, left = rests_of(table, x, codes)
        np.testing.assert_allclose(quantized, x - left, 1e-4, 1e-6)
        used = codes >= 0
        if masked:
            used &= mask[:, None]
        z, chosen = np.stack(rests, 1)[used], np.eye(K)[codes[used]]
        n, s = chosen.sum(0), chosen.T @ z
        counts, sums = 0.8 * counts + 0.2 * n, 0.8 * sums + 0.2 * s
        np.testing.assert_allclose(stage.ema_counts[0], counts, 1e-5)
        np.testing.assert_allclose(stage.ema_sums[0], sums, 1e-4, 1e-6)
        moved = np.where(n[:, None] > 0, sums / counts[:, None], table)
        np.testing.assert_allclose(stage.codebook, moved, 1e-4, 1e-6)
    assert np.any(moved != table)


def test_the_oracle_of_one_codebook_agrees():
    layer, x = shared(decay=0.8), latents()
    stage = layer.stages[0]
    expected = oracle.EMACodebook(book()[np.newaxis], 0.25, 0.8)
    *rests, _ = rests_of(book(), x, layer.encode(x))
    expected.step(*(rest[np.newaxis] for rest in rests))
    layer(x, training=True)
    np.testing.assert_allclose(stage.embeddings, expected.codebooks, 1e-4, 1e-6)
    np.testing.assert_allclose(stage.ema_counts, expected.counts, 1e-5)


def test_gradients_of_all_stages_add_up():
    x, found = latents(), []
    for layer in (shared(VectorQuantizer), copies()):
        with tf.GradientTape() as tape:
            tape.watch(x)
            quantized = layer(x, training=True)
            loss = tf.reduce_sum(quantized**3) + tf.add_n(layer.losses)
        variables = layer.trainable_variables
        of_x, *of_books = tape.gradient(loss, [x, *variables])
        found.append(
            [loss, of_x, sum(tf.convert_to_tensor(g) for g in of_books)]
        )
    assert len(variables) == N
    for received, expected in zip(*found):
        np.testing.assert_allclose(received, expected, 1e-4, 1e-6)


def in_order(table, z, codes):
    """The codes of one latent, each the one that brings the sum nearest."""
    rest, left, found = np.float64(z), list(codes), []
    while left:
        gaps = [np.sum((rest - table[code]) ** 2) for code in left]
        found.append(left.pop(int(np.argmin(gaps))))
        rest = rest - table[found[-1]]
    return found


def test_a_beam_finds_what_it_finds_with_copies():
    """But for the order, which is that of the nearest sums."""
    layer, x = shared(VectorQuantizer, beam_size=4), latents()
    expected = copies(beam_size=4).encode(x).numpy()
    expected = [in_order(book(), *pair) for pair in zip(x.numpy(), expected)]
    np.testing.assert_array_equal(layer.encode(x), expected)
    _, codes = layer(x, training=True, return_codes=True)
    np.testing.assert_array_equal(codes, expected)
    greedy = shared(VectorQuantizer)
    errors = [
        np.mean((each.decode(each.encode(x)) - x) ** 2)
        for each in (greedy, layer)
    ]
    assert errors[1] < errors[0]


def test_a_beam_of_examples_that_leave_out_stages():
    layer = shared(VectorQuantizer, beam_size=3, dropout=1.0)
    x = latents(90)[:, tf.newaxis]
    quantized, codes = layer(x, training=True, return_codes=True)
    codes = codes.numpy()[:, 0]
    np.testing.assert_array_equal(layer.decode(codes[:, None]), quantized)
    counts = np.sum(codes >= 0, axis=1)
    assert set(counts) == {1, 2, 3}
    for count in (1, 2, 3):
        # As of a quantizer with so many stages.
        part = shared(VectorQuantizer, count, beam_size=3)
        rows = counts == count
        expected = np.reshape(part.encode(x[rows]), [-1, count])
        np.testing.assert_array_equal(codes[rows, :count], expected)


def test_n_batches_are_one_large_one():
    layer, large = shared(accumulation_steps=2), shared()
    for update in range(3):
        batches = [latents(seed=2 * update + i) for i in range(2)]
        for batch in batches:
            layer(batch, training=True)
        large(tf.concat(batches, axis=0), training=True)
    for name in ("embeddings", "ema_counts", "ema_sums"):
        new, old = (getattr(each.stages[0], name) for each in (layer, large))
        np.testing.assert_allclose(new, old, 1e-4, 1e-6)


@pytest.mark.parametrize("options", [{}, dict(beam_size=2)])
def test_draws_differ_from_stage_to_stage(options):
    if options:
        with pytest.raises(ValueError, match="draws its codes"):
            shared(sampling=SoftmaxSampling(1e3), **options)
        return
    layer, x = shared(sampling=SoftmaxSampling(1e3)), latents(300)
    stage = layer.stages[0]
    found = [layer(x, training=True, return_codes=True)[1] for _ in range(2)]
    assert int(stage.draws) == 2  # steps, not stages
    columns = [*np.transpose(found[0]), *np.transpose(found[1])]
    for i, one in enumerate(columns):
        for other in columns[:i]:
            # All codes are equally probable at this temperature.
            assert np.mean(one == other) < 0.3


# Restarts ---------------------------------------------------------------------


@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_restarts_are_of_all_stages_rests_once_a_step(cls):
    layer = shared(cls, size=64, restart_after=2)
    stage, table = layer.stages[0], book(64) + 50.0
    table[:4] = book(4)  # the others are never used
    stage.set_codebook(table)
    x = latents()
    for _ in range(2):
        assert layer.stages[0].restart_metric.result() == 0
        table = stage.codebook.numpy()
        _, codes = layer(x, training=True, return_codes=True)
    used = np.isin(np.arange(64), codes)
    assert stage.restart_metric.result() == np.sum(~used) >= 60
    new = stage.codebook.numpy()[~used]
    *rests, _ = rests_of(table, x, codes)
    sources = [
        np.min(np.abs(new[:, None] - rest).max(-1), axis=1) < 1e-5
        for rest in rests
    ]
    assert np.all(np.any(sources, axis=0))
    # A third of each, about.
    assert np.all(np.sum(sources, axis=1) > 10)


def test_a_code_that_any_stage_uses_is_used():
    layer = shared(restart_after=1, stages=2, decay=0.0)
    table = np.zeros([K, D], np.float32)
    table[:, 0] = [100.0, 1.0, 50, 51, 52, 53, 54, 55]
    layer.stages[0].set_codebook(table)
    x = np.zeros([20, D], np.float32)
    x[:, 0] = 101.0  # 100 + 1
    _, codes = layer(tf.constant(x), training=True, return_codes=True)
    np.testing.assert_array_equal(codes, [[0, 1]] * 20)
    np.testing.assert_array_equal(layer.stages[0].codebook[0, 0], 101.0)
    np.testing.assert_array_equal(layer.stages[0].codebook[1, 0], 1.0)
    assert layer.stages[0].restart_metric.result() == K - 2


# A layer ----------------------------------------------------------------------


def test_it_is_one_quantizer():
    layer = shared(restart_after=3)
    assert len(layer.stages) == N and len(set(map(id, layer.stages))) == 1
    assert len(layer.weights) == len({id(v) for v in layer.weights})
    assert len([v for v in layer.weights if v.name == "embeddings"]) == 1
    names = [metric.name for metric in layer.metrics]
    assert len(set(names)) == len(names) == 3
    layer(latents(), training=True)
    used = layer.usage_metric.counts.numpy()
    np.testing.assert_array_equal(used.sum(1), [60] * N)
    np.testing.assert_array_equal(
        layer.stages[0].usage_metric.counts[0], used.sum(0)
    )


def test_its_configuration():
    layer = shared(dropout=0.5, beam_size=2)
    config = layer.get_config()
    assert len(config["stages"]) == 1
    assert (config["num_quantizers"], config["shared"]) == (N, True)
    again = ResidualQuantizer.from_config(config)
    assert again.get_config() == config
    assert len(again.stages) == N and len(set(map(id, again.stages))) == 1
    apart = ResidualQuantizer(VectorQuantizer(K, D), N).get_config()
    assert not {"num_quantizers", "shared"} & set(apart)
    assert len(apart["stages"]) == N


def test_a_loaded_model_still_shares_and_learns_alike():
    inputs = keras.Input((5, D))
    layer = shared(restart_after=2, accumulation_steps=2)
    model = keras.Model(inputs, layer(keras.layers.Dense(D)(inputs)))
    model.compile("sgd", "mse")
    x = tf.reshape(latents(90), [18, 5, D])
    model.fit(x[:6], x[:6], batch_size=6, verbose=0)
    loaded = saved_and_loaded(model)
    (again,) = [v for v in loaded.layers if isinstance(v, ResidualQuantizer)]
    assert len(set(map(id, again.stages))) == 1
    for each in (model, loaded):
        each.fit(x[6:], x[6:], batch_size=6, shuffle=False, verbose=0)
    for new, old in zip(loaded.variables, model.variables, strict=True):
        np.testing.assert_array_equal(new, old, err_msg=old.path)


def test_groups_have_a_codebook_each():
    layer = GroupedQuantizer(shared(given=False), num_groups=2)
    layer.build((None, 2 * D))
    first, second = layer.quantizers
    assert all(
        part.shared and len(part.stages) == N for part in (first, second)
    )
    assert first.stages[0].seed != second.stages[0].seed
    x = tf.concat([latents(), latents(seed=1)], axis=-1)
    quantized, codes = layer(x, training=True, return_codes=True)
    assert codes.shape == (60, 2 * N)
    assert np.any(first.stages[0].codebook != second.stages[0].codebook)


@pytest.mark.parametrize("stage", [FSQ([4, 3]), LFQ(3)], ids=["FSQ", "LFQ"])
def test_those_without_a_codebook_are_shared_as_well(stage):
    channels = stage.channels
    layer = ResidualQuantizer(stage, 2, shared=True)
    other = ResidualQuantizer(type(stage).from_config(stage.get_config()), 2)
    x = tf.random.stateless_normal([20, channels], [0, 1])
    np.testing.assert_array_equal(layer(x, training=True), other(x))
    np.testing.assert_array_equal(layer.encode(x), other.encode(x))
    np.testing.assert_allclose(sum(layer.losses), sum(other.losses))


@pytest.mark.parametrize(
    "stages, count, message",
    [
        (
            VectorQuantizer(K, D),
            None,
            "num_quantizers of shared stages must be",
        ),
        (VectorQuantizer(K, D), 0, "num_quantizers of shared stages must be"),
        (
            [VectorQuantizer(K, D)] * 2,
            None,
            "needs a single quantizer that is not",
        ),
        (
            ResidualQuantizer(VectorQuantizer(K, D), 1),
            2,
            "single quantizer that is not made of others",
        ),
        (
            GroupedQuantizer(VectorQuantizer(K, D), 1),
            2,
            "single quantizer that is not made of others",
        ),
        (keras.layers.Dense(3), 2, "needs a single quantizer"),
        (VectorQuantizer(K, D, num_codebooks=2), 2, "one codebook each"),
        (VectorQuantizer(K, D, codebook_dim=2), 2, "have a codebook_dim"),
        (
            VectorQuantizer(K, D, sampling=GumbelSoftmax()),
            2,
            "Use SoftmaxSampling",
        ),
    ],
)
def test_what_cannot_be_shared(stages, count, message):
    with pytest.raises(ValueError, match=message):
        ResidualQuantizer(stages, count, shared=True)
