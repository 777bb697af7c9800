"""Vector quantisation: what both kinds of codebook have in common."""

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from support import quantizer_oracle as oracle
from support.harness import arrays
from support.quantizer_harness import run_quantizer_test
from vqvae_tf.layers import VectorQuantizer, VectorQuantizerEMA
from vqvae_tf.quantizers import lookup

K, D = 8, 4
both = pytest.mark.parametrize("cls", [VectorQuantizer, VectorQuantizerEMA])
groups = pytest.mark.parametrize("num_codebooks", [1, 3])


def latents(shape, num_codebooks=1, seed=0, scale=0.1):
    """Latents around U(-1/K, 1/K), where new codebooks are."""
    rng = np.random.default_rng(seed)
    shape = [*shape, num_codebooks * D]
    return tf.constant(rng.normal(size=shape) * scale, tf.float32)


def codebooks(layer):
    """The layer's embeddings as an array `[G, K, D]`."""
    return layer.codebook.numpy().reshape(-1, K, D)


def state(layer):
    """All that the layer carries from step to step, metrics apart."""
    metrics = {id(v) for v in layer.metrics_variables}
    return arrays(v for v in layer.variables if id(v) not in metrics)


@both
@pytest.mark.parametrize(
    "options",
    [{}, dict(num_codebooks=3, initialize_from_data=True, restart_after=2)],
)
def test_harness(cls, options):
    run_quantizer_test(cls, dict(num_embeddings=K, embedding_dim=D, **options))


# The equations ---------------------------------------------------------------


@both
@groups
@pytest.mark.parametrize("sizes", [(5,), (2, 6), (2, 3, 4), (2, 2, 3, 2)])
def test_equations_1_to_3(cls, num_codebooks, sizes):
    layer = cls(K, D, commitment_cost=0.3, num_codebooks=num_codebooks)
    x = latents(sizes, num_codebooks)
    assert layer.codebook.shape == ((3,) * (num_codebooks > 1) + (K, D))
    z, e = oracle.split(x, num_codebooks), codebooks(layer)
    codes = oracle.nearest(z, e)
    expected = codes.T.reshape(sizes + (3,) * (num_codebooks > 1))
    received = layer.encode(x)
    assert received.dtype == tf.int32
    np.testing.assert_array_equal(received, expected)
    quantized = oracle.look_up(e, codes)
    np.testing.assert_array_equal(layer(x), oracle.join(quantized, x.shape))
    (loss,) = layer.losses
    np.testing.assert_array_equal(layer.encode(layer(x)), expected)
    terms = 1.3 if cls is VectorQuantizer else 0.3
    error = oracle.squared_error(z, quantized)
    np.testing.assert_allclose(loss, terms * error, rtol=1e-5)


@both
@groups
def test_gradients_of_latents(cls, num_codebooks):
    layer = cls(K, D, num_codebooks=num_codebooks)
    x = latents((6, 5), num_codebooks)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x))
        (loss,) = layer.losses
    # Straight through: exactly 1, whatever code was chosen.
    np.testing.assert_array_equal(tape.gradient(total, x), np.ones(x.shape))
    z = oracle.split(x, num_codebooks)
    q = oracle.join(
        oracle.look_up(codebooks(layer), oracle.nearest(z, codebooks(layer))),
        x.shape,
    )
    expected = 0.25 * 2 * (x - q) / tf.cast(tf.size(x), tf.float32)
    received = tape.gradient(loss, x)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-8)


@groups
def test_100_steps_of_sgd(num_codebooks):
    layer = VectorQuantizer(K, D, num_codebooks=num_codebooks)
    layer.build((None, num_codebooks * D))
    expected = oracle.GradientCodebook(codebooks(layer), 0.25)
    rate = float(D * num_codebooks)
    optimizer = keras.optimizers.SGD(rate)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            layer(x, training=True)
            (loss,) = layer.losses
        variables = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for i in range(100):
        x = latents((4, 8), num_codebooks, seed=i)
        z = oracle.split(x, num_codebooks)
        np.testing.assert_allclose(step(x), expected.loss(z), rtol=1e-5)
        expected.step(z, rate)
    received = codebooks(layer)
    np.testing.assert_allclose(received, expected.codebooks, rtol=0, atol=1e-5)
    first = VectorQuantizer(K, D, num_codebooks=num_codebooks).codebook
    assert abs(received - first.numpy().reshape(received.shape)).max() > 0.1


# Codes -----------------------------------------------------------------------


@both
@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16"])
def test_codes_under_a_bfloat16_policy_are_those_of_float32(cls, policy):
    x = latents((64, 64))
    expected = cls(256, D)
    layer = cls(256, D, dtype=policy)
    np.testing.assert_array_equal(layer.encode(x), expected.encode(x))
    np.testing.assert_array_equal(layer(x), expected(x))
    np.testing.assert_array_equal(layer.losses[0], expected.losses[0])
    assert layer.embeddings.dtype == "float32"
    # Distances in bfloat16 would choose other codes.
    narrow = tf.cast(tf.cast(x, tf.bfloat16), tf.float32)
    assert np.any(expected.encode(narrow) != expected.encode(x))


@both
def test_chunked_lookup_changes_nothing(cls, monkeypatch):
    layer, chunked = cls(K, D), cls(K, D)
    x = latents((30, 10))
    layer(x, training=True)
    monkeypatch.setattr(lookup, "MAX_DISTANCE_BYTES", 1)
    np.testing.assert_array_equal(
        chunked(x, training=True), cls(K, D)(x, training=True)
    )
    for new, old in zip(state(chunked), state(layer)):
        np.testing.assert_array_equal(new, old)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
    data=st.data(),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    num_embeddings=st.integers(1, 9),
    embedding_dim=st.integers(1, 5),
    num_codebooks=st.integers(1, 3),
)
def test_any_shape_and_values(
    data, sizes, num_embeddings, embedding_dim, num_codebooks
):
    x = data.draw(
        hnp.arrays(
            np.float32,
            [*sizes, num_codebooks * embedding_dim],
            elements=st.floats(-1e3, 1e3, width=32),
        )
    )
    layer = VectorQuantizer(num_embeddings, embedding_dim, 0.25, num_codebooks)
    quantized = layer(x).numpy()
    codes = layer.encode(x).numpy()
    assert quantized.shape == x.shape
    end = (num_codebooks,) * (num_codebooks > 1)
    assert codes.shape == (*sizes, *end)
    assert codes.min() >= 0 and codes.max() < num_embeddings
    np.testing.assert_array_equal(quantized, layer.decode(codes))
    e = layer.codebook.numpy()
    e = e.reshape(num_codebooks, num_embeddings, embedding_dim)
    z = oracle.split(x, num_codebooks)
    chosen = ((z - oracle.split(quantized, num_codebooks)) ** 2).sum(-1)
    best = oracle.distances(z, e).min(-1)
    # Rounding may decide between two that are all but equally near.
    size = (z**2).sum(-1) ** 0.5 + 1
    assert np.all(chosen <= best + 1e-5 * size)
    error = np.mean((x.astype(np.float64) - quantized) ** 2)
    np.testing.assert_allclose(layer.losses[0], 1.25 * error, rtol=1e-4)


# Masks -----------------------------------------------------------------------


@both
@pytest.mark.parametrize("how", ["empty", "masked"])
def test_a_step_without_latents_leaves_the_codebook_alone(cls, how):
    """Neither initialised by it nor restarted, but by the next one."""
    layer = cls(K, D, initialize_from_data=True, restart_after=2)
    x = latents((3, 5))
    layer.build(x.shape)
    state = [layer.embeddings, layer.steps, layer.unused_steps]
    before = [variable.numpy() for variable in state]
    empty = tf.zeros([0, 5, D])
    for step in (layer, tf.function(layer)):
        for _ in range(3):
            if how == "empty":
                step(empty, training=True)
            else:
                step(x, training=True, mask=tf.zeros([3, 5]))
    for old, variable in zip(before, state):
        np.testing.assert_array_equal(variable, old, err_msg=variable.path)
    layer(x, training=True)
    assert int(layer.steps) == 1
    # Every code is a latent, or near it after its first update.
    rows = x.numpy().reshape(-1, 1, D)
    distances = np.abs(rows - layer.codebook.numpy()).max(-1).min(0)
    assert np.all(distances < 0.01) and np.all(before[0] != layer.embeddings)


@both
def test_masked_latents_are_never_drawn_for_the_codebook(cls):
    x = latents((20, 4))
    mask = np.arange(20) % 3 == 1
    layer = cls(K, D, initialize_from_data=True, restart_after=1)
    layer.build((None, D))
    layer(x, training=True, mask=mask)
    kept = {tuple(row) for row in x.numpy()[mask].reshape(-1, D)}
    if cls is VectorQuantizer:  # the other one has moved on
        assert {tuple(row) for row in codebooks(layer)[0]} <= kept
    far = layer(x + 100.0, training=True, mask=mask)
    assert np.all(far < 50)
    kept = {tuple(row) for row in (x + 100.0).numpy()[mask].reshape(-1, D)}
    new = [tuple(row) for row in codebooks(layer)[0] if row[0] > 50]
    assert len(new) >= K - 1
    assert sum(row in kept for row in new) >= K - 1


# State -----------------------------------------------------------------------


@both
@groups
@pytest.mark.parametrize("count", [5, 40])
def test_initialization_from_data(cls, num_codebooks, count):
    layer = cls(K, D, num_codebooks=num_codebooks, initialize_from_data=True)
    x = latents((count,), num_codebooks, scale=5.0)
    layer(x)
    untouched = codebooks(layer)
    assert abs(untouched).max() <= 1 / K
    layer(x, training=True)
    z = oracle.split(x, num_codebooks)
    if cls is VectorQuantizer:
        e = codebooks(layer)
        error = oracle.squared_error(z, oracle.look_up(e, oracle.nearest(z, e)))
        np.testing.assert_allclose(layer.losses[0], 1.25 * error, rtol=1e-5)
        for rows, of in zip(e, z.astype(np.float32)):
            drawn = [tuple(row) for row in rows if abs(row).max() > 1 / K]
            assert set(drawn) <= {tuple(row) for row in of}
            # None twice, and all of them, if there are fewer than K.
            assert len(set(drawn)) == len(drawn) == min(K, count)
    before = state(layer)
    layer(x + 50.0, training=False)
    for new, old in zip(state(layer), before):
        np.testing.assert_array_equal(new, old)
    layer(x + 50.0, training=True)
    # Another batch does not initialise again: at most one code has moved.
    same = np.all(codebooks(layer) < 30, axis=-1).sum(-1)
    assert np.all(same >= K - num_codebooks - 1)


@both
@groups
def test_restarts(cls, num_codebooks):
    layer = cls(K, D, num_codebooks=num_codebooks, restart_after=3)
    layer.build((None, num_codebooks * D))
    # One far code wins everything in each group, so K - 1 are never used.
    e = codebooks(layer)
    far = np.where(np.arange(K)[:, None] == 2, 9.0, e)
    layer.embeddings.assign(far)
    x = latents((30,), num_codebooks) + 9.0
    rows = oracle.split(x, num_codebooks).astype(np.float32)
    used = np.arange(K) == 2
    for step in range(1, 4):
        layer(x, training=True)
        restarted = codebooks(layer)[:, ~used]
        if step < 3:
            np.testing.assert_array_equal(restarted, far[:, ~used])
            assert layer.restart_metric.result() == 0
    assert layer.restart_metric.result() == (K - 1) * num_codebooks
    for new, of in zip(restarted, rows):
        drawn = {tuple(row) for row in new}
        assert drawn <= {tuple(row) for row in of}
        assert len(drawn) == K - 1
    if cls is VectorQuantizerEMA:
        np.testing.assert_array_equal(layer.ema_counts.numpy()[:, ~used], 1.0)
        sums = layer.ema_sums.numpy()[:, ~used]
        np.testing.assert_array_equal(sums, restarted)
    # Restarted codes are used now, or wait for three steps again.
    layer(x, training=True)
    assert layer.restart_metric.result() == (K - 1) * num_codebooks


@both
def test_a_used_code_is_never_restarted(cls):
    layer = cls(K, D, restart_after=2)
    layer.build((None, D))
    x = tf.constant(codebooks(layer)[0])  # each code is used by its own latent
    before = codebooks(layer)
    for _ in range(5):
        layer(x, training=True)
    assert layer.restart_metric.result() == 0
    np.testing.assert_allclose(codebooks(layer), before, atol=1e-7)


@both
def test_seeds(cls):
    same = [cls(K, D, seed=3).codebook for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert np.any(cls(K, D, seed=4).codebook != same[0])
    # Without one, it is random but one for all of the layer's draws.
    layer = cls(K, D, seed=None)
    assert np.any(layer.codebook != cls(K, D, seed=None).codebook)
    if cls is VectorQuantizerEMA:
        np.testing.assert_array_equal(layer.ema_sums, layer.embeddings)


# Errors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: VectorQuantizer(0, 4),
            "num_embeddings must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(2.5, 4),
            "num_embeddings must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(True, 4),
            "num_embeddings must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(4, -1),
            "embedding_dim must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(4, 4, num_codebooks=0),
            "num_codebooks must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(4, 4, restart_after=0),
            "restart_after must be a positive integer",
        ),
        (
            lambda: VectorQuantizer(4, 4, commitment_cost=-0.1),
            "commitment_cost must be a finite number of at least 0",
        ),
        (
            lambda: VectorQuantizer(K, D)(tf.zeros([2, 5])),
            r"= 1 \* 4 = 4 channels. Received: latents of shape \(2, 5\)",
        ),
        (
            lambda: VectorQuantizer(K, D, num_codebooks=3).encode(
                tf.zeros([2, D])
            ),
            r"= 3 \* 4 = 12 channels. Received: latents of shape \(2, 4\)",
        ),
        (
            lambda: VectorQuantizer(K, D)(tf.zeros([2, D], tf.int32)),
            "Received: latents of dtype int32",
        ),
        (
            lambda: VectorQuantizer(K, D).decode([[0, K]]),
            r"Codes must be in 0\.\.7. Received: codes in 0\.\.8",
        ),
        (
            lambda: VectorQuantizer(K, D).decode([-2, 2]),
            r"Codes must be in 0\.\.7. Received: codes in -2\.\.2",
        ),
        (
            lambda: VectorQuantizer(K, D).decode(tf.zeros([2, D])),
            "Codes must be integers. Received: codes of dtype float32",
        ),
        (
            lambda: VectorQuantizer(K, D, num_codebooks=3).decode([[0, 1]]),
            r"last axis of codes must have 3 entries. Received: .* \(1, 2\)",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)


def test_numbers_of_numpy_and_tensors_are_kept_as_pythons():
    layer = VectorQuantizerEMA(
        np.int64(8),
        tf.constant(4),
        commitment_cost=tf.constant(1),
        decay=np.float32(0.5),
        restart_after=np.array(3),
    )
    config = layer.get_config()
    for name in ("num_embeddings", "embedding_dim", "restart_after"):
        assert type(config[name]) is int
    assert type(config["decay"]) is float
    assert layer(tf.zeros([2, 3, 4]), training=True).shape == [2, 3, 4]
    assert layer.decode(np.zeros([2, 3], np.int64)).shape == [2, 3, 4]


@pytest.mark.parametrize(
    "shape", [(3, 2, 1), (2,), (), (3, 3), (1, 3, 2), (1,), (1, 2)]
)
def test_a_mask_of_another_shape_is_refused(shape):
    layer = VectorQuantizer(8, 4)
    with pytest.raises(ValueError, match="A mask of latents"):
        layer(tf.zeros([3, 2, 4]), mask=np.ones(shape))


def test_latents_without_axes_are_refused():
    layer = VectorQuantizer(8, 4)
    for call in (layer, layer.encode):
        with pytest.raises(ValueError, match="last axis of latents"):
            call(tf.zeros([]))
