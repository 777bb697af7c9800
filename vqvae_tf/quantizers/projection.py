"""Linear maps of each group's channels, to and from a smaller codebook."""

from typing import Any

import keras
import tensorflow as tf


class GroupProjection(keras.layers.Layer):
    """A linear map with a bias for each group of channels, in float32.

    Weights start as those of `keras.layers.Dense`: Glorot's uniform values of
    a single group, and a bias of 0.

    Args:
        groups: G.
        inputs, outputs: channels of a group before and after.
        seed: of the initial values.

    Example:

    >>> project = GroupProjection(groups=2, inputs=16, outputs=4)
    >>> project(tf.zeros([2, 100, 16])).shape
    TensorShape([2, 100, 4])
    """

    def __init__(
        self,
        groups: int,
        inputs: int,
        outputs: int,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.sizes = groups, inputs, outputs
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        groups, inputs, outputs = self.sizes
        limit = (6.0 / (inputs + outputs)) ** 0.5
        self.kernel = self.add_weight(
            name="kernel",
            shape=self.sizes,
            initializer=keras.initializers.RandomUniform(
                -limit, limit, seed=self.seed
            ),
        )
        self.bias = self.add_weight(
            name="bias", shape=(groups, 1, outputs), initializer="zeros"
        )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[G, N, inputs]` to `[G, N, outputs]`."""
        if self.sizes[0] == 1:
            # A plain matrix product is faster than a batched one of size 1.
            x = tf.matmul(tf.squeeze(x, 0), tf.squeeze(self.kernel, 0))
            return x[tf.newaxis] + self.bias
        return tf.matmul(x, self.kernel) + self.bias
