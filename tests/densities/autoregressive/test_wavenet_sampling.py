"""Sampling from the WaveNet: cached equals naive, and its options."""

import numpy as np
import pytest
import tensorflow as tf

from support.densities_harness import exported_sampler
from support.naive_sampling import NaiveSampler
from support.wavenets import KINDS, random_codes, random_context, small
from vqvae_tf.densities.autoregressive import wavenet_sampling
from vqvae_tf.densities.autoregressive.wavenet import WaveNet

TIME = 24


# Cached equals naive ----------------------------------------------------------


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_cached_logits_equal_naive_ones_over_256_steps(kind, jit_compile):
    density = small(0.2, **KINDS[kind])
    codes = random_codes(density, 2, 256)
    context = random_context(density, 2, 256)
    naive = tf.function(
        density.logits, jit_compile=jit_compile, autograph=False
    )
    cached = tf.function(
        density._cached_logits, jit_compile=jit_compile, autograph=False
    )
    expected = naive(codes, context)
    assert np.std(expected) > 0.3
    result = cached(codes, context)
    np.testing.assert_allclose(result, expected, atol=1e-5, rtol=1e-6)


def test_chunks_of_any_number_and_size(monkeypatch):
    monkeypatch.setattr(wavenet_sampling, "CHUNK", 8)
    density = small(kernel_size=3, local_channels=5)
    signature = [
        tf.TensorSpec([None, None], tf.int32),
        {"local": tf.TensorSpec([None, None, 5])},
    ]
    cached = density._cached_logits
    of_any_size = tf.function(cached, signature, autograph=False)
    for time in (1, 7, 8, 9, 30):
        codes = random_codes(density, 2, time)
        context = random_context(density, 2, time)
        expected = density.logits(codes, context)
        for function in (tf.function(cached, autograph=False), of_any_size):
            np.testing.assert_allclose(
                function(codes, context),
                expected,
                atol=1e-5,
                rtol=1e-6,
                err_msg=str(time),
            )


def test_cached_logits_in_a_deep_net():
    density = small(
        0.05, 256, hidden_channels=32, num_stacks=2, layers_per_stack=8
    )
    assert density.receptive_field == 511
    codes = random_codes(density, 1, 600)
    expected = density.logits(codes)
    result = tf.function(density._cached_logits, autograph=False)(codes)
    np.testing.assert_allclose(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_samples_equal_naive_ones_for_20_seeds(kind):
    density = small(**KINDS[kind])
    context = random_context(density, 2)
    repeated = {k: tf.concat([v] * 20, axis=0) for k, v in context.items()}
    cached = tf.function(
        lambda seed: density.sample(2, context=context, seed=seed),
        autograph=False,
    )
    samples = [cached(tf.constant(seed)).numpy() for seed in range(20)]
    naive = NaiveSampler(density, repeated)(2, range(20))
    np.testing.assert_array_equal(samples, naive)
    # The seeds and the two samples of each differ, all codes occur.
    assert len(np.unique(np.reshape(samples, [40, -1]), axis=0)) == 40
    assert set(np.unique(samples)) == set(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "contexts"])
def test_samples_of_256_steps_equal_naive_ones_for_20_seeds(kind):
    density = small(**KINDS[kind])
    density.jit_sampling = True
    context = random_context(density, 1, 256)
    repeated = {k: tf.concat([v] * 20, axis=0) for k, v in context.items()}
    samples = [
        density.sample(1, context, event_shape=(256,), seed=seed)
        for seed in range(20)
    ]
    naive = NaiveSampler(density, repeated, jit_compile=True)
    np.testing.assert_array_equal(samples, naive(1, range(20), (256,)))


def test_filtered_samples_equal_naive_ones():
    density = small(**KINDS["codebooks"])
    options = {"temperature": 0.8, "top_k": 4, "top_p": 0.9}
    expected = NaiveSampler(density, **options)(3, [5])[0]
    result = density.sample(3, seed=5, **options)
    np.testing.assert_array_equal(result, expected)


# Modes ------------------------------------------------------------------------


def test_eager_compiled_and_graph_agree():
    density = small(layers_per_stack=2)
    expected = density.sample(3, seed=4)
    graph = tf.function(lambda: density.sample(3, seed=4), autograph=False)
    np.testing.assert_array_equal(graph(), expected)
    density.jit_sampling = True
    np.testing.assert_array_equal(density.sample(3, seed=4), expected)
    assert len(density._graphs._made) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["contexts", "mixture"])
def test_all_modes_agree(kind):
    density = small(**KINDS[kind])
    context = random_context(density, 3)
    draw = {"num_samples": 3, "context": context, "seed": 4}
    expected = density.sample(**draw)
    assert expected.dtype == tf.int32
    assert expected.shape == (3, TIME)
    for jit in (False, True):
        graph = tf.function(
            lambda: density.sample(**draw), jit_compile=jit, autograph=False
        )
        np.testing.assert_array_equal(graph(), expected)
    density.jit_sampling = True
    np.testing.assert_array_equal(density.sample(**draw), expected)
    # Compiled steps in a graph that is not compiled, and in one that is.
    for jit in (False, True):
        graph = tf.function(
            lambda: density.sample(**draw), jit_compile=jit, autograph=False
        )
        np.testing.assert_array_equal(graph(), expected)
    assert np.any(density.sample(3, context, seed=5) != expected)


def test_one_graph_serves_all_lengths_batches_and_temperatures():
    density = small(**KINDS["contexts"])
    for i in range(1, 5):
        context = random_context(density, i, 8 * i)
        sample = density.sample(context=context, seed=i, temperature=0.1 * i)
        assert sample.shape == (i, 8 * i)
    (graph,) = density._graphs._made.values()
    assert graph.experimental_get_tracing_count() == 1


def test_other_filters_do_not_trace_another_graph():
    density = small()
    for top_k, top_p in [(1, None), (3, None), (None, 0.3), (2, 0.9)]:
        codes = density.sample(2, seed=1, top_k=top_k, top_p=top_p)
        assert codes.shape == (2, TIME)
    (graph,) = density._graphs._made.values()
    assert graph.experimental_get_tracing_count() == 1


def test_long_samples_are_compiled_short_ones_are_not(monkeypatch):
    seen = []
    run = wavenet_sampling.run

    def spy(*args):
        seen.append(args[-1])
        return run(*args)

    monkeypatch.setattr(wavenet_sampling, "run", spy)
    density = small(num_stacks=1, layers_per_stack=1)
    density.sample()
    density.sample(event_shape=(4096,))
    density.jit_sampling = False
    density.sample(event_shape=(4096,))
    assert seen == [False, True]  # the third call's graph is the first's


def test_given_samples_stay_and_the_others_are_drawn_given_them():
    density = small()
    given = random_codes(density, 1)
    keep = np.arange(TIME)[None] < 10
    drawn = density.sample(5, given=given, given_mask=keep, seed=1).numpy()
    assert drawn.shape == (5, TIME)
    np.testing.assert_array_equal(drawn[:, :10], np.repeat(given, 5, 0)[:, :10])
    assert len(np.unique(drawn[:, 10:], axis=0)) == 5
    best = density.sample(1, given=given, given_mask=keep, temperature=0.0)
    wanted = np.argmax(density.logits(best), axis=-1)
    np.testing.assert_array_equal(best[:, 10:], wanted[:, 10:])


def test_cached_logits_in_bfloat16():
    density = small(0.1, dtype="mixed_bfloat16", **KINDS["contexts"])
    context = random_context(density, 2)
    codes = density.sample(context=context, seed=1)
    logits = density.logits(codes, context)
    result = density._cached_logits(codes, context)
    assert np.mean(abs(result - logits)) < 0.05


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_saved_model_with_dynamic_arguments(tmp_path, compiled):
    density = small(**KINDS["contexts"])
    density.jit_sampling = compiled
    draw = exported_sampler(density, tmp_path)
    density.jit_sampling = False
    for batch, temperature, time in [(1, 0.0, 12), (3, 0.9, 140)]:
        context = random_context(density, 1, time)
        expected = density.sample(
            batch, context, temperature=temperature, seed=9
        )
        received = draw(batch, temperature, 9, context)
        np.testing.assert_array_equal(received, expected)


# Errors -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def density():
    return small()


CODES = np.zeros([2, TIME], np.int32)
KEEP = np.ones([2, TIME], bool)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"temperature": -1.0}, "temperature must be a finite number"),
        ({"top_k": 0}, "top_k must be None or an integer"),
        ({"num_samples": 0}, "num_samples must be a positive integer"),
        ({"given": CODES}, "given and given_mask go together"),
        ({"given": CODES, "given_mask": KEEP[0]}, "given_mask must have shape"),
        (
            {"given": CODES, "given_mask": KEEP[:, :4]},
            "given_mask must be on the grid",
        ),
        (
            {"given": CODES, "given_mask": KEEP, "num_samples": 3},
            "given must have a batch of 1 or of num_samples=3",
        ),
        ({"event_shape": (8, 8)}, "event_shape is the grid"),
        (
            {"context": {"global": np.zeros([1, 4], np.float32)}},
            "expects a context with the entries",
        ),
    ],
)
def test_errors(density, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        density.sample(**arguments)
    assert "Received: " in str(error.value)


def test_lengths_are_the_constructors_by_default():
    density = WaveNet(4, (5,), hidden_channels=4, num_stacks=1)
    assert density.sample(2).shape == (2, 5)
    assert density.mode().shape == (1, 5)
    np.testing.assert_array_equal(density.mode(), density.sample(seed=0))
