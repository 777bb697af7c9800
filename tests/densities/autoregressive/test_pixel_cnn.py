"""The gated PixelCNN as a density: causality, log_prob, training, saving."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.densities_harness import (
    dependence,
    perturbed,
    random_codes,
    random_context,
)
from support.harness import check_saving_after_fit
from vqvae_tf.densities.autoregressive.pixel_cnn import PixelCNN
from vqvae_tf.densities.autoregressive.pixel_cnn_layer import GatedLayer
from vqvae_tf.runtime.adam import Adam

SIZE = 8


def small(num_codebooks=1, num_embeddings=5, **kwargs):
    """A small net, with weights and biases larger than at the start."""
    keras.utils.set_random_seed(7)
    config = {
        "event_shape": (SIZE, SIZE),
        "hidden_channels": 8,
        "num_layers": 3,
        "head_channels": 16,
        **kwargs,
    }
    density = PixelCNN(num_embeddings, num_codebooks=num_codebooks, **config)
    return perturbed(density)


# Causality, by gradient -------------------------------------------------------


def positions(num_codebooks=1):
    """Returns row, column and codebook of outputs and of inputs."""
    shape = [SIZE, SIZE, num_codebooks]
    indices = np.stack(np.indices(shape)).reshape(3, -1)
    return indices[:, :, None], indices[:, None, :]


@pytest.mark.parametrize("first", [True, False])
def test_gated_layer_stacks_see_exactly_the_past(first):
    layer = GatedLayer(6, 5, first=first)
    layer.build()
    inputs = np.random.default_rng(0).normal(size=[1, SIZE, SIZE, 6])
    fixed = tf.constant(inputs, tf.float32)
    (r, c, _), (r0, c0, _) = positions()
    above = (r - r0 <= 2) & (r - r0 >= (1 if first else 0))
    above &= abs(c - c0) <= 2
    left = (r == r0) & (c - c0 <= 2) & (c - c0 >= (1 if first else 0))

    def output(index, of_vertical):
        def function(x):
            pair = (x, fixed) if of_vertical else (fixed, x)
            return tf.reshape(tf.reduce_sum(layer(*pair)[index], -1), [-1])

        return function

    for index, of_vertical, expected in [
        (0, True, above),  # vertical from vertical
        (0, False, np.zeros_like(above)),  # never from the horizontal stack
        (1, True, above),  # residual from vertical
        (1, False, left),
        (2, True, above),  # skip from vertical
        (2, False, left),
    ]:
        result = dependence(output(index, of_vertical), inputs)
        np.testing.assert_array_equal(result, expected, str((index, first)))


@pytest.mark.parametrize("num_codebooks", [1, 3])
@pytest.mark.parametrize("num_layers", [1, 3, 5])
def test_net_sees_exactly_the_past_without_blind_spot(
    num_layers, num_codebooks
):
    density = small(num_codebooks, num_layers=num_layers)
    codes = random_codes(density, 1).reshape(1, SIZE, SIZE, num_codebooks)
    embedded = density.embed(tf.constant(codes))
    weights = np.random.default_rng(0).normal(size=5).astype(np.float32)

    def function(embedded):
        logits = density.of_embedded(embedded)
        return tf.reshape(tf.linalg.matvec(logits, weights), [-1])

    (r, c, g), (r0, c0, g0) = positions(num_codebooks)
    reach = 3 + (num_layers - 1)
    expected = (r > r0) & (r - r0 <= reach) & (abs(c - c0) <= reach)
    expected |= (r == r0) & (c > c0) & (c - c0 <= reach)
    expected |= (r == r0) & (c == c0) & (g > g0)
    np.testing.assert_array_equal(dependence(function, embedded), expected)
    if num_layers == 5:  # deep enough for all of the past
        order = (r * SIZE + c) * num_codebooks + g
        order0 = (r0 * SIZE + c0) * num_codebooks + g0
        np.testing.assert_array_equal(expected, order > order0)


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_changing_a_code_changes_only_later_logits(num_codebooks):
    density = small(num_codebooks, num_layers=5)
    codes = random_codes(density, 1)
    flat = np.repeat(codes.reshape(1, -1), codes.size, axis=0)
    at = np.arange(codes.size)
    flat[at, at] = (flat[at, at] + 1) % density.num_embeddings
    before = density.logits(codes).numpy().reshape(codes.size, -1)
    changed = flat.reshape(codes.size, *codes.shape[1:])
    after = density.logits(changed).numpy().reshape(codes.size, codes.size, -1)
    # Different batches may round differently; differences are far larger.
    differs = np.any(abs(after - before) > 1e-5, axis=-1)
    assert not np.any(differs & (at[None, :] <= at[:, None]))
    # The next code always sees the one before it.
    assert np.all(differs[at[:-1], at[1:]])


def test_contexts_reach_all_positions():
    density = small(3, global_channels=4, local_channels=6, hidden_channels=16)
    weights = np.random.default_rng(0).normal(size=5).astype(np.float32)
    embedded = density.embed(random_codes(density, 1))
    context = random_context(density, 1)

    def of(name):
        def function(x):
            logits = density.of_embedded(embedded, {**context, name: x})
            return tf.reshape(tf.linalg.matvec(logits, weights), [-1])

        return dependence(function, context[name])

    assert np.all(of("global"))
    local = of("local").reshape(SIZE * SIZE, 3, SIZE * SIZE)
    (r, c, _), (r0, c0, _) = positions()
    own = (r == r0) & (c == c0)
    assert np.all(local[np.broadcast_to(own[:, None], local.shape)])


def test_all_variables_get_a_gradient():
    density = small(
        3, global_channels=4, local_channels=6, local_upsampling=2, dropout=0.1
    )
    codes, context = random_codes(density, 2), random_context(density, 2)
    with tf.GradientTape() as tape:
        loss = -density.log_prob(codes, context, training=True)
    variables = density.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        # Keras clips the repeated rows of a sparse gradient one by one.
        assert isinstance(gradient, tf.Tensor), variable.path
        assert np.all(np.isfinite(gradient)), variable.path
        assert np.any(gradient), variable.path


# Probabilities ----------------------------------------------------------------


@pytest.mark.parametrize(
    "num_embeddings, num_codebooks, grid",
    [(3, 1, (2, 2)), (3, 1, (1, 3)), (2, 2, (2, 2)), (3, 3, (1, 2))],
)
def test_probabilities_sum_to_one(num_embeddings, num_codebooks, grid):
    density = small(num_codebooks, num_embeddings, global_channels=2)
    shape = [*grid, num_codebooks] if num_codebooks > 1 else grid
    every = itertools.product(range(num_embeddings), repeat=np.prod(shape))
    values = np.array(list(every), np.int32).reshape(-1, *shape)
    context = {"global": tf.tile([[0.3, -1.0]], [len(values), 1])}
    log_prob = density.log_prob(values, context).numpy().astype(np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1, atol=1e-5)
    assert np.exp(log_prob).max() > 1.5 / len(values)  # not just uniform


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_log_prob_is_the_sum_of_log_softmax_at_the_value(num_codebooks):
    density = small(num_codebooks)
    codes = random_codes(density, 4)
    logits = density.logits(codes).numpy().astype(np.float64)
    assert logits.shape == (*codes.shape, 5)
    normalised = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    terms = np.take_along_axis(normalised, codes[..., None], -1)[..., 0]
    axes = tuple(range(1, codes.ndim))
    log_prob = density.log_prob(codes)
    assert log_prob.dtype == tf.float32
    np.testing.assert_allclose(log_prob, terms.sum(axes), rtol=1e-5)
    mask = np.random.default_rng(0).integers(0, 2, [4, SIZE, SIZE])
    shaped = mask.reshape(mask.shape + (1,) * (num_codebooks > 1))
    expected = (terms * shaped).sum(axes)
    for dtype in (bool, np.float32):
        result = density.log_prob(codes, mask=mask.astype(dtype))
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_pixels_as_codes():
    density = small(3, num_embeddings=256)
    pixels = random_codes(density, 2).astype(np.uint8)
    expected = density.log_prob(pixels.astype(np.int32))
    np.testing.assert_array_equal(density.log_prob(pixels), expected)
    floats = pixels.astype(np.float32)
    np.testing.assert_array_equal(density.log_prob(floats), expected)


def test_other_and_unknown_grids_and_graph_modes():
    density = small(3, global_channels=4, local_channels=6, local_upsampling=2)
    grid = (4, 6)
    codes = random_codes(density, 2, grid)
    context = random_context(density, 2, grid)
    expected = density.log_prob(codes, context)
    assert expected.shape == (2,)
    signature = [
        tf.TensorSpec([None, None, None, 3], tf.int32),
        {
            "global": tf.TensorSpec([None, 4]),
            "local": tf.TensorSpec([None, None, None, 6]),
        },
    ]
    for jit in (False, True):
        graph = tf.function(
            density.log_prob, signature, jit_compile=jit, autograph=False
        )
        np.testing.assert_allclose(graph(codes, context), expected, rtol=1e-5)
    graph = tf.function(density.log_prob, signature, autograph=False)
    context["local"] = context["local"][:, :1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not fit"):
        graph(codes, context)


def test_dropout_only_in_training():
    density = small(dropout=0.5)
    codes = random_codes(density, 2)
    still = density.log_prob(codes)
    np.testing.assert_array_equal(density.log_prob(codes), still)
    assert np.all(density.log_prob(codes, training=True) != still)


# Training and saving ----------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        "float32",
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
        pytest.param("mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_fit_lowers_the_loss(policy):
    keras.utils.set_random_seed(0)
    density = PixelCNN(
        6, (4, 4), 2, 16, 2, dropout=0.1, global_channels=3, dtype=policy
    )
    density.compile(Adam(3e-3))
    label = np.arange(48) % 3
    # The codes are a function of label and position: nothing to guess.
    codes = (label[:, None, None] + np.arange(4)[:, None] + np.arange(4)) % 6
    codes = np.stack([codes, 5 - codes], axis=-1).astype(np.int32)
    batches = (codes, {"global": np.eye(3, dtype=np.float32)[label]})
    history = density.fit(*batches, batch_size=16, epochs=12, verbose=0)
    losses = history.history["loss"]
    assert np.all(np.isfinite(losses))
    assert losses[0] < 3 * np.log(6)
    assert losses[-1] < 0.5 * losses[0]
    result = density.evaluate(*batches, verbose=0, return_dict=True)
    expected = -np.mean(density.log_prob(*batches)) / 32 / np.log(2)
    np.testing.assert_allclose(result["bits_per_dim"], expected, rtol=1e-2)
    logits = density.logits(codes, batches[1])
    assert logits.dtype == tf.float32
    sample = density.sample(context=batches[1], temperature=0.0)
    assert np.mean(sample == codes) > 0.9


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_keras_file_round_trip_is_bit_equal(tmp_path, policy):
    density = small(
        3,
        global_channels=4,
        local_channels=6,
        local_upsampling=4,
        dropout=0.1,
        dtype=policy,
        name="prior",
    )
    codes, context = random_codes(density, 2), random_context(density, 2)
    density.save(tmp_path / "prior.keras")
    loaded = keras.saving.load_model(tmp_path / "prior.keras")
    assert loaded.get_config() == density.get_config()
    assert loaded.dtype_policy.name == policy
    expected = density.log_prob(codes, context)
    np.testing.assert_array_equal(loaded.log_prob(codes, context), expected)
    np.testing.assert_array_equal(
        loaded.sample(context=context, seed=1),
        density.sample(context=context, seed=1),
    )


def test_saving_after_fit():
    """A reloaded prior goes on training, with its optimizer's state."""
    made = small(2, global_channels=4)
    fresh = PixelCNN.from_config(made.get_config())
    check_saving_after_fit(
        fresh, random_codes(made, 4), random_context(made, 4)
    )


@pytest.mark.parametrize("form", [np.asarray, tf.data.Dataset.from_tensors])
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda codes: codes + 5, r"Codes must be in 0\.\.4"),
        (lambda codes: codes + 0.5, "Codes must be whole numbers"),
        (lambda codes: codes[:, 0], "Codes must have shape"),
    ],
)
def test_fit_looks_at_the_first_codes(form, change, message):
    density = small()
    density.compile("adam")
    codes = change(random_codes(density, 4))
    with pytest.raises(ValueError, match=message):
        density.fit(form(codes), verbose=0)


def test_weights_load_into_a_density_that_never_saw_data(tmp_path):
    density = small(2, global_channels=4, local_channels=6)
    density.save_weights(tmp_path / "prior.weights.h5")
    fresh = PixelCNN.from_config(density.get_config())
    fresh.build(None)
    assert len(fresh.variables) == len(density.variables)
    fresh.load_weights(tmp_path / "prior.weights.h5")
    for new, old in zip(fresh.variables, density.variables):
        assert new.path == old.path
        np.testing.assert_array_equal(new, old)
    codes, context = random_codes(density, 2), random_context(density, 2)
    fresh.log_prob(codes, context)
    assert len(fresh.variables) == len(density.variables)


def test_config_holds_every_argument():
    config = small(2, global_channels=4, local_channels=6).get_config()
    names = PixelCNN.__init__.__code__.co_varnames
    names = names[1 : PixelCNN.__init__.__code__.co_argcount]
    assert set(names) <= set(config)
    copy = PixelCNN.from_config(config)
    assert copy.get_config() == config
    for name in names:
        assert getattr(copy, name) == config[name]


# Errors -----------------------------------------------------------------------


def conditional():
    return small(global_channels=4, local_channels=6, local_upsampling=2)


GLOBAL = np.zeros([2, 4], np.float32)
LOCAL = np.zeros([2, 4, 4, 6], np.float32)
CODES = np.zeros([2, SIZE, SIZE], np.int32)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: PixelCNN(0), "num_embeddings must be a positive"),
        (lambda: PixelCNN(4, (8,)), "event_shape is the grid"),
        (lambda: PixelCNN(4, (8, 0)), "size of event_shape must be"),
        (lambda: PixelCNN(4, num_layers=0), "num_layers must be a positive"),
        (lambda: PixelCNN(4, kernel_size=2), "kernel_size must be an odd"),
        (
            lambda: PixelCNN(4, first_kernel_size=1),
            "first_kernel_size must be an odd integer of at least 3",
        ),
        (lambda: PixelCNN(4, dropout=1.0), "dropout must be"),
        (
            lambda: PixelCNN(4, local_upsampling=2),
            "local_upsampling needs local_channels",
        ),
        (lambda: PixelCNN(4, global_channels=0), "global_channels must be"),
        (
            lambda: small().log_prob(CODES[..., None]),
            r"Codes must have shape \[batch, height, width\]",
        ),
        (
            lambda: small(3).log_prob(np.zeros([2, SIZE, SIZE, 2], "int32")),
            r"Codes must have shape \[batch, height, width, 3\]",
        ),
        (lambda: small().log_prob(CODES + 5), r"Codes must be in 0\.\.4"),
        (lambda: small().log_prob(CODES - 1), r"Codes must be in 0\.\.4"),
        (lambda: small().log_prob(CODES + 0.5), "must be whole numbers"),
        (
            lambda: small().log_prob(CODES, mask=np.ones([2, SIZE])),
            "mask must have shape",
        ),
        (
            lambda: conditional().log_prob(CODES),
            r"entries \['global', 'local'\]",
        ),
        (
            lambda: conditional().log_prob(CODES, {"global": GLOBAL}),
            r"Received: a context with the entries \['global'\]",
        ),
        (
            lambda: small().log_prob(CODES, {"global": GLOBAL}),
            r"expects a context with the entries \[\]",
        ),
        (
            lambda: conditional().log_prob(
                CODES, {"global": GLOBAL[:, :3], "local": LOCAL}
            ),
            r"must have shape \[batch, 4\]",
        ),
        (
            lambda: conditional().log_prob(
                CODES, {"global": GLOBAL, "local": LOCAL[..., :5]}
            ),
            r"must have shape \[batch, \*grid, 6\]",
        ),
        (
            lambda: conditional().log_prob(
                CODES, {"global": GLOBAL, "local": LOCAL[:, :3]}
            ),
            r"must be on the grid \(8, 8\) over 2",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "Received: " in str(error.value)
