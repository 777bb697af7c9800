"""Residual quantization: stages of what is left, arXiv:2107.03312."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import quantizer_oracle as oracle, small
from support.harness import saved_and_loaded, two_replicas
from support.quantizer_harness import check_replicas, run_quantizer_test
from vqvae_tf.quantizers import (
    BSQ,
    FSQ,
    LFQ,
    GroupedQuantizer,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    VectorQuantizerEMA,
)

K, D, N = 8, 4, 3


def latents(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(0, 0.3, [count, D]), tf.float32)


def spread(layer, scale=0.3):
    """Gives stages normal codebooks, each finer than the one before."""
    layer.build((None, D))
    rng = np.random.default_rng(1)
    for i, stage in enumerate(layer.stages):
        stage.set_codebook(rng.normal(0, scale / 2**i, [K, D]))
    return layer


def residual(cls=VectorQuantizer, **options):
    return ResidualQuantizer(cls(K, D), N, **options)


def by_hand(layer, x):
    """Codes, rests and sums of every stage, in float64."""
    rest, codes, rests, sums = np.float64(x), [], [], [0.0]
    for stage in layer.stages:
        table = np.float64(stage.codebook)
        code = oracle.nearest(rest[None], table[None])[0]
        rests.append(rest)
        codes.append(code)
        sums.append(sums[-1] + table[code])
        rest = rest - table[code]
    return np.stack(codes, -1), rests, sums[1:]


def maker(cls, dropout=0.0, **arguments):
    def make(**kwargs):
        stage = cls(**arguments, dtype=kwargs.get("dtype"))
        return ResidualQuantizer(stage, N, dropout, **kwargs)

    return make


@pytest.mark.parametrize(
    "make",
    [
        maker(VectorQuantizer, num_embeddings=K, embedding_dim=D),
        maker(
            VectorQuantizerEMA,
            num_embeddings=K,
            embedding_dim=D,
            restart_after=2,
            initialize_from_data=True,
        ),
    ],
    ids=["gradient", "EMA with restarts"],
)
def test_harness(make):
    run_quantizer_test(make, {})


@pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
def test_each_stage_quantizes_what_is_left(cls):
    layer, x = spread(residual(cls)), latents()
    codes, rests, sums = by_hand(layer, x)
    quantized, received = layer(x, return_codes=True)
    np.testing.assert_array_equal(received, codes)
    np.testing.assert_allclose(quantized, sums[-1], 1e-5, 1e-6)
    shares = 1.25 if cls is VectorQuantizer else 0.25
    left = [*rests[1:], np.float64(x) - sums[-1]]
    expected = shares * sum(np.mean(r**2) for r in left)
    np.testing.assert_allclose(sum(layer.losses), expected, rtol=1e-5)


def test_the_commitment_of_every_stage_reaches_the_encoder():
    """From the second on it is lost where a straight-through is subtracted."""
    layer, x = spread(residual()), latents()
    for number in range(N):
        for i, stage in enumerate(layer.stages):
            stage.commitment_cost = float(i == number)
        with tf.GradientTape() as tape:
            tape.watch(x)
            layer(x)
            loss = tf.add_n(layer.losses)
        _, rests, sums = by_hand(layer, x)
        expected = 2 * (np.float64(x) - sums[number]) / np.size(x)
        np.testing.assert_allclose(tape.gradient(loss, x), expected, 1e-4, 1e-7)


def test_averages_of_every_stage_are_those_of_its_rest():
    layer, x = spread(residual(VectorQuantizerEMA)), latents()
    stages = [
        oracle.EMACodebook(np.float64(stage.codebook)[None], 0.25, 0.99)
        for stage in layer.stages
    ]
    for stage, own in zip(stages, layer.stages):
        stage.counts = np.float64(own.ema_counts)
        stage.sums = np.float64(own.ema_sums)
    _, rests, _ = by_hand(layer, x)
    for stage, rest in zip(stages, rests):
        stage.step(rest[None])
    layer(x, training=True)
    for stage, own in zip(stages, layer.stages):
        np.testing.assert_allclose(
            own.codebook, stage.codebooks[0], rtol=1e-5, atol=1e-7
        )


def test_more_stages_describe_latents_better():
    layer, x = spread(residual()), latents()
    codes = layer.encode(x)
    errors = [
        float(tf.reduce_mean((layer.decode(codes[:, :n]) - x) ** 2))
        for n in range(1, N + 1)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_codes_of_fewer_stages_are_decoded():
    """They are the first of the whole; -1 stands for those that are not."""
    layer, x = spread(residual()), latents()
    codes, _, sums = by_hand(layer, x)
    for n in range(1, N + 1):
        expected = sums[n - 1]
        for given in (codes[:, :n], codes[:, :n].astype(np.uint8)):
            np.testing.assert_allclose(
                layer.decode(given), expected, 1e-5, 1e-6
            )
        dropped = np.where(np.arange(N) < n, codes, -1)
        np.testing.assert_allclose(layer.decode(dropped), expected, 1e-5, 1e-6)
        in_graph = tf.function(layer.decode)(tf.constant(dropped))
        np.testing.assert_allclose(in_graph, expected, 1e-5, 1e-6)


@pytest.mark.parametrize(
    "codes, message",
    [
        (np.full([2, N], K), r"must be in 0\.\.7"),
        (np.full([2, N], -2), r"must be in 0\.\.7"),
        (np.zeros([2, N + 1], int), "must have 3 entries"),
        (np.zeros([2, N]), "Codes must be integers"),
    ],
)
def test_codes_that_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        residual().decode(codes)


# Dropout of stages ------------------------------------------------------------


def test_an_example_is_trained_with_its_first_stages():
    """Each number of stages, 1 to N, as often; alike in the whole example."""
    layer = spread(residual(dropout=1.0))
    x = tf.reshape(latents(6000), [600, 2, 5, D])
    quantized, codes = layer(x, training=True, return_codes=True)
    counts = np.sum(codes >= 0, axis=-1)
    assert np.all(counts == counts[:, :1, :1])
    found = np.bincount(counts[:, 0, 0], minlength=N + 1)
    assert found[0] == 0 and np.all(np.abs(found[1:] - 200) < 50)
    np.testing.assert_array_equal(layer.decode(codes), quantized)
    whole, all_codes = layer(x, return_codes=True)  # not in training
    assert np.all(all_codes >= 0)
    # Another step, other numbers.
    _, other = layer(x, training=True, return_codes=True)
    assert np.any((other >= 0) != (codes >= 0))


def test_half_of_the_examples():
    layer = spread(residual(dropout=0.5))
    x = tf.reshape(latents(3000), [3000, 1, D])
    _, codes = layer(x, training=True, return_codes=True)
    share = np.mean(np.any(codes < 0, axis=-1))
    # n = N, a third of those that are drawn, drops nothing.
    np.testing.assert_allclose(share, 0.5 * 2 / 3, atol=0.03)


def test_stages_that_are_dropped_count_nothing_and_learn_nothing():
    layer = spread(residual(VectorQuantizerEMA, dropout=1.0))
    x = latents(7)[:, tf.newaxis]
    before = [stage.codebook.numpy() for stage in layer.stages]
    _, codes = layer(x, training=True, return_codes=True)
    kept = np.sum(codes >= 0, axis=(0, 1))
    for i, stage in enumerate(layer.stages):
        assert np.sum(stage.usage_metric.counts) == kept[i]
        moved = np.any(stage.codebook != before[i], axis=-1)
        used = set(np.flatnonzero(moved)) - {-1}
        assert used <= set(np.asarray(codes)[..., i].ravel())


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_of_a_stage_is_a_mean_over_all_examples(masked):
    """Not over those that keep it, of which a few would count much."""
    layer = spread(residual(dropout=1.0))
    x = latents(20)[:, tf.newaxis]
    mask = np.arange(20) % 3 > 0 if masked else np.ones(20, bool)
    given = dict(mask=mask) if masked else {}
    _, codes = layer(x, training=True, return_codes=True, **given)
    codes, expected = np.asarray(codes)[:, 0], 0.0
    rest = np.float64(x)[:, 0]
    for i, stage in enumerate(layer.stages):
        kept = codes[:, i] >= 0
        found = np.float64(stage.codebook)[np.maximum(codes[:, i], 0)]
        squares = np.mean((rest - found) ** 2, axis=-1)
        expected += 1.25 * np.sum(squares * kept * mask) / np.sum(mask)
        rest = rest - found * kept[:, None]
    np.testing.assert_allclose(tf.add_n(layer.losses), expected, rtol=1e-5)


def test_a_frozen_layer_drops_nothing():
    layer = spread(residual(dropout=1.0))
    layer.trainable = False
    x = latents(9)[:, tf.newaxis]
    _, codes = layer(x, training=True, return_codes=True)
    assert np.all(codes >= 0)


def test_two_replicas_drop_what_one_does():
    one, two = residual(dropout=0.7), None
    spread(one)
    with two_replicas().scope():
        two = spread(residual(dropout=0.7))
    x = tf.reshape(latents(60), [10, 6, D])

    @tf.function
    def on_both(x):
        def run():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            part = x[:5] if first else x[5:]
            _, codes = two(part, training=True, return_codes=True)
            return codes, tf.add_n(two.losses)

        return two_replicas().run(run)

    for _ in range(2):
        _, expected = one(x, training=True, return_codes=True)
        parts, losses = (
            two_replicas().experimental_local_results(each)
            for each in on_both(x)
        )
        np.testing.assert_array_equal(np.concatenate(parts), expected)
        assert np.any(expected < 0)
        loss = tf.add_n(one.losses)
        np.testing.assert_allclose(np.mean(losses), loss, rtol=1e-5)


def test_two_replicas_that_drop_stages_learn_as_one_does():
    """Other numbers of examples keep a stage on each of them."""
    make = maker(
        VectorQuantizerEMA, dropout=1.0, num_embeddings=K, embedding_dim=D
    )
    check_replicas(make, tf.reshape(latents(60), [10, 6, D]))


# Stages -----------------------------------------------------------------------


def test_copies_have_names_and_seeds_of_their_own():
    layer = ResidualQuantizer(VectorQuantizer(K, D, seed=5, name="vq"), N)
    assert [stage.name for stage in layer.stages] == ["vq", "vq_1", "vq_2"]
    assert [stage.seed for stage in layer.stages] == [5, 6, 7]
    layer.build((None, D))
    first, second, _ = (stage.codebook.numpy() for stage in layer.stages)
    assert np.any(first != second)


def test_stages_of_several_kinds():
    layer = ResidualQuantizer(
        [VectorQuantizerEMA(K, 3), SimVQ(K, 3), LFQ(3)], name="mixed"
    )
    x = tf.random.normal([5, 3])
    quantized, codes = layer(x, return_codes=True)
    np.testing.assert_array_equal(layer.decode(codes), quantized)
    copy = ResidualQuantizer.from_config(layer.get_config())
    assert [type(s) for s in copy.stages] == [VectorQuantizerEMA, SimVQ, LFQ]


@pytest.mark.parametrize(
    "stages, count, message",
    [
        (VectorQuantizer(K, D), None, "needs num_quantizers"),
        (VectorQuantizer(K, D), 0, "num_quantizers must be a positive"),
        ([], None, "a list of at least one"),
        ([keras.layers.Dense(3)], None, "must be a Quantizer"),
        ([VectorQuantizer(K, D)], 3, "a list has as many"),
        ([VectorQuantizer(K, D), VectorQuantizer(K, 3)], None, "same channels"),
        ([VectorQuantizer(K, 2, num_codebooks=2)], None, "one codebook each"),
        ([VectorQuantizer(8, 1), FSQ([8])], 3, "a list has as many"),
    ],
)
def test_stages_that_are_refused(stages, count, message):
    with pytest.raises(ValueError, match=message):
        ResidualQuantizer(stages, count)


@pytest.mark.parametrize(
    "make",
    [ResidualQuantizer, lambda parts: GroupedQuantizer(parts)],
    ids=["stages", "groups"],
)
def test_one_quantizer_twice_is_refused(make):
    stage = VectorQuantizer(K, D)
    with pytest.raises(ValueError, match="the same one twice.*shared=True"):
        make([stage, VectorQuantizer(K, D), stage])


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: FSQ([8, 8], **options),
        lambda **options: LFQ(4, **options),
        lambda **options: BSQ(4, **options),
        lambda **options: SimVQ(8, 4, **options),
    ],
)
def test_groups_of_what_has_one_codebook_are_made_by_another_layer(make):
    with pytest.raises(ValueError, match=r"Use GroupedQuantizer\("):
        make(num_codebooks=2)
    assert make(num_codebooks=1).num_codebooks == 1


def test_a_model_with_it_is_trained_saved_and_sampled():
    """As a VQ-VAE's quantizer, with a prior over the codes of all stages."""
    import vqvae_tf as vq

    model = vq.VQVAE(
        vq.Encoder(4, **small.SMALL),
        ResidualQuantizer(VectorQuantizerEMA(8, 4, seed=1), 2, dropout=0.5),
        vq.FactorizedDensity(
            vq.Decoder(3 * 2, **small.SMALL), vq.DiscretizedLogistic()
        ),
        event_shape=(small.SIZE, small.SIZE, 3),
    )
    model.compile(keras.optimizers.SGD(1e-3))
    x = small.pictures(4)
    logs = model.fit(x, batch_size=4, epochs=2, verbose=0).history
    assert np.all(np.isfinite(logs["loss"]))
    codes = model.encode(x)
    assert codes.shape == (4, 4, 4, 2)
    loaded = saved_and_loaded(model)
    np.testing.assert_array_equal(loaded.encode(x), codes)
    generator = vq.LatentGenerator(model, small.prior(num_codebooks=2))
    generator.build()
    assert generator.sample(2, seed=0).shape == (2, 16, 16, 3)
