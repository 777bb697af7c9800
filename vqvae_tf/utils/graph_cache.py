"""Graphs that eager calls trace once and reuse."""

import collections
import functools
import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import tensorflow as tf


class Graphs:
    """A cache of the last graphs used; not tracked by Keras.

    A graph takes megabytes and seconds. Options that users choose freely must
    therefore be arguments of a graph, not part of its key. For others (such as
    sizes of grids), the least recently used graph is dropped.

    Args:
        most: largest number of graphs that are kept (default 16).

    Example:

    >>> graphs = Graphs(most=2)
    >>> for power in (1, 2, 3):
    ...     graph = graphs.get(lambda power, x: x**power, power)
    >>> float(graph(tf.constant(2.0))), len(graphs)
    (8.0, 2)
    """

    def __init__(self, most: int = 16):
        self.most = most
        self._made = collections.OrderedDict()
        # Servers call a model from several threads.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._made)

    def get(
        self, function: Callable, *arguments: Hashable, kind: Hashable = ()
    ) -> Callable:
        """Returns `function(*arguments, ...)` as a `tf.function`.

        Args:
            function: what is traced; must be the same for equal keys.
            arguments: its first arguments, part of the key.
            kind: rest of the key, for kinds of later arguments that need
                separate graphs.
        """
        key = (arguments, kind)
        # Without AutoGraph, as Keras traces layers: what is called here uses
        # TensorFlow's own loops, and to convert it takes seconds.
        with self._lock:
            if key not in self._made:
                self._made[key] = tf.function(
                    functools.partial(function, *arguments),
                    reduce_retracing=True,
                    autograph=False,
                )
            self._made.move_to_end(key)
            if len(self._made) > self.most:
                self._made.popitem(last=False)
            return self._made[key]


def call(
    graph: tf.types.experimental.PolymorphicFunction,
    arguments: dict[str, Any],
    **free: Iterable[int] | Callable[[tf.Tensor], Iterable[int]],
) -> Any:
    """Calls a graph that is traced once for all sizes of some axes.

    Args:
        graph: a `tf.function` of a dict.
        arguments: the dict, of tensors, dicts of tensors and None.
        free: for names of arguments, the axes whose sizes may differ between
            calls, or a function from a tensor to those axes.
    """
    specs = dict(arguments)
    for name, axes in free.items():
        specs[name] = tf.nest.map_structure(
            functools.partial(_spec, axes), specs[name]
        )
    graph.get_concrete_function(specs)
    return graph(arguments)


def _spec(axes, tensor):
    if tensor is None:
        return None
    axes = axes(tensor) if callable(axes) else axes
    sizes = [None if i in axes else n for i, n in enumerate(tensor.shape)]
    return tf.TensorSpec(sizes, tensor.dtype)
