"""Keras' convolutions by rank: 1 for waveforms, 2 for images, 3 for clips."""

from typing import Any

import keras
import tensorflow as tf

# With at most this many output channels, Conv2DTranspose below is faster.
_FEW_CHANNELS = 8

_CONVOLUTIONS = {
    1: keras.layers.Conv1D,
    2: keras.layers.Conv2D,
    3: keras.layers.Conv3D,
}
_TRANSPOSED = {
    1: keras.layers.Conv1DTranspose,
    2: keras.layers.Conv2DTranspose,
    3: keras.layers.Conv3DTranspose,
}


def convolution(
    rank: int, filters: int, kernel_size: int, **kwargs: Any
) -> keras.layers.Layer:
    """Returns a `padding="same"` convolution layer over `rank` axes."""
    check_rank(rank)
    return _CONVOLUTIONS[rank](filters, kernel_size, padding="same", **kwargs)


def transposed_convolution(
    rank: int, filters: int, kernel_size: int, **kwargs: Any
) -> keras.layers.Layer:
    """Returns a `padding="same"` transposed convolution over `rank` axes."""
    check_rank(rank)
    doubling = (rank, kernel_size, kwargs.get("strides")) == (2, 4, 2)
    if doubling and filters <= _FEW_CHANNELS:
        del kwargs["strides"]
        return Conv2DTranspose(filters, **kwargs)
    return _TRANSPOSED[rank](filters, kernel_size, padding="same", **kwargs)


# Weight files name layers by class; the name is Keras' so that they fit both.
@keras.saving.register_keras_serializable("vqvae_tf")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """A 4x4 transposed convolution of stride 2, to few channels.

    It has the weights, results and gradients of `keras.layers.Conv2DTranspose`
    with `padding="same"`, but is computed as a 2x2 convolution to the four
    pixels between four inputs: with 3 channels, in half the time on CPU.

    Args:
        filters: int, the number of output channels.
        **kwargs: other arguments of `keras.layers.Conv2DTranspose`, such as
            bias, activation and initializers.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.

    Returns:
        `[batch, 2 * height, 2 * width, filters]`.

    Example:

    >>> layer = Conv2DTranspose(filters=3)
    >>> layer(keras.ops.ones([1, 8, 8, 16])).shape
    TensorShape([1, 16, 16, 3])

    References:
        Shi et al. 2016, arXiv:1609.05158 and arXiv:1609.07009.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(filters, **_FIXED, **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        x = _double(inputs, tf.convert_to_tensor(self.kernel))
        if self.use_bias:
            x = tf.nn.bias_add(x, tf.convert_to_tensor(self.bias))
        return x if self.activation is None else self.activation(x)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {k: v for k, v in config.items() if k not in _FIXED}


# Fixed, so not arguments.
_FIXED = {
    "kernel_size": 4,
    "strides": 2,
    "padding": "same",
    "output_padding": None,
    "data_format": "channels_last",
    "dilation_rate": 1,
}


@tf.custom_gradient
def _double(x, kernel):
    """`[B, H, W, C]` and `[4, 4, F, C]` to `[B, 2 * H, 2 * W, F]`."""
    filters, channels = kernel.shape[2:]
    # Output rows 2i - 1 and 2i depend on inputs i - 1 and i, through rows 2, 3
    # and 0, 1 of the kernel; columns likewise.
    blocks = tf.reshape(kernel, [2, 2, 2, 2, filters, channels])
    blocks = tf.transpose(tf.reverse(blocks, [0, 2]), [0, 2, 5, 1, 3, 4])
    blocks = tf.reshape(blocks, [2, 2, channels, 4 * filters])
    y = tf.nn.conv2d(x, blocks, 1, [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = tf.nn.depth_to_space(y, 2)[:, 1:-1, 1:-1]

    def gradient(dy):
        # Those of the transposed convolution, which are fast enough.
        dx = tf.nn.conv2d(dy, kernel, 2, "SAME")
        dkernel = tf.raw_ops.Conv2DBackpropFilter(
            input=dy,
            filter_sizes=kernel.shape,
            out_backprop=x,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
        return dx, dkernel

    return y, gradient


def check_rank(rank: int) -> None:
    """Raises ValueError unless rank is 1, 2 or 3."""
    if rank not in _CONVOLUTIONS:
        raise ValueError(
            "rank is the number of spatial axes: 1 (waveforms), 2 (images) or "
            f"3 (clips). Received: rank={rank!r}."
        )


def check_axes(rank: int, input_shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless data of this shape have the given rank."""
    if len(input_shape) != rank + 2:
        raise ValueError(
            f"With rank={rank}, inputs must have {rank + 2} axes, [batch, "
            "*sizes, channels]. Received: inputs of shape "
            f"{tuple(input_shape)}."
        )
