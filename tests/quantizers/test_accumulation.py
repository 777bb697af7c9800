"""Moving averages that are updated once in several training steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import arrays, saved_and_loaded
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import KMeans, VectorQuantizerEMA

K, D = 8, 4
BATCH = 20


def latents(seed=0, count=BATCH, groups=1):
    x = np.random.default_rng(seed).normal(size=[count, groups * D])
    return tf.constant(0.1 * x, tf.float32)


def ema(steps, decay=0.9, **options):
    layer = VectorQuantizerEMA(
        K, D, decay=decay, accumulation_steps=steps, **options
    )
    layer.build((None, layer.channels))
    return layer


def state(layer):
    metrics = {id(v) for v in layer.metrics_variables}
    return [v for v in layer.variables if id(v) not in metrics]


def averages(layer):
    return [
        v.numpy() for v in (layer.embeddings, layer.ema_counts, layer.ema_sums)
    ]


@pytest.mark.parametrize(
    "options",
    [
        dict(initialize_from_data=True, restart_after=1),
        dict(num_codebooks=2, shared_codebook=True, restart_below=0.5),
    ],
)
def test_harness(options):
    run_quantizer_test(
        VectorQuantizerEMA,
        dict(
            num_embeddings=K,
            embedding_dim=D,
            decay=0.5,
            accumulation_steps=2,
            **options,
        ),
    )


@pytest.mark.parametrize("steps", [2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, dict(num_codebooks=2), dict(num_codebooks=2, shared_codebook=True)],
    ids=["one codebook", "two", "shared"],
)
def test_n_batches_are_one_large_one(steps, options):
    layer, large = ema(steps, **options), ema(1, **options)
    groups = layer.num_codebooks
    expected = oracle.EMACodebook(large.embeddings.numpy(), 0.25, 0.9)
    step = tf.function(lambda x: layer(x, training=True))
    for update in range(4):
        batches = [
            latents(update * steps + i, groups=groups) for i in range(steps)
        ]
        before = averages(layer)
        for batch in batches:
            # No batch but the last one moves anything.
            for new, old in zip(averages(layer), before):
                np.testing.assert_array_equal(new, old)
            step(batch)
        large(tf.concat(batches, axis=0), training=True)
        for new, wanted in zip(averages(layer), averages(large)):
            np.testing.assert_allclose(new, wanted, 1e-5, 1e-7)
        split = [oracle.split(batch, groups) for batch in batches]
        if layer.shared_codebook:
            split = [z.reshape(1, -1, D) for z in split]
        expected.step(*split)
        np.testing.assert_allclose(
            layer.embeddings, expected.codebooks, 1e-4, 1e-6
        )
        np.testing.assert_allclose(layer.ema_counts, expected.counts, 1e-5)
        assert np.any(averages(layer)[0] != before[0])


def test_one_step_needs_nothing_more():
    layer = ema(1)
    names = [v.name for v in layer.non_trainable_variables]
    assert names == ["embeddings", "ema_counts", "ema_sums"]
    config = layer.get_config()
    assert not {"accumulation_steps", "restart_below"} & set(config)


def test_masked_latents_are_left_out():
    layer, large = ema(2), ema(1)
    batches = [latents(0), latents(1)]
    masks = [np.arange(BATCH) % 3 > 0, np.arange(BATCH) % 2 > 0]
    for batch, mask in zip(batches, masks):
        layer(batch, training=True, mask=mask)
    large(
        tf.concat(batches, 0), training=True, mask=np.concatenate(masks, axis=0)
    )
    for new, wanted in zip(averages(layer), averages(large)):
        np.testing.assert_allclose(new, wanted, 1e-5, 1e-7)


def test_a_batch_that_is_not_finite_is_none_of_them():
    layer, expected = ema(2, restart_after=1), ema(2, restart_after=1)
    bad = latents(5).numpy()
    bad[3, 1] = np.inf
    for x in (latents(0), latents(1)):
        expected(x, training=True)
    for x in (bad, latents(0), bad, bad, latents(1), bad):
        before = arrays(state(layer))
        layer(tf.constant(x), training=True)
        if x is bad:
            for new, old in zip(state(layer), before):
                np.testing.assert_array_equal(new, old, err_msg=new.path)
    for new, wanted in zip(state(layer), state(expected)):
        np.testing.assert_array_equal(new, wanted, err_msg=new.path)


# Restarts and initial values --------------------------------------------------


def test_restarts_count_updates_and_all_batches():
    """A code used by any of them is used."""
    layer = ema(3, restart_after=2)
    book = np.zeros([K, D], np.float32)
    book[:, 0] = 10.0 * np.arange(K)
    layer.set_codebook(book)
    x = latents()
    # Codes 1, 2 and 3 have a batch each; the others are never used.
    for step in range(6):
        np.testing.assert_array_equal(layer.restart_metric.result(), 0.0)
        layer(x + book[1 + step % 3], training=True)
    np.testing.assert_array_equal(layer.restart_metric.result(), K - 3.0)
    np.testing.assert_allclose(layer.codebook[1:4], book[1:4], atol=1.0)
    drawn = {tuple(row) for row in (x + book[3]).numpy()}
    rows = layer.codebook.numpy()
    assert {tuple(row) for row in np.delete(rows, [1, 2, 3], 0)} <= drawn


def test_an_update_counts_even_if_its_last_batch_has_no_latents():
    """Codes wait for the next latents that they can be replaced by."""
    layer = ema(2, restart_after=1)
    book = np.zeros([K, D], np.float32)
    book[:, 0] = 10.0 * np.arange(K)
    layer.set_codebook(book)
    layer(latents(0), training=True)
    layer(latents(1), training=True, mask=np.zeros(BATCH))
    np.testing.assert_array_equal(layer.unused_steps[0], [0] + [1] * (K - 1))
    np.testing.assert_array_equal(layer.codebook[1:], book[1:])
    layer(latents(2, count=1), training=True)
    layer(latents(3), training=True)
    np.testing.assert_array_equal(layer.restart_metric.result(), K - 1.0)


def test_clusters_forget_what_was_assigned_to_the_codes_before():
    layer = ema(2, initialization=KMeans(num_latents=2 * BATCH))
    layer(latents(0), training=True)
    np.testing.assert_array_equal(np.sum(layer.pending_counts), BATCH)
    layer(latents(1), training=True)
    # Of the clusters, and of the second batch alone.
    total = 0.9 * 2 * BATCH + 0.1 * BATCH
    np.testing.assert_allclose(np.sum(layer.ema_counts), total, 1e-5)
    sums = 0.9 * (latents(0) + latents(1)) + 0.1 * latents(1)
    np.testing.assert_allclose(
        np.sum(layer.ema_sums, axis=(0, 1)), np.sum(sums, axis=0), 1e-4, 1e-6
    )


def test_so_does_a_codebook_that_is_given():
    layer, expected = ema(2), ema(2)
    layer(latents(0), training=True)
    book = latents(9, count=K).numpy()
    for each in (layer, expected):
        each.set_codebook(book, counts=np.ones(K))
    np.testing.assert_array_equal(layer.pending_sums, np.zeros([1, K, D]))
    layer(latents(1), training=True)
    # The step counts, its latents do not.
    expected(latents(1), training=True, mask=np.zeros(BATCH))
    expected(latents(1), training=True)
    for new, wanted in zip(averages(layer), averages(expected)):
        np.testing.assert_array_equal(new, wanted)


# With Keras -------------------------------------------------------------------


def model(steps):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, D))
    x = keras.layers.Dense(D, name="first")(inputs)
    options = dict(decay=0.5, accumulation_steps=steps, name="vq")
    x = VectorQuantizerEMA(K, D, **options)(x)
    built = keras.Model(inputs, keras.layers.Dense(D, name="last")(x))
    accumulated = steps if steps > 1 else None
    built.compile(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulated),
        "mse",
    )
    return built


def test_fit_with_accumulated_gradients_is_fit_with_large_batches():
    small, large = model(3), model(1)
    x = tf.reshape(latents(count=180), [36, 5, D])
    before = arrays(large.weights)
    small.fit(x, x, batch_size=2, epochs=2, shuffle=False, verbose=0)
    large.fit(x, x, batch_size=6, epochs=2, shuffle=False, verbose=0)
    for path, wanted, old in zip(
        [v.path for v in large.weights], arrays(large.weights), before
    ):
        (new,) = [v for v in small.weights if v.path == path]
        np.testing.assert_allclose(new, wanted, 1e-4, 1e-6, err_msg=path)
        assert np.any(wanted != old), path


def test_it_is_resumed_in_the_middle(tmp_path):
    x = tf.reshape(latents(count=60), [12, 5, D])
    once = model(3)
    for part in tf.split(x, 4):
        once.fit(part, part, batch_size=3, verbose=0)
    stopped = model(3)
    for part in tf.split(x, 4)[:2]:
        stopped.fit(part, part, batch_size=3, verbose=0)
    layer = stopped.get_layer("vq")
    assert int(layer.pending_steps) == 2 and np.any(layer.pending_sums)
    loaded = saved_and_loaded(stopped)
    for part in tf.split(x, 4)[2:]:
        loaded.fit(part, part, batch_size=3, verbose=0)
    for new, wanted in zip(loaded.variables, once.variables, strict=True):
        np.testing.assert_array_equal(new, wanted, err_msg=new.path)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, None])
def test_steps_that_are_refused(steps):
    with pytest.raises(ValueError, match="accumulation_steps must be a posit"):
        VectorQuantizerEMA(K, D, accumulation_steps=steps)
