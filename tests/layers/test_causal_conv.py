"""Causality of the padded and cropped convolutions, by gradient."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import processors
from vqvae_tf.layers.causal_conv import (
    CausalConv1D,
    DownRightConv2D,
    VerticalConv2D,
)

HEIGHT, WIDTH = 8, 8


def sees(layer, shape):
    """Returns bool [positions, positions]: output t depends on input s."""
    inputs = tf.constant(np.random.default_rng(0).normal(size=shape), "float32")
    layer(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.reshape(tf.reduce_sum(layer(inputs), -1), [-1])
    jacobian = tape.jacobian(outputs, inputs)
    positions = int(np.prod(shape[:-1]))
    jacobian = np.reshape(jacobian, [positions, positions, shape[-1]])
    assert np.all(np.isfinite(jacobian))
    some, every = np.any(jacobian, axis=-1), np.all(jacobian, axis=-1)
    np.testing.assert_array_equal(some, every)  # all channels are alike
    return some


def offsets(shape):
    """Returns the coordinates of outputs and inputs, [positions, 1 or n]."""
    coordinates = np.stack(np.indices(shape)).reshape(len(shape), -1)
    return coordinates[:, :, None], coordinates[:, None, :]


@pytest.mark.parametrize("include_current", [True, False])
@pytest.mark.parametrize("kernel_size, dilation", [(1, 1), (2, 1), (3, 2)])
def test_causal_conv_1d_sees_exactly_its_taps(
    kernel_size, dilation, include_current
):
    layer = CausalConv1D(
        5, kernel_size, dilation, include_current=include_current
    )
    (t,), (s,) = offsets([12])
    lag = t - s - (not include_current)
    expected = (lag >= 0) & (lag % dilation == 0)
    expected &= lag < kernel_size * dilation
    np.testing.assert_array_equal(sees(layer, [1, 12, 3]), expected)


@pytest.mark.parametrize("include_current", [True, False])
def test_horizontal_layer_sees_exactly_the_columns_to_the_left(include_current):
    layer = CausalConv1D(5, 3, include_current=include_current)
    (r, c), (r0, c0) = offsets([HEIGHT, WIDTH])
    lag = c - c0 - (not include_current)
    expected = (r == r0) & (lag >= 0) & (lag < 3)
    result = sees(layer, [1, HEIGHT, WIDTH, 3])
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("include_current", [True, False])
def test_vertical_layer_sees_exactly_the_rows_above(include_current):
    layer = VerticalConv2D(5, (2, 5), include_current=include_current)
    (r, c), (r0, c0) = offsets([HEIGHT, WIDTH])
    lag = r - r0 - (not include_current)
    expected = (lag >= 0) & (lag < 2) & (abs(c - c0) <= 2)
    result = sees(layer, [1, HEIGHT, WIDTH, 3])
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("include_current", [True, False])
def test_vertical_layer_equals_a_masked_convolution(include_current):
    layer = VerticalConv2D(6, (3, 5), include_current=include_current)
    x = np.random.default_rng(0).normal(size=[2, 7, 6, 4]).astype("float32")
    result = layer(x)
    masked = np.zeros([7, 5, 4, 6], np.float32)  # centre: row 3
    first = 1 if include_current else 0
    masked[first : first + 3] = layer.kernel.numpy()
    expected = tf.nn.conv2d(x, masked, 1, "SAME")
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_down_right_layer_sees_exactly_what_is_above_and_to_the_left():
    layer = DownRightConv2D(5, (2, 3))
    (r, c), (r0, c0) = offsets([HEIGHT, WIDTH])
    expected = (r >= r0) & (r - r0 < 2) & (c >= c0) & (c - c0 < 3)
    result = sees(layer, [1, HEIGHT, WIDTH, 3])
    np.testing.assert_array_equal(result, expected)


def test_down_right_layer_equals_a_masked_convolution():
    layer = DownRightConv2D(6, (2, 3))
    x = np.random.default_rng(0).normal(size=[2, 7, 6, 4]).astype("float32")
    result = layer(x)
    masked = np.zeros([3, 5, 4, 6], np.float32)  # its centre is (1, 2)
    masked[:2, :3] = layer.kernel.numpy()
    expected = tf.nn.conv2d(x, masked, 1, "SAME")
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_causal_conv_1d_equals_numpy():
    layer = CausalConv1D(2, 3, dilation_rate=2)
    x = np.random.default_rng(0).normal(size=[2, 9, 4]).astype("float32")
    result = layer(x)
    layer.bias.assign([1.0, -1.0])
    kernel, bias = layer.kernel.numpy(), np.array([1.0, -1.0])
    padded = np.pad(x, [[0, 0], [4, 0], [0, 0]])
    expected = sum(padded[:, 2 * i : 2 * i + 9] @ kernel[i] for i in range(3))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(layer(x), expected + bias, atol=1e-5)


def sums_over_taps(x, kernel, rate, dy):
    """Returns a dilated convolution and its gradients, in float64."""
    size, time = len(kernel), dy.shape[1]
    taps = [slice(i * rate, i * rate + time) for i in range(size)]
    y = sum(x[:, tap] @ kernel[i] for i, tap in enumerate(taps))
    dx = np.zeros_like(x)
    for i, tap in enumerate(taps):
        dx[:, tap] += dy @ kernel[i].T
    dkernel = [np.einsum("btc,btf->cf", x[:, tap], dy) for tap in taps]
    return y, dx, np.stack(dkernel)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("size, rate", [(2, 2), (3, 5)])
def test_dilated_convolution_has_its_gradients(size, rate, jit):
    layer = CausalConv1D(6, size, rate, use_bias=False)
    layer.build([None, None, 4])

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, n]) for n in (4, 6)],
        jit_compile=jit,
    )
    def run(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        sources = [x, layer.kernel.value]
        return y, *tape.gradient(y, sources, output_gradients=dy)

    kernel, rng = layer.kernel.numpy(), np.random.default_rng(0)
    for time in (1, 7, 10):
        x = rng.normal(size=[2, time, 4]).astype("float32")
        dy = rng.normal(size=[2, time, 6]).astype("float32")
        y, dx, dkernel = run(x, dy)
        padded = np.pad(x, [[0, 0], [(size - 1) * rate, 0], [0, 0]])
        built_in = tf.nn.conv1d(padded, kernel, 1, "VALID", dilations=rate)
        np.testing.assert_allclose(y, built_in, atol=1e-5)
        exact = (padded.astype("float64"), kernel.astype("float64"))
        expected = sums_over_taps(*exact, rate, dy)
        np.testing.assert_allclose(y, expected[0], atol=1e-5)
        np.testing.assert_allclose(dx, expected[1][:, -time:], atol=1e-5)
        np.testing.assert_allclose(dkernel, expected[2], atol=1e-5)


def test_dilated_convolution_has_second_gradients():
    layer = CausalConv1D(2, 2, 3)
    layer.build([None, None, 2])
    x = tf.constant(np.random.default_rng(0).normal(size=[1, 6, 2]), "float32")
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(layer(x) ** 2)
        dx = inner.gradient(y, x)
    # Of a quadratic form: its gradient is linear, and so is half of it again.
    np.testing.assert_allclose(
        outer.gradient(dx, x, output_gradients=x), dx, atol=1e-5
    )


_TRAINED_DILATED = """
import json
import keras
import numpy as np
import tensorflow as tf
from vqvae_tf.layers.causal_conv import CausalConv1D

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
for policy in ("float32", "mixed_bfloat16"):
    layer = CausalConv1D(8, 2, 4, dtype=policy)
    x = tf.constant(rng.normal(size=[2, 15, 4]), layer.compute_dtype)
    layer(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(layer(x), "float32")
        loss = tf.reduce_sum(y**2)
    found = [y, *tape.gradient(loss, [x, layer.kernel.value])]
    print(json.dumps([np.ravel(tf.cast(v, "float32")).tolist() for v in found]))
"""


def test_dilated_convolution_trains_without_onednn():
    off, on = (
        processors.run_python("-c", _TRAINED_DILATED, onednn=onednn)
        for onednn in processors.ONEDNN
    )
    tolerances = (1e-5, 0.1)  # of float32 and bfloat16
    for *lines, tolerance in zip(off.split("\n"), on.split("\n"), tolerances):
        for a, b in zip(*map(json.loads, lines)):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_valid_gives_the_last_rows_and_columns():
    x = np.random.default_rng(0).normal(size=[2, 7, 6, 4]).astype("float32")
    vertical = VerticalConv2D(3, (2, 3))
    expected = vertical(x)[:, 1:]
    np.testing.assert_allclose(vertical.valid(x), expected, atol=1e-6)
    horizontal = CausalConv1D(3, 2)
    expected = horizontal(x)[:, :, 1:]
    np.testing.assert_allclose(horizontal.valid(x), expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "layer_class, kernel_size", [(CausalConv1D, 2), (VerticalConv2D, (2, 3))]
)
def test_one_row_unknown_sizes_xla_and_config(layer_class, kernel_size, policy):
    layer = layer_class(5, kernel_size, include_current=False, dtype=policy)
    x = np.random.default_rng(0).normal(size=[2, 1, 1, 4]).astype("float32")
    # The first position sees nothing but padding.
    np.testing.assert_array_equal(tf.cast(layer(x), "float32"), 0)
    assert layer(x).dtype == layer.compute_dtype
    x = np.random.default_rng(0).normal(size=[2, 4, 5, 4]).astype("float32")
    expected = tf.cast(layer(x), tf.float32)
    signature = [tf.TensorSpec([None, None, None, 4])]
    for jit in (False, True):
        graph = tf.function(layer, signature, jit_compile=jit)
        result = tf.cast(graph(x), tf.float32)
        tolerance = 1e-6 if policy == "float32" else 2e-2
        np.testing.assert_allclose(result, expected, atol=tolerance)
    copy = layer_class.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert layer(keras.KerasTensor((None, 4, 5, 4))).shape == (None, 4, 5, 5)


def test_no_weight_is_masked_or_state():
    layer = VerticalConv2D(5, (1, 3), include_current=False, use_bias=False)
    layer.build([None, None, None, 4])
    assert [v.shape for v in layer.variables] == [(1, 3, 4, 5)]
    assert len(layer.trainable_variables) == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: CausalConv1D(0, 2), "filters must be a positive"),
        (lambda: CausalConv1D(4, 0), "kernel_size must be a positive"),
        (lambda: CausalConv1D(4, 2, 0), "dilation_rate must be a positive"),
        (lambda: VerticalConv2D(4, (0, 3)), "kernel_size must be a positive"),
        (lambda: VerticalConv2D(4, (2, 4)), "must be an odd integer"),
        (
            lambda: CausalConv1D(4, 2).build([None, None, None]),
            "number of input channels",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "Received: " in str(error.value)
