"""Convolutions by rank."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.layers.convolution import (
    Conv2DTranspose,
    convolution,
    transposed_convolution,
)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_classes_and_sizes(rank):
    layer = convolution(rank, 5, 4, strides=2)
    assert type(layer) is getattr(keras.layers, f"Conv{rank}D")
    inputs = (2, *[7] * rank, 3)
    assert layer.compute_output_shape(inputs) == (2, *[4] * rank, 5)
    layer = transposed_convolution(rank, 5, 4, strides=2)
    assert isinstance(layer, getattr(keras.layers, f"Conv{rank}DTranspose"))
    assert tuple(layer.compute_output_shape(inputs)) == (2, *[14] * rank, 5)


@pytest.mark.parametrize("make", [convolution, transposed_convolution])
@pytest.mark.parametrize("rank", [0, 4, "2"])
def test_other_ranks(make, rank):
    with pytest.raises(ValueError, match=f"Received: rank={rank!r}"):
        make(rank, 5, 4)


@pytest.mark.parametrize(
    "filters, kernel_size, strides, rank, own",
    [
        (3, 4, 2, 2, True),
        (8, 4, 2, 2, True),
        (9, 4, 2, 2, False),
        (3, 3, 2, 2, False),
        (3, 4, 1, 2, False),
        (3, 4, 2, 1, False),
        (3, 4, 2, 3, False),
    ],
)
def test_few_channels_are_doubled_in_a_way_of_our_own(
    filters, kernel_size, strides, rank, own
):
    layer = transposed_convolution(rank, filters, kernel_size, strides=strides)
    assert isinstance(layer, Conv2DTranspose) == own


def pair(**kwargs):
    """Our layer and Keras', with the same weights, of 6 channels."""
    ours = Conv2DTranspose(3, **kwargs)
    keras_own = keras.layers.Conv2DTranspose(
        3, 4, strides=2, padding="same", **kwargs
    )
    for layer in (ours, keras_own):
        layer.build([None, None, None, 6])
    if ours.use_bias:
        ours.bias.assign([0.1, -0.2, 0.3])
    keras_own.set_weights(ours.get_weights())
    return ours, keras_own


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8)])
@pytest.mark.parametrize(
    "kwargs", [{}, {"use_bias": False}, {"activation": "tanh"}]
)
def test_doubling_has_keras_results_and_gradients(size, kwargs):
    x = tf.random.stateless_normal([2, *size, 6], [1, 2])
    weights = tf.random.stateless_normal(
        [2, 2 * size[0], 2 * size[1], 3], [3, 4]
    )
    outputs, gradients = [], []
    for layer in pair(**kwargs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs.append(layer(x))
            loss = tf.reduce_sum(outputs[-1] * weights)
        variables = [v.value for v in layer.trainable_variables]
        gradients.append(tape.gradient(loss, [x, *variables]))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)
    assert len(gradients[0]) == 3 - (not kwargs.get("use_bias", True))
    for ours, theirs in zip(*gradients):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_doubling_with_unknown_sizes_and_with_xla():
    ours, theirs = pair()
    x = tf.random.stateless_normal([2, 5, 4, 6], [1, 2])
    spec = tf.TensorSpec([None, None, None, 6])
    for graph in (
        tf.function(ours, input_signature=[spec]),
        tf.function(ours, jit_compile=True),
    ):
        np.testing.assert_allclose(graph(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_doubling_in_half_precision(policy):
    ours, theirs = pair(dtype=policy)
    x = tf.random.stateless_normal([2, 5, 4, 6], [1, 2])
    y = ours(x)
    assert y.dtype == ours.compute_dtype
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), tf.cast(theirs(x), tf.float32), atol=0.02
    )


def test_doubling_comes_back_from_its_config():
    layer = Conv2DTranspose(3, activation="relu", name="up")
    again = Conv2DTranspose.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.filters, again.kernel_size, again.name) == (3, (4, 4), "up")
    with pytest.raises(TypeError, match="kernel_size"):
        Conv2DTranspose(3, kernel_size=3)


def test_doubling_reads_the_weights_of_keras_layer(tmp_path):
    def model(layer):
        # In a list, as a decoder's: such are named by their class.
        return keras.Sequential([keras.Input((None, None, 6)), layer])

    ours, theirs = (model(layer) for layer in pair())
    theirs.layers[0].kernel.assign(0.5 * theirs.layers[0].kernel)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    x = tf.random.stateless_normal([2, 5, 4, 6], [1, 2])
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
