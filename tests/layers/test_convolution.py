"""Convolutions by rank."""

import keras
import pytest

from vqvae_tf.layers.convolution import convolution, transposed_convolution


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_classes_and_sizes(rank):
    layer = convolution(rank, 5, 4, strides=2)
    assert type(layer) is getattr(keras.layers, f"Conv{rank}D")
    inputs = (2, *[7] * rank, 3)
    assert layer.compute_output_shape(inputs) == (2, *[4] * rank, 5)
    layer = transposed_convolution(rank, 5, 4, strides=2)
    assert type(layer) is getattr(keras.layers, f"Conv{rank}DTranspose")
    assert tuple(layer.compute_output_shape(inputs)) == (2, *[14] * rank, 5)


@pytest.mark.parametrize("make", [convolution, transposed_convolution])
@pytest.mark.parametrize("rank", [0, 4, "2"])
def test_other_ranks(make, rank):
    with pytest.raises(ValueError, match=f"Received: rank={rank!r}"):
        make(rank, 5, 4)
