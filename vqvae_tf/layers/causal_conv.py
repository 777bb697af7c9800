"""Causal convolutions, by padding and cropping.

A masked convolution multiplies half of its kernel by zero. Here the kernel
covers only the past, and the input is padded and cropped so that each output
sees exactly the positions it may see. The result equals that of a masked
kernel, for less work (van den Oord et al. 2016, arXiv:1606.05328, section 2.2:
"by cropping and padding").
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.utils.checks import check_odd, check_positive


def gate(x: tf.Tensor) -> tf.Tensor:
    """Returns `tanh(a) * sigmoid(b)` for the halves a, b of the last axis.

    Eq. 2 of arXiv:1606.05328. `[..., 2 * channels]` to `[..., channels]`.
    """
    # On CPUs bfloat16 takes 1.5 times as long, for lack of native functions.
    a, b = tf.split(tf.cast(x, tf.float32), 2, axis=-1)
    return tf.cast(tf.tanh(a) * tf.sigmoid(b), x.dtype)


def _pair(kernel_size):
    if not isinstance(kernel_size, Sequence) or len(kernel_size) != 2:
        raise ValueError(
            "kernel_size must be two integers, (rows, columns). Received: "
            f"kernel_size={kernel_size!r}."
        )
    return kernel_size


class _CausalConv(Configured):
    """The kernel and bias of a causal convolution of any rank."""

    def __init__(
        self, filters: int, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_positive("filters", filters)
        self.use_bias = bool(use_bias)
        self.bias = None

    def _add_weights(self, window, channels):
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} needs a known number of input "
                "channels. Received: inputs whose last axis is None."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*window, channels, self.filters),
            initializer="glorot_uniform",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros"
            )
        self.built = True

    def _weight(self, variable):
        return tf.cast(tf.convert_to_tensor(variable), self.compute_dtype)

    def _add_bias(self, outputs):
        if not self.use_bias:
            return outputs
        return tf.nn.bias_add(outputs, self._weight(self.bias))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)


@keras.saving.register_keras_serializable("vqvae_tf")
class CausalConv1D(_CausalConv):
    """A causal convolution along the last axis but one.

    With `n = kernel_size` and `d = dilation_rate`, output `t` depends on the
    inputs `t - (n-1) d, ..., t - d, t`; without `include_current` on those one
    step earlier, `t-1 - (n-1) d, ..., t-1` (a type A mask). On images, along
    the width, this is the horizontal stack of the gated PixelCNN; on
    waveforms, the dilated convolution of WaveNet.

    Args:
        filters: int, the number of output channels.
        kernel_size: int, the number of inputs of each output.
        dilation_rate: int, the distance between two of them; 1 by default.
        include_current: bool, whether output t sees input t; True by default.
        use_bias: bool, whether a bias is added; True by default.

    Call arguments:
        inputs: float `[batch, *leading, time, channels]`; leading axes, such
            as the rows of an image, are independent.

    Returns:
        `[batch, *leading, time, filters]`.

    Raises:
        ValueError: for sizes that are not positive, or unknown channels.

    Example: sums of the current and the previous step.

    >>> conv = CausalConv1D(filters=1, kernel_size=2)
    >>> conv.build([None, None, 1])
    >>> _ = conv.kernel.assign(tf.ones([2, 1, 1]))
    >>> conv(tf.constant([[[1.], [2.], [3.]]])).numpy().ravel().tolist()
    [1.0, 3.0, 5.0]

    References:
        van den Oord et al. 2016, arXiv:1606.05328, section 2.2 and figure 2.
        van den Oord et al. 2016, arXiv:1609.03499, section 2.1.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation_rate: int = 1,
        include_current: bool = True,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, use_bias, **kwargs)
        self.include_current = bool(include_current)
        self.kernel_size = check_positive("kernel_size", kernel_size)
        self.dilation_rate = check_positive("dilation_rate", dilation_rate)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_weights([self.kernel_size], input_shape[-1])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        reach = (self.kernel_size - 1) * self.dilation_rate
        if not self.include_current:
            inputs, reach = inputs[..., :-1, :], reach + 1
        before = [[0, 0]] * (len(inputs.shape) - 2) + [[reach, 0], [0, 0]]
        return self.valid(tf.pad(inputs, before))

    def valid(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves without padding; returns `(n-1) * d` fewer positions."""
        shape = tf.shape(inputs)
        x = tf.reshape(inputs, [-1, shape[-2], inputs.shape[-1]])
        x = _convolve(x, self._weight(self.kernel), self.dilation_rate)
        leading = tf.concat([shape[:-2], tf.shape(x)[1:]], axis=0)
        outputs = tf.reshape(self._add_bias(x), leading)
        outputs.set_shape([*inputs.shape[:-2], x.shape[1], self.filters])
        return outputs


def _convolve(x, kernel, rate):
    """A dilated `valid` convolution with a gradient for all processors.

    On CPUs only oneDNN has the gradient of TensorFlow's dilated convolution,
    and it is off without AVX512. Here the gradient is that of a convolution
    without dilation: positions `rate` apart, which alone depend on each other,
    become sequences of their own.

    Args:
        x: `[batch, time, channels]`.
        kernel: `[size, channels, filters]` with `(size - 1) * rate < time`.
        rate: the dilation.

    Returns:
        `[batch, time - (size - 1) * rate, filters]`.
    """
    if rate == 1:
        return tf.nn.conv1d(x, kernel, 1, "VALID")

    @tf.custom_gradient
    def convolve(x, kernel):
        y = tf.nn.conv1d(x, kernel, 1, "VALID", dilations=rate)
        return y, lambda dy: _gradients(x, kernel, dy, rate)

    return convolve(x, kernel)


def _gradients(x, kernel, dy, rate):
    """Returns the gradients of `_convolve` to x and kernel, given dy."""
    # dy is shorter by a multiple of the rate, so it has the same padding.
    padding = [[0, -tf.shape(x)[1] % rate]]
    x = tf.space_to_batch(x, [rate], padding)
    dy = tf.space_to_batch(dy, [rate], padding)
    dx = tf.nn.conv1d_transpose(dy, kernel, tf.shape(x), 1, "VALID")
    dkernel = tf.raw_ops.Conv2DBackpropFilter(
        input=x[:, tf.newaxis],
        filter_sizes=[1, *kernel.shape],
        out_backprop=dy[:, tf.newaxis],
        strides=[1, 1, 1, 1],
        padding="VALID",
    )
    return tf.batch_to_space(dx, [rate], padding), dkernel[0]


@keras.saving.register_keras_serializable("vqvae_tf")
class VerticalConv2D(_CausalConv):
    """A convolution of images that is causal in the rows.

    The vertical stack of the gated PixelCNN: with `kernel_size=(n, k)` the
    output in row r, column c depends on the rows `r-n+1, ..., r` (without
    `include_current`: `r-n, ..., r-1`) and the columns `c - k//2, ...,
    c + k//2`. Rows above are known entirely, so no column is masked and there
    is no blind spot.

    Args:
        filters: int, the number of output channels.
        kernel_size: (rows, columns), integers; the number of columns is odd.
        include_current: bool, whether row r sees row r; True by default.
        use_bias: bool, whether a bias is added; True by default.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.

    Returns:
        `[batch, height, width, filters]`.

    Raises:
        ValueError: for sizes that are not positive, an even number of
            columns, or unknown channels.

    Example: sums of each row and the one above.

    >>> conv = VerticalConv2D(filters=1, kernel_size=(2, 1))
    >>> conv.build([None, None, None, 1])
    >>> _ = conv.kernel.assign(tf.ones([2, 1, 1, 1]))
    >>> images = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
    >>> conv(images).numpy().ravel().tolist()
    [0.0, 1.0, 2.0, 4.0]

    References:
        van den Oord et al. 2016, arXiv:1606.05328, section 2.2 and figure 2.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int],
        include_current: bool = True,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, use_bias, **kwargs)
        self.include_current = bool(include_current)
        rows, columns = _pair(kernel_size)
        self.kernel_size = (
            check_positive("kernel_size", rows),
            check_odd("the number of columns of kernel_size", columns),
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_weights(self.kernel_size, input_shape[-1])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        above = self.kernel_size[0] - 1
        if not self.include_current:
            inputs, above = inputs[:, :-1], above + 1
        return self.valid(tf.pad(inputs, [[0, 0], [above, 0], [0, 0], [0, 0]]))

    def valid(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves without padding rows; returns `n - 1` fewer rows."""
        side = self.kernel_size[1] // 2
        x = tf.pad(inputs, [[0, 0], [0, 0], [side, side], [0, 0]])
        kernel = self._weight(self.kernel)
        return self._add_bias(tf.nn.conv2d(x, kernel, 1, "VALID"))


@keras.saving.register_keras_serializable("vqvae_tf")
class DownRightConv2D(_CausalConv):
    """A convolution of images that sees what is above and to the left.

    With `kernel_size=(n, k)` the output in row r, column c depends on the rows
    `r-n+1, ..., r` and the columns `c-k+1, ..., c`. A chain of them sees
    nothing above and to the right of a position, which PixelSNAIL leaves to
    its attention.

    Args:
        filters: int, the number of output channels.
        kernel_size: (rows, columns), integers; by default (2, 2).
        use_bias: bool, whether a bias is added; True by default.

    Call arguments:
        inputs: float `[batch, height, width, channels]`.

    Returns:
        `[batch, height, width, filters]`.

    Raises:
        ValueError: for sizes that are not positive, or unknown channels.

    Example: sums of all that is above and to the left.

    >>> conv = DownRightConv2D(filters=1, kernel_size=(2, 2))
    >>> conv.build([None, None, None, 1])
    >>> _ = conv.kernel.assign(tf.ones([2, 2, 1, 1]))
    >>> images = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
    >>> conv(images).numpy().ravel().tolist()
    [0.0, 1.0, 2.0, 6.0]

    References:
        Salimans et al. 2017, arXiv:1701.05517, section 2.5.
        Chen et al. 2017, arXiv:1712.09763, section 3.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int] = (2, 2),
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, use_bias, **kwargs)
        rows, columns = _pair(kernel_size)
        self.kernel_size = (
            check_positive("the rows of kernel_size", rows),
            check_positive("the columns of kernel_size", columns),
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_weights(self.kernel_size, input_shape[-1])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        rows, columns = self.kernel_size
        before = [[0, 0], [rows - 1, 0], [columns - 1, 0], [0, 0]]
        kernel = self._weight(self.kernel)
        outputs = tf.nn.conv2d(tf.pad(inputs, before), kernel, 1, "VALID")
        return self._add_bias(outputs)
