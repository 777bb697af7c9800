"""Brings a coarse context to a finer grid."""

from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.layers.convolution import convolution, transposed_convolution


@keras.saving.register_keras_serializable("vqvae_tf")
class LocalUpsampling(Configured):
    """Upsamples a coarse local context to a density's grid.

    One transposed convolution for each prime factor p of `factor`, of stride
    p and window 2p, each followed by the activation. Convolutions of window 3
    on the coarse grid may come first; they are not causal, as the context need
    not be.

    Args:
        factor: ratio of grid to context size, the same on every axis.
        channels: of the output.
        input_channels: of the context.
        rank: the number of grid axes.
        num_layers: convolutions on the coarse grid, with a residual connection
            from the second on.
        activation: a Keras activation; "relu" by default, None for none.

    Call arguments:
        inputs: float `[batch, *sizes, input_channels]`.

    Returns:
        `[batch, *sizes * factor, channels]`.

    Example:

    >>> LocalUpsampling(4, 16, input_channels=8)(tf.zeros([1, 8, 8, 8])).shape
    TensorShape([1, 32, 32, 16])
    """

    def __init__(
        self,
        factor: int,
        channels: int,
        input_channels: int,
        rank: int = 2,
        num_layers: int = 0,
        activation: str | None = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.channels = channels
        self.input_channels = input_channels
        self.rank = rank
        self.num_layers = num_layers
        self.activation = activation
        options = {"activation": activation, "dtype": self.dtype_policy}
        self.around = [
            convolution(rank, channels, 3, name=f"around_{i}", **options)
            for i in range(num_layers)
        ]
        self.stages = [
            transposed_convolution(
                rank,
                channels,
                2 * prime,
                strides=prime,
                name=f"stage_{i}",
                **options,
            )
            for i, prime in enumerate(_prime_factors(factor))
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        grid = (None,) * (self.rank + 1)
        channels = self.input_channels
        for stage in (*self.around, *self.stages):
            stage.build((*grid, channels))
            channels = self.channels
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        for i, around in enumerate(self.around):
            inputs = inputs + around(inputs) if i else around(inputs)
        for stage in self.stages:
            inputs = stage(inputs)
        return inputs


def _prime_factors(number):
    factors, prime = [], 2
    while number > 1:
        while number % prime == 0:
            factors.append(prime)
            number //= prime
        prime += 1
    return factors
