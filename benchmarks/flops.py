"""Floating-point operations: a graph's convolutions, a machine's best."""

import math

import tensorflow as tf
import timing

# The input whose shape is that of the convolution's output, and the kernel's
# shape: of an input or of the output.
_KERNELS = {
    "Conv2D": lambda op: (op.outputs[0], op.inputs[1]),
    "Conv2DBackpropInput": lambda op: (op.inputs[2], op.inputs[1]),
    "Conv2DBackpropFilter": lambda op: (op.inputs[2], op.outputs[0]),
}


def convolution_flops(function) -> int:
    """Counts the operations of the 2-D convolutions of a graph.

    Each of a convolution, its gradient to the input and that to the kernel is
    2 * (entries of the output) * (entries of a kernel for one channel of it);
    only those are counted that the graph has. A transposed convolution is the
    gradient of a convolution to its input.

    Args:
        function: a concrete `tf.function` of known shapes.

    Returns:
        the number of multiplications and additions.

    Raises:
        ValueError: where a shape is not known.
    """
    total = 0
    for op in function.graph.get_operations():
        if op.type not in _KERNELS:
            continue
        output, kernel = (tensor.shape for tensor in _KERNELS[op.type](op))
        if not (output.is_fully_defined() and kernel.is_fully_defined()):
            raise ValueError(
                "The sizes of all convolutions must be known. Received: "
                f"{op.name} with output {output} and kernel {kernel}. Trace "
                "the function with inputs of fixed shape."
            )
        total += 2 * math.prod(output) * math.prod(kernel[:3])
    return total


def gemm(dtype, size=2048):
    """Returns a function that multiplies two square matrices, and its flops.

    Args:
        dtype: of the matrices.
        size: of their sides.
    """
    matrix = tf.cast(tf.random.normal([size, size]), dtype)
    product = tf.function(lambda matrix: tf.linalg.matmul(matrix, matrix)[0, 0])
    return lambda: product(matrix).numpy(), 2 * size**3


def gemm_gflops(dtype, runs=7) -> float:
    """Returns the best speed of matrix products here, in GFLOP/s."""
    product, flops = gemm(dtype)
    return flops / min(timing.paired({"gemm": product}, runs)["gemm"]) / 1e9
