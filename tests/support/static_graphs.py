"""What a compiled graph may hold, to run where sizes are static."""

import functools

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import kernels

# XLA on CPUs and GPUs compiles these, but their results have other sizes for
# other values, which a TPU refuses or pads.
DYNAMIC = {
    *("Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2"),
    *("DynamicPartition", "DynamicStitch", "ListDiff", "SetDiff1D"),
}
HOST = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}
# Not compiled: arguments, captures and their like.
STRUCTURE = {"Placeholder"}


def graphs(graph):
    """Yields a graph, and those of its loops, branches and calls."""
    todo, seen = [graph], set()
    while todo:
        graph = todo.pop()
        if id(graph) in seen:
            continue
        seen.add(id(graph))
        yield graph
        for operation in graph.get_operations():
            for value in operation.node_def.attr.values():
                names = [f.name for f in [value.func, *value.list.func]]
                todo += [graph._get_function(n).graph for n in names if n]


def operations(concrete):
    for graph in graphs(concrete.graph):
        yield from graph.get_operations()


@functools.cache
def is_compiled(kind):
    """Whether XLA has the operation on a CPU and on another device."""
    found = kernels.get_registered_kernels_for_op(kind).kernel
    devices = {kernel.device_type for kernel in found}
    return {"XLA_CPU_JIT", "XLA_GPU_JIT"} <= devices


def unknown_sizes(operation):
    # Loops' conditions are given all variables, and look at one.
    if "redundant_placeholder" in operation.name:
        return []
    return [
        f"{output.name} of {operation.type}: {output.shape}"
        for output in operation.outputs
        if output.dtype not in (tf.resource, tf.variant)
        and not output.shape.is_fully_defined()
    ]


def faults(concrete):
    """Returns what keeps a function from a TPU, in words."""
    found, devices = [], set()
    for operation in operations(concrete):
        kind, name = operation.type, operation.name
        if (
            kind in HOST
            or "_xla_outside_compilation" in operation.node_def.attr
        ):
            found.append(f"{name} of {kind} calls the host")
        elif kind in DYNAMIC:
            found.append(f"{name} of {kind} has no static shape")
        elif kind not in STRUCTURE and not is_compiled(kind):
            found.append(f"{name} of {kind} has no kernel")
        found += unknown_sizes(operation)
        devices.add(operation.device)
    if len(devices - {""}) > 1:
        found.append(f"more than one device: {devices}")
    return found


def check_compiled(function, *args, rtol=1e-4):
    """Compiles a function, compares it with graph mode, inspects its graph.

    Args:
        function: of tensors whose sizes are known.
        *args: the tensors.
        rtol: between floats; all else is the same bit for bit.

    Returns:
        What it returned under XLA.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)
    results = compiled(*args)
    expected = tf.function(function, autograph=False)(*args)
    for new, old in zip(tf.nest.flatten(results), tf.nest.flatten(expected)):
        assert new.dtype == old.dtype and new.shape == old.shape
        if new.dtype.is_floating:
            np.testing.assert_allclose(new, old, rtol)
        else:
            np.testing.assert_array_equal(new, old)
    assert faults(compiled.get_concrete_function(*args)) == []
    return results
