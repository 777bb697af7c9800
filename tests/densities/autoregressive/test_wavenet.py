"""The WaveNet as a density: causality, log_prob, training, saving."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.densities_harness import dependence
from support.harness import run_density_test, run_two_replica_test
from support.wavenets import KINDS, random_codes, random_context, small
from vqvae_tf.densities.autoregressive.wavenet import WaveNet
from vqvae_tf.densities.autoregressive.wavenet_layer import WaveNetLayer
from vqvae_tf.runtime.adam import Adam

TIME = 24


def numpy_layer(layer, x, h, y):
    """A layer by its definition: sums over positions, in float64."""
    kernel, bias, v, u, r, b = [
        np.asarray(w, np.float64)
        for w in (
            layer.conv.kernel,
            layer.conv.bias,
            layer.of_global.kernel,
            layer.of_local.kernel,
            layer.residual.kernel,
            layer.residual.bias,
        )
    ]
    n, d, channels = layer.kernel_size, layer.dilation_rate, layer.channels
    gates = np.zeros([*x.shape[:2], 2 * channels]) + bias
    for t in range(x.shape[1]):
        for k in range(n):
            if (at := t - (n - 1 - k) * d) >= 0:
                gates[:, t] += x[:, at] @ kernel[k]
        gates[:, t] += h @ v + y[:, t // layer.local_repeat] @ u
    filters, gate = gates[..., :channels], gates[..., channels:]
    z = np.tanh(filters) / (1 + np.exp(-gate))
    return x + z @ r + b, z


@pytest.mark.parametrize(
    "kernel_size, dilation, repeat", [(2, 1, 1), (2, 4, 3), (3, 2, 1)]
)
def test_layer_is_its_equation(kernel_size, dilation, repeat):
    layer = WaveNetLayer(4, kernel_size, dilation, False, 3, 5, repeat)
    layer.build()
    rng = np.random.default_rng(0)
    for v in layer.variables:
        v.assign(rng.normal(size=v.shape))
    shapes = [[2, 12, 4], [2, 3], [2, 12 // repeat, 5]]
    arrays = [rng.normal(size=s).astype(np.float32) for s in shapes]
    for result, expected in zip(layer(*arrays), numpy_layer(layer, *arrays)):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_the_last_layer_has_no_residual_connection():
    layer = WaveNetLayer(4, last=True)
    layer.build()
    assert len(layer.variables) == 2  # those of the convolution
    x = tf.random.normal([2, 9, 4])
    stream, z = layer(x)
    np.testing.assert_array_equal(stream, x)
    assert np.all(z.shape == x.shape) and np.all(z != x)


# Causality, by gradient -------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"num_stacks": 1, "layers_per_stack": 1},
        {"num_stacks": 1, "layers_per_stack": 3},
        {"num_stacks": 2, "layers_per_stack": 3},
        {"num_stacks": 1, "layers_per_stack": 2, "num_codebooks": 3},
        {"num_stacks": 1, "layers_per_stack": 2, "kernel_size": 3},
        {
            "num_stacks": 1,
            "layers_per_stack": 3,
            "output": "logistic_mixture",
            "num_components": 2,
        },
    ],
    ids=str,
)
def test_each_position_sees_exactly_its_receptive_field(config):
    density = small(scale=0.2, **config)
    groups = density.num_codebooks
    codes = random_codes(density, 1).reshape(1, TIME, groups)
    embedded = density.embed(tf.constant(codes))
    weights = np.random.default_rng(0).normal(size=6).astype(np.float32)

    def function(embedded):
        logits = density.of_embedded(embedded)
        return tf.reshape(tf.linalg.matvec(logits, weights), [-1])

    at = np.arange(TIME * groups)
    t, g, t0, g0 = *divmod(at[:, None], groups), *divmod(at[None], groups)
    reach = 1 + config["num_stacks"] * (config.get("kernel_size", 2) - 1) * (
        2 ** config["layers_per_stack"] - 1
    )
    assert density.receptive_field == reach
    expected = (t > t0) & (t - t0 <= reach) | (t == t0) & (g > g0)
    np.testing.assert_array_equal(dependence(function, embedded), expected)


@pytest.mark.parametrize("kind", ["contexts", "repeated context"])
def test_contexts_reach_all_positions(kind):
    density = small(**KINDS[kind], hidden_channels=16)
    weights = np.random.default_rng(0).normal(size=6).astype(np.float32)
    embedded = density.embed(random_codes(density, 1)[..., None])
    context = random_context(density, 1)

    def of(name):
        def function(x):
            logits = density.of_embedded(embedded, {**context, name: x})
            return tf.reshape(tf.linalg.matvec(logits, weights), [-1])

        return dependence(function, context[name])

    if "global" in context:
        assert np.all(of("global"))
    local = of("local")
    assert local.shape == (TIME, TIME // 4)
    assert np.all(local[np.arange(TIME), np.arange(TIME) // 4])
    # Convolutions on the coarse grid see what comes after, too.
    assert np.any(local[0, 1:]) == (density.local_layers > 0)


# The interface ----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "contexts",
        pytest.param("mixture", marks=pytest.mark.slow),
        pytest.param("plain", marks=pytest.mark.slow),
        pytest.param("codebooks", marks=pytest.mark.slow),
    ],
)
def test_harness(kind):
    density = small(**KINDS[kind])
    codes = random_codes(density, 4)
    mask = np.random.default_rng(2).integers(0, 2, [4, TIME]).astype(bool)

    def make(**kwargs):
        return small(**KINDS[kind], **kwargs)

    context = random_context(density, 4)
    shape = codes.shape if context else (1, *codes.shape[1:])
    run_density_test(make, codes, context or None, shape, mask)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["contexts", "mixture"])
def test_two_replicas_train_as_one_device(kind):
    def make():
        density = small(scale=0.1, **KINDS[kind], dropout=0.1)
        density.compile(keras.optimizers.SGD(0.05))
        return density

    density = small(**KINDS[kind])
    batch = (random_codes(density, 4),)
    if context := random_context(density, 4):
        batch = (*batch, context)
    dataset = tf.data.Dataset.from_tensors(batch)
    run_two_replica_test(make, dataset, epochs=2, steps=3)


def test_config_holds_every_argument():
    kinds = ("codebooks", "mixture", "contexts", "repeated context")
    given = {"dropout": 0.1}
    for kind in kinds:
        given |= KINDS[kind]
    del given["num_codebooks"]  # a mixture is of one sample
    density = small(**given)
    config = density.get_config()
    assert given.items() <= config.items()
    code = WaveNet.__init__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    assert set(names) <= set(config)
    copy = WaveNet.from_config(config)
    assert copy.get_config() == config
    for name in names:
        # A layer of Keras has an `output` of its own.
        attribute = "output_kind" if name == "output" else name
        assert getattr(copy, attribute) == config[name]


@pytest.mark.parametrize("length", [1, 3, 40])
def test_any_length(length):
    density = small()
    codes = random_codes(density, 2, length)
    whole = density.logits(random_codes(density, 2, 40)[:, :length])
    assert whole.shape == (2, length, 6)
    first = density.logits(np.pad(codes, [[0, 0], [0, 4]]))[:, :length]
    np.testing.assert_allclose(density.logits(codes), first, atol=1e-5)


# Probabilities ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "mixture", "codebooks"])
def test_probabilities_sum_to_one(kind):
    density = small(num_embeddings=3, **KINDS[kind])
    shape = [2, 3] if kind == "codebooks" else [5]
    every = itertools.product(range(3), repeat=np.prod(shape))
    values = np.array(list(every), np.int32).reshape(-1, *shape)
    log_prob = density.log_prob(values).numpy().astype(np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, atol=1e-5)
    assert np.exp(log_prob).max() > 1.5 / len(values)  # not just uniform


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_the_sum_of_log_softmax_at_the_value(kind):
    density = small(**KINDS[kind])
    codes, context = random_codes(density, 4), random_context(density, 4)
    logits = density.logits(codes, context).numpy().astype(np.float64)
    assert logits.shape == (*codes.shape, 6)
    normalised = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    if kind == "mixture":  # its logits are log masses
        np.testing.assert_allclose(normalised, logits, atol=1e-5)
    terms = np.take_along_axis(normalised, codes[..., None], -1)[..., 0]
    mask = np.random.default_rng(0).integers(0, 2, [4, TIME])
    shaped = mask.reshape(mask.shape + (1,) * (codes.ndim - 2))
    axes = tuple(range(1, codes.ndim))
    log_prob = density.log_prob(codes, context)
    np.testing.assert_allclose(log_prob, terms.sum(axes), rtol=1e-5)
    expected = (terms * shaped).sum(axes)
    for dtype in (bool, np.float32):
        result = density.log_prob(codes, context, mask=mask.astype(dtype))
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_all_variables_get_a_dense_gradient():
    density = small(**KINDS["contexts"], dropout=0.1)
    codes, context = random_codes(density, 2), random_context(density, 2)
    with tf.GradientTape() as tape:
        loss = -density.log_prob(codes, context, training=True)
    variables = density.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        # Keras clips the repeated rows of a sparse gradient one by one.
        assert isinstance(gradient, tf.Tensor), variable.path
        assert np.any(gradient), variable.path
    still = density.log_prob(codes, context)
    assert np.all(density.log_prob(codes, context, training=True) != still)


@pytest.mark.parametrize(
    "kind", ["plain", pytest.param("mixture", marks=pytest.mark.slow)]
)
def test_learns_a_periodic_sequence(kind):
    keras.utils.set_random_seed(0)
    density = small(0.0, num_embeddings=16, **KINDS[kind])
    density.compile(Adam(0.01))
    start = np.random.default_rng(0).integers(0, 8, [32, 1])
    # What follows is known from the code before, where that is not the first.
    codes = ((start + np.arange(TIME)) % 8 * 2).astype(np.int32)
    density.fit(codes, batch_size=8, epochs=25, verbose=0)
    logs = density.evaluate(codes, verbose=0, return_dict=True)
    assert logs["bits_per_dim"] < 0.8  # 3 / 24 at best, 3 without the past
    density.jit_sampling = False
    given = np.zeros([8, TIME], np.int32)
    given[:, 0] = np.arange(8) * 2
    keep = np.arange(TIME)[None] == 0
    drawn = density.sample(
        8, given=given, given_mask=keep, temperature=0.0
    ).numpy()
    expected = (np.arange(8)[:, None] + np.arange(TIME)) % 8 * 2
    assert np.mean(drawn == expected) > 0.95


# Errors -----------------------------------------------------------------------


CODES = np.zeros([2, TIME], np.int32)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: WaveNet(0), "num_embeddings must be a positive"),
        (lambda: WaveNet(4, (8, 8)), r"event_shape is the grid, \(time\)"),
        (lambda: WaveNet(4, num_stacks=0), "num_stacks must be a positive"),
        (lambda: WaveNet(4, kernel_size=1), "kernel_size must be at least 2"),
        (lambda: WaveNet(4, skip_channels=0.5), "skip_channels must be"),
        (lambda: WaveNet(4, dropout=1.0), "dropout must be"),
        (lambda: WaveNet(4, output="normal"), 'output must be "categorical"'),
        (
            lambda: WaveNet(4, num_codebooks=2, output="logistic_mixture"),
            "over the levels of one codebook",
        ),
        (
            lambda: small(local_channels=5, local_upsampling=4, local_repeat=3),
            "must divide local_upsampling. Received: local_repeat=3",
        ),
        (
            lambda: WaveNet(4, local_channels=5, local_layers=0.5),
            "local_layers must be a positive integer",
        ),
        (
            lambda: WaveNet(4, local_upsampling=64),
            "local_upsampling needs local_channels",
        ),
        (
            lambda: small().log_prob(CODES[..., None]),
            r"Codes must have shape \[batch, time\]",
        ),
        (lambda: small().log_prob(CODES + 6), r"Codes must be in 0\.\.5"),
        (
            lambda: small().log_prob(CODES, mask=np.ones([2, TIME, 1])),
            r"mask must have shape \[batch, time\]",
        ),
        (
            lambda: small(**KINDS["contexts"]).log_prob(CODES),
            r"entries \['global', 'local'\]",
        ),
        (
            lambda: small(local_channels=5, local_upsampling=4).log_prob(
                CODES, {"local": np.zeros([2, 5, 5], np.float32)}
            ),
            r"must be on the grid \(24,\) over 4",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)
