"""Graphs that eager calls make once and use again."""

import functools

import tensorflow as tf


class Graphs:
    """The graphs made so far; an object that Keras does not track."""

    def __init__(self):
        self._made = {}

    def get(self, function, *key):
        """Returns `function(*key, ...)` as a graph, made once for each key."""
        if key not in self._made:
            self._made[key] = tf.function(
                functools.partial(function, *key), reduce_retracing=True
            )
        return self._made[key]
