"""What a density is told of past frames: by hand, and by properties."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.harness import (
    POLICIES,
    assert_all_get_gradients,
    assert_config_round_trip,
)
from vqvae_tf import PastFrames
from vqvae_tf.utils.code_sizes import first_rows

K, P, CHANNELS = 8, 2, 6
NO_ACTIONS = dict(num_actions=None, action_size=None)
VECTORS = dict(num_actions=None, action_size=3)


def make(num_embeddings=K, **kwargs):
    """A small network with weights and biases larger than at the start."""
    keras.utils.set_random_seed(7)
    sizes = dict(embedding_dim=3, hidden_channels=CHANNELS, kernel_size=3)
    options = dict(num_actions=5, num_residual_layers=1, seed=1)
    network = PastFrames(num_embeddings, P, **{**sizes, **options, **kwargs})
    network.build()
    rng = np.random.default_rng(1)
    for v in network.trainable_variables:
        v.assign(v + tf.cast(0.3 * rng.normal(size=v.shape), v.dtype))
    return network


def maps(batch=3, past=P, grid=(4, 5), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, [batch, past, *grid], dtype=np.int32)


def local(network, past, action=None, training=False):
    context = {"past": past}
    if action is not None:
        context["action"] = action
    return network(context, training=training)["local"].numpy()


# By hand ----------------------------------------------------------------------


def relu(x):
    return np.maximum(x, 0)


def convolved(layer, x):
    kernel, bias = (v.numpy().astype(np.float64) for v in layer.variables)
    size, (_, height, width, _) = kernel.shape[0], x.shape
    pad = (size // 2, size // 2)
    padded = np.pad(x, [(0, 0), pad, pad, (0, 0)])
    return bias + sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def by_hand(network, past, vector=None):
    """The network in NumPy; `vector` is the action as `of_action` sees it."""
    table = network.embedding.embeddings.numpy().astype(np.float64)
    grid = np.meshgrid(
        *(np.linspace(-1, 1, size) for size in past.shape[2:4]), indexing="ij"
    )
    grid = np.broadcast_to(np.stack(grid, -1), [len(past), *grid[0].shape, 2])
    if past.ndim > 4:  # the codebooks' tables lie one below the other
        past = past + first_rows(network.num_embeddings)
    embedded = table[past].reshape([*past.shape[:4], -1])
    x = [*np.moveaxis(embedded, 1, 0), grid]
    x = convolved(network.conv_in, np.concatenate(x, axis=-1))
    added = 0.0
    if vector is not None:
        kernel, bias = (v.numpy() for v in network.of_action.variables)
        added = (vector @ kernel + bias)[:, None, None]
    for i in range(max(1, len(network.blocks))):
        if vector is not None:
            x = x + added[..., i * CHANNELS : (i + 1) * CHANNELS]
        if network.blocks:
            block = network.blocks[i]
            inner = convolved(block.conv_in, relu(x))
            x = x + convolved(block.conv_out, relu(inner))
    return relu(x)


@pytest.mark.parametrize("layers, kernel_size", [(0, 1), (1, 1), (2, 5)])
def test_by_hand(layers, kernel_size):
    sizes = dict(num_residual_layers=layers, kernel_size=kernel_size)
    past = maps()

    plain = make(**NO_ACTIONS, **sizes)
    received = local(plain, past)
    assert received.shape == (3, 4, 5, CHANNELS)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, by_hand(plain, past), 1e-4, 1e-5)

    discrete = make(**sizes)
    for action in (np.array([4, 0, 2]), None):
        # The last of six entries says that the action is not known.
        vector = np.eye(6)[[5, 5, 5] if action is None else action]
        np.testing.assert_allclose(
            local(discrete, past, action),
            by_hand(discrete, past, vector),
            1e-4,
            1e-5,
        )

    continuous = make(**VECTORS, **sizes)
    action = np.random.default_rng(2).normal(size=[3, 3]).astype(np.float32)
    for given, vector in [
        (action, np.pad(action, [(0, 0), (0, 1)])),
        (np.zeros_like(action), np.zeros([3, 4])),
        (None, np.eye(4)[[3, 3, 3]]),
    ]:
        np.testing.assert_allclose(
            local(continuous, past, given),
            by_hand(continuous, past, vector),
            1e-4,
            1e-5,
        )


# Several codebooks ------------------------------------------------------------


SIZES = (8, 3)


def several_maps(batch=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, SIZES, [batch, P, 4, 5, 2], dtype=np.int32)


def test_several_codebooks_by_hand():
    network, past = make(SIZES, **NO_ACTIONS), several_maps()
    assert network.num_embeddings == [8, 3] and network.num_codes == (8, 3)
    assert network.embedding.embeddings.shape == (11, 3)
    received = local(network, past)
    assert received.shape == (3, 4, 5, CHANNELS)
    np.testing.assert_allclose(received, by_hand(network, past), 1e-4, 1e-5)
    spec = network.context_signature()
    assert spec["past"].shape.as_list() == [None, P, None, None, 2]
    graph = tf.function(lambda c: network(c)["local"], input_signature=[spec])
    np.testing.assert_allclose(graph({"past": past}), received, 1e-4, 1e-5)


def test_several_codebooks_are_saved():
    network, past = make(SIZES), several_maps()
    copy = assert_config_round_trip(network)
    if not copy.built:
        copy.build()
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(local(copy, past), local(network, past))


def test_one_codebook_in_a_list_is_a_number():
    network = make([K])
    assert network.get_config()["num_embeddings"] == K
    np.testing.assert_array_equal(local(network, maps()), local(make(), maps()))


# Properties -------------------------------------------------------------------


def test_order_place_and_action_matter():
    network, past = make(), maps()
    action = np.array([4, 0, 2])
    expected = local(network, past, action)
    assert np.any(abs(local(network, past[:, ::-1], action) - expected) > 0.01)
    # Coordinates: not even the middle of a constant map is like the next.
    flat = local(network, np.zeros_like(maps(grid=(9, 9))), action)
    assert np.any(abs(flat[:, 4, 4] - flat[:, 4, 5]) > 0.01)
    assert np.any(abs(flat[:, 4, 4] - flat[:, 5, 4]) > 0.01)
    other = local(network, past, np.array([4, 1, 2]))
    np.testing.assert_allclose(other[[0, 2]], expected[[0, 2]], rtol=1e-5)
    assert np.any(abs(other[1] - expected[1]) > 0.01)


def test_context_is_local():
    """Without a second wide convolution: kernel_size // 2 + 1 steps."""
    network, past = make(), maps(1, grid=(9, 9))
    changed = past.copy()
    changed[0, 0, 4, 4] = (past[0, 0, 4, 4] + 1) % K
    differs = local(network, changed) != local(network, past)
    rows, columns = np.nonzero(np.any(differs[0], axis=-1))
    assert {rows.min(), columns.min()} == {2}
    assert {rows.max(), columns.max()} == {6}


def test_all_variables_get_a_gradient():
    for options in ({}, VECTORS, dict(num_residual_layers=0)):
        network = make(**options)
        action = np.array([4, 0, 2])
        if network.action_size:
            action = np.eye(3, dtype=np.float32)
        with tf.GradientTape() as tape:
            context = {"past": maps(), "action": action}
            target = tf.reduce_sum(network(context)["local"] ** 2)
        assert_all_get_gradients(tape, target, network.trainable_variables)


# Withheld actions -------------------------------------------------------------


def test_all_actions_withheld_in_training_alone():
    network, past = make(action_dropout=1.0), maps()
    action, unknown = np.array([4, 0, 2]), local(network, maps())
    trained = local(network, past, action, training=True)
    np.testing.assert_array_equal(trained, unknown)
    for other in (
        local(network, past, action),
        local(make(action_dropout=0.0), past, action, training=True),
    ):
        assert np.all(np.any(abs(other - unknown) > 0.01, axis=(1, 2, 3)))


@pytest.mark.parametrize("options", [{}, VECTORS])
def test_rate_of_withholding(options):
    """2000 draws at 0.3: 600 withheld, with a deviation of 20.5.

    Off by more than 6 deviations with a probability of 2e-9, for other seeds.
    """
    network = make(action_dropout=0.3, **options)
    past = np.zeros([2000, P, 1, 1], np.int32)
    action = np.full([2000], 3)
    if network.action_size:
        action = np.ones([2000, 3], np.float32)
    unknown, known = local(network, past), local(network, past, action)
    assert np.all(np.any(abs(known - unknown) > 0.01, axis=-1))
    counts, withheld = [], []
    for _ in range(2):
        trained = local(network, past, action, training=True)
        # An example has its action, or the unknown one: nothing between.
        near = [
            np.all(abs(trained - x) < 1e-5, (1, 2, 3)) for x in (unknown, known)
        ]
        assert np.all(near[0] ^ near[1])
        counts.append(near[0].sum())
        withheld.append(near[0])
    assert max(abs(np.array(counts) - 600)) < 123, counts
    assert np.any(withheld[0] != withheld[1])  # another draw at each call
    again = make(action_dropout=0.3, **options)
    trained = local(again, past, action, training=True)
    near = np.all(abs(trained - unknown) < 1e-5, axis=(1, 2, 3))
    np.testing.assert_array_equal(near, withheld[0])  # the seed's own


# Graphs, precision, saving ----------------------------------------------------


@pytest.mark.parametrize("options", [{}, VECTORS, NO_ACTIONS])
def test_unknown_sizes(options):
    network, context = make(**options), {"past": maps()}
    spec = {"past": tf.TensorSpec([None] * 4, tf.int32)}
    if network.action_size:
        context["action"] = np.eye(3, dtype=np.float32)
        spec["action"] = tf.TensorSpec([None, 3])
    elif network.num_actions:
        context["action"] = np.array([4, 0, 2])
        spec["action"] = tf.TensorSpec([None], tf.int64)
    graph = tf.function(lambda c: network(c)["local"], input_signature=[spec])
    expected = network(context)["local"]
    np.testing.assert_allclose(graph(context), expected, 1e-5, 1e-6)
    compiled = tf.function(lambda c: network(c)["local"], jit_compile=True)
    np.testing.assert_allclose(compiled(context), expected, 1e-5, 1e-5)
    wide = {**context, "past": maps(grid=(7, 3))}
    assert graph(wide).shape == (3, 7, 3, CHANNELS)
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph({**context, "past": maps(past=3)})


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("by_default", [True, False])
def test_policies(policy, by_default):
    reference = make()
    expected = local(reference, maps(), np.array([4, 0, 2]))
    if by_default:
        keras.config.set_dtype_policy(policy)
    network = make() if by_default else make(dtype=policy)
    network.set_weights(reference.get_weights())
    narrow = "float16" if policy == "mixed_float16" else "bfloat16"
    result = network({"past": maps(), "action": np.array([4, 0, 2])})["local"]
    assert result.dtype == narrow
    result = tf.cast(result, tf.float32)
    # Numbers of up to 5, with 8 bits (bfloat16).
    np.testing.assert_allclose(result, expected, atol=0.2)
    for variable in network.trainable_variables:
        stored = "bfloat16" if policy == "bfloat16" else "float32"
        assert variable.dtype == stored, variable.path


@pytest.mark.parametrize("options", [{}, VECTORS, NO_ACTIONS])
def test_serialisation(options):
    network = make(residual_channels=4, action_dropout=0.2, **options)
    copy = assert_config_round_trip(network)
    if not copy.built:
        copy.build()
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(local(copy, maps()), local(network, maps()))
    assert copy.get_config()["action_dropout"] == 0.2


def test_number_of_parameters():
    network = PastFrames(512, 6, num_actions=9)
    network.build()
    expected = 512 * 32  # embedding
    expected += 25 * (6 * 32 + 2) * 128 + 128  # of six maps and coordinates
    expected += 4 * (9 * 128 * 128 + 128 + 128 * 128 + 128)
    expected += (9 + 1) * 4 * 128 + 4 * 128  # of the action
    trainable = sum(np.prod(v.shape) for v in network.trainable_variables)
    assert trainable == expected


# What is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: local(make(), maps(past=3)),
            r"shape \[batch, 2, height, width\].*shape \(3, 3, 4, 5\)",
        ),
        (lambda: local(make(), maps()[:, 0]), r"shape \(3, 4, 5\)"),
        (
            lambda: local(make(), maps() + 1),
            r"in 0..7. Received: codes in 1..8",
        ),
        (
            lambda: local(make(), maps(), np.array([0, 5, 1])),
            r"in 0..4. Received: actions in 0..5",
        ),
        (
            lambda: local(make(), maps(), np.array([0, -1, 1])),
            r"in 0..4. Received: actions in -1..1",
        ),
        (
            lambda: local(make(), maps(), np.array([0.0, 1.0, 2.0])),
            r"in 0..4. Received: actions of dtype float64",
        ),
        (
            lambda: local(make(), maps(), np.zeros([3, 1], np.int32)),
            r"integers \[batch\], one for each clip.*shape \(3, 1\)",
        ),
        (
            lambda: local(make(**VECTORS), maps(), np.array([0, 1, 2])),
            r"Actions are \[batch, 3\].*shape \(3,\)",
        ),
        (
            lambda: local(make(**VECTORS), maps(), np.zeros([3, 2])),
            r"Actions are \[batch, 3\].*shape \(3, 2\)",
        ),
        (
            lambda: local(make(**NO_ACTIONS), maps(), np.array([0, 1, 2])),
            "made without actions.* Received: a context with an action",
        ),
        (
            lambda: make(num_actions=5, action_size=3),
            "Received: num_actions=5, action_size=3",
        ),
        (lambda: PastFrames(0, 2), "num_embeddings must be .* Received: 0"),
        (
            lambda: local(make(SIZES), maps()),
            r"shape \[batch, 2, height, width, 2\].*shape \(3, 2, 4, 5\)",
        ),
        (
            lambda: local(make(SIZES), several_maps() + [0, 1]),
            r"codebook 1 must be in 0..2. Received: codes in 1..3",
        ),
        (lambda: PastFrames([8, 0], 2), "num_embeddings must be .* 0"),
        (lambda: PastFrames([], 2), "num_embeddings must .* Received: "),
        (lambda: PastFrames(8, 0), "num_past must be .* Received: 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
