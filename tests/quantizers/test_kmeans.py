"""Codebooks that start from k-means of the first latents."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle
from support.harness import arrays, saved_and_loaded, two_replicas
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.quantizers import (
    KMeans,
    ResidualQuantizer,
    VectorQuantizer,
    VectorQuantizerEMA,
    kmeans,
)

K, D = 8, 4
CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])


def latents(count, channels=D, seed=0):
    """Latents in a few clumps."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=[6, channels])[rng.integers(0, 6, count)]
    x = centres + 0.2 * rng.normal(size=[count, channels])
    return x.astype(np.float32)


def initialized(cls, batches, masks=None, **options):
    """A layer after nothing but the initialization of its first steps."""
    layer = cls(K, D, **{"initialization": "kmeans", **options})
    layer.build((None, layer.channels))
    for i, x in enumerate(batches):
        weights = None if masks is None else tf.constant(masks[i], tf.float32)
        z = layer.to_search_space(tf.constant(x))
        layer._count_step(layer.prepare(z, weights))
    return layer


def books(layer):
    return layer.embeddings.numpy()


@pytest.mark.parametrize(
    "cls, options",
    [
        pytest.param(
            VectorQuantizer,
            dict(initialization=KMeans(2)),
            marks=pytest.mark.slow,
        ),
        (
            VectorQuantizerEMA,
            dict(
                initialization=KMeans(3, 25), num_codebooks=2, restart_after=2
            ),
        ),
    ],
)
def test_harness(cls, options):
    run_quantizer_test(cls, dict(num_embeddings=K, embedding_dim=D, **options))


# The algorithm ----------------------------------------------------------------


def lloyd(x, centroids):
    """Lloyd's iteration of one codebook `[K, D]` in NumPy."""
    codes = oracle.nearest(x[None], centroids[None])[0]
    left = ((x - centroids[codes]) ** 2).sum(-1)
    far = iter(x[np.argsort(-left, kind="stable")])
    new, sizes = [], []
    for k in range(len(centroids)):
        own = x[codes == k]
        new.append(own.mean(0) if len(own) else next(far))
        sizes.append(max(len(own), 1))
    return np.stack(new), np.array(sizes)


@pytest.mark.parametrize("iterations", [1, 4])
def test_iterations_are_lloyds(iterations, monkeypatch):
    x = np.stack([latents(60), latents(60, seed=1)])
    start = np.random.default_rng(2).normal(size=[2, K, D])
    start[1, 3:6] = [[90.0], [91.0], [92.0]]  # empty clusters
    monkeypatch.setattr(
        "vqvae_tf.quantizers.kmeans._seeds",
        lambda *_: tf.constant(start, tf.float32),
    )
    centroids, counts = KMeans(iterations).fit(tf.constant(x), K, [0, 0])
    for g in range(2):
        expected = start[g].astype(np.float32)
        for _ in range(iterations):
            expected, sizes = lloyd(np.float64(x[g]), expected)
        np.testing.assert_allclose(centroids[g], expected, 1e-5, 1e-6)
        np.testing.assert_array_equal(counts[g], sizes)


def test_seeds_are_drawn_by_squared_distance():
    """Of points 0, 1 and 3; groups make the trials."""
    points, trials = np.array([0.0, 1.0, 3.0], np.float32), 4000
    x = tf.constant(np.tile(points[None, :, None], [trials, 1, 1]))
    seeds = kmeans._seeds(x, 2, tf.constant([0, 7])).numpy()[..., 0]
    for first in range(3):
        weights = (points - points[first]) ** 2
        for second, p in enumerate(weights / weights.sum() / 3):
            pair = [points[first], points[second]]
            share = np.all(seeds == pair, axis=1).mean()
            assert abs(share - p) < 4 * (p * (1 - p) / trials) ** 0.5 + 1e-9


def test_each_of_separate_clusters_gets_a_centroid():
    centres = 100.0 * np.arange(K)[:, None] + np.zeros(D)
    noise = np.random.default_rng(0).normal(size=[5, K, D])
    x = np.reshape(centres + noise, [1, -1, D]).astype(np.float32)
    centroids, counts = KMeans(2).fit(x, K, [0, 0])
    order = np.argsort(centroids[0, :, 0])
    np.testing.assert_allclose(
        centroids.numpy()[0, order], centres + noise.mean(0), 1e-4, 1e-4
    )
    np.testing.assert_array_equal(counts, np.full([1, K], 5))


def test_a_graph_of_many_clusters_does_the_same(monkeypatch):
    x = tf.constant(latents(40)[None])
    expected = KMeans(2).fit(x, K, [0, 3])
    monkeypatch.setattr(kmeans, "_MANY", 1)
    for a, b in zip(KMeans(2).fit(x, K, [0, 3]), expected):
        np.testing.assert_allclose(a, b, 1e-6)


def test_equal_latents_are_no_trouble():
    centroids, counts = KMeans().fit(tf.ones([1, 12, D]), K, [0, 0])
    np.testing.assert_array_equal(centroids, np.ones([1, K, D]))
    assert np.all(counts >= 1)


# In layers --------------------------------------------------------------------


@CLASSES
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_distortion_is_lower_than_of_drawn_latents(cls, distance):
    x = latents(32 * K, 2 * D)
    found = {}
    for kind in ("uniform", "data", "kmeans"):
        layer = initialized(
            cls,
            [x],
            initialization=kind,
            num_codebooks=2,
            distance=distance,
        )
        quantized = layer(tf.constant(x))
        found[kind] = float(layer.losses[0])
        assert np.all(np.isfinite(quantized))
    assert found["kmeans"] < 0.8 * found["data"] < 0.8 * found["uniform"]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_averages_start_with_sizes_and_sums_of_clusters(distance):
    x = latents(4 * K)
    layer = initialized(
        VectorQuantizerEMA, [x], distance=distance, initialization=KMeans(50)
    )
    z = layer.to_search_space(tf.constant(x)).numpy()
    counts, e = layer.ema_counts.numpy(), books(layer)
    np.testing.assert_allclose(layer.ema_sums, e * counts[..., None], 1e-6)
    # After so many iterations nothing moves: clusters are those of the codes.
    n, s = oracle.counts_and_sums(z, layer.encode(x).numpy()[None], K)
    np.testing.assert_array_equal(counts, n)
    np.testing.assert_allclose(layer.ema_sums, s, 1e-5, 1e-5)


@CLASSES
def test_gathered_batches_equal_one_big_batch(cls):
    x = latents(4 * K, 2 * D)
    whole = initialized(cls, [x], num_codebooks=2)
    parts = initialized(cls, [x[:5], x[:0], x[5:9], x[9:]], num_codebooks=2)
    masked = np.concatenate([np.full_like(x[:3], 50.0), x])
    mask = np.arange(len(masked)) >= 3
    masked = initialized(cls, [masked], [mask], num_codebooks=2)
    assert np.max(np.abs(books(whole))) > 1 / K
    for other in (parts, masked):
        np.testing.assert_array_equal(books(other), books(whole))
        if cls is VectorQuantizerEMA:
            np.testing.assert_array_equal(other.ema_sums, whole.ema_sums)
    assert parts.num_gathered == 4 * K and not np.any(parts.gathered)


def test_the_codebook_stays_until_enough_is_gathered():
    x = latents(4 * K)
    layer = VectorQuantizer(K, D, initialization="kmeans", restart_after=9)
    layer.build(x.shape)
    before = books(layer)
    layer(x[:20], training=True)
    np.testing.assert_array_equal(books(layer), before)
    np.testing.assert_array_equal(layer.gathered[0, :20], x[:20])
    layer(x, training=False)
    assert layer.num_gathered == 20 and np.max(layer.unused_steps) == 1
    layer(x[20:], training=True)
    start = books(layer)
    assert np.all(start != before)
    # And once only.
    layer(x + 3.0, training=True)
    np.testing.assert_array_equal(books(layer), start)


def test_a_large_batch_is_sampled_all_over():
    """So is the one that fills what room is left, each latent at most once."""
    x = np.arange(1000.0, dtype=np.float32)[:, None] + np.zeros([1, D])
    layer = VectorQuantizer(K, D, initialization=KMeans(num_latents=50), seed=3)
    layer.build(x.shape)
    layer(tf.constant(x[:10], tf.float32), training=True)
    kept = []
    layer.initialization.fit = lambda z, k, *_: (
        kept.append(z.numpy()[0, :, 0]) or (z[:, :k], tf.ones([1, k]))
    )
    layer(tf.constant(x[100:], tf.float32), training=True)
    np.testing.assert_array_equal(kept[0][:10], np.arange(10))
    drawn = (kept[0][10:] - 100) / 900 * 40
    np.testing.assert_array_equal(np.floor(drawn), np.arange(40))


@CLASSES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_batch_that_is_not_finite_is_not_gathered(cls, bad):
    x = latents(4 * K)
    broken = x[5:20].copy()
    broken[3, 1] = bad
    layer = initialized(cls, [x[:5], broken, x[5:]])
    np.testing.assert_array_equal(books(layer), books(initialized(cls, [x])))


def test_seeds_differ_and_repeat():
    x = latents(4 * K)
    options = dict(initialization=KMeans(1))
    first, again, other = (
        books(initialized(VectorQuantizer, [x], seed=seed, **options))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@CLASSES
def test_training_resumes_in_the_middle(cls):
    x = latents(4 * K)
    inputs = keras.Input((D,))
    layer = cls(K, D, initialization="kmeans", name="vq")
    model = keras.Model(inputs, layer(inputs))
    layer(x[:9], training=True)
    loaded = saved_and_loaded(model).get_layer("vq")
    for copy in (layer, loaded):
        copy(x[9:], training=True)
    assert layer.num_gathered == 4 * K
    for a, b in zip(arrays(loaded.variables), arrays(layer.variables)):
        np.testing.assert_array_equal(a, b)


@CLASSES
def test_a_given_codebook_is_kept(cls):
    given = latents(K, seed=5)
    layer = cls(K, D, initialization="kmeans")
    layer.set_codebook(given)
    layer(latents(4 * K), training=True)
    assert np.max(np.abs(books(layer)[0] - given)) < 0.2


def test_replicas_of_different_sizes_cluster_all_latents():
    x = tf.constant(latents(4 * K))
    alone = VectorQuantizer(K, D, initialization="kmeans")
    alone(x, training=True)
    with two_replicas().scope():
        layer = VectorQuantizer(K, D, initialization="kmeans")
        layer.build(x.shape)

    @tf.function
    def step():
        def run():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            layer(x[:7] if first else x[7:], training=True)

        two_replicas().run(run)

    step()
    copies = two_replicas().experimental_local_results(layer.embeddings.value)
    for copy in copies:
        np.testing.assert_allclose(copy, alone.embeddings, 1e-6)
    np.testing.assert_array_equal(*copies)


def test_each_stage_of_a_residual_quantizer_clusters_what_is_left():
    x = latents(16 * K)
    stage = VectorQuantizerEMA(K, D, initialization="kmeans")
    layer = ResidualQuantizer(stage, 3)
    layer(x, training=True)
    left = [
        np.mean((x - layer.decode(layer.encode(x)[:, : n + 1])) ** 2)
        for n in range(3)
    ]
    assert left[2] < 0.7 * left[1] < 0.7**2 * left[0]


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_stage_gathers_once_those_before_it_have_their_codebooks(beam_size):
    """Of an initial codebook they would leave whole latents."""
    x = latents(64 * K)
    size = KMeans().size(K)
    batches = np.split(x, 64 * K // (size // 4))
    stage = VectorQuantizerEMA(K, D, initialization="kmeans", decay=0.999)
    layer = ResidualQuantizer(stage, 3, beam_size=beam_size)
    started = []
    for batch in batches[:12]:
        layer(batch, training=True)
        started.append([bool(each.has_started()) for each in layer.stages])
    # Each gathers four batches, from the step on that the one before began.
    assert [row.count(True) for row in zip(*started)] == [9, 6, 3]
    left = [
        np.mean((x - layer.decode(layer.encode(x)[:, : n + 1])) ** 2)
        for n in range(3)
    ]
    assert left[2] < 0.8 * left[1] < 0.8**2 * left[0]


# Options ----------------------------------------------------------------------


@CLASSES
def test_the_older_option_is_another_name(cls):
    old = cls(K, D, initialize_from_data=True)
    new = cls(K, D, initialization="data")
    assert new.initialize_from_data and old.initialization == "data"
    configs = [{**x.get_config(), "name": ""} for x in (old, new)]
    assert configs[0] == configs[1] and "initialization" not in configs[0]
    x = latents(20)
    for layer in (old, new):
        layer(x, training=True)
    np.testing.assert_array_equal(books(old), books(new))
    assert cls.from_config(new.get_config()).initialization == "data"


def test_configurations_keep_the_options():
    layer = VectorQuantizer(K, D, initialization=KMeans(3, 99))
    found = VectorQuantizer.from_config(layer.get_config()).initialization
    assert (found.iterations, found.num_latents) == (3, 99)
    assert "iterations=3" in repr(found)
    plain = VectorQuantizer(K, D)
    assert "initialization" not in plain.get_config()
    plain.build((None, D))
    assert [v.name for v in plain.weights][:1] == ["embeddings"]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: KMeans(0), "iterations must be a positive integer"),
        (lambda: KMeans(num_latents=0.5), "num_latents must be a positive"),
        (
            lambda: VectorQuantizer(K, D, initialization=KMeans(2, K - 1)),
            "at least num_embeddings = 8.* num_latents=7. Leave it out",
        ),
        (
            lambda: VectorQuantizer(K, D, initialization="k-means"),
            "one of uniform, data, kmeans, or a KMeans. .*'k-means'",
        ),
        (
            lambda: VectorQuantizer(K, D, initialization=KMeans),
            "one of uniform, data, kmeans, or a KMeans",
        ),
        (
            lambda: VectorQuantizer(
                K, D, initialize_from_data=True, initialization="kmeans"
            ),
            "give only one of the two. Received: initialization='kmeans'",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "Received: " in str(error.value)
