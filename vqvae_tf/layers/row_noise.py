"""Noise that is independent of the number of replicas."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_seed


class RowNoise(Configured):
    """A layer with noise for the rows of the *global* batch.

    The noise of an example depends only on the seed, the number of the call
    and the example's index in the global batch, so any number of replicas
    draws the same. The number of calls is saved with the layer's variables, so
    resumed training continues with the same noise.

    Subclasses with a second base are `class Other(RowNoise, Base)`.

    Args:
        seed: int, at least 0; a random one by default.
        noisy: bool, False for a layer without noise or state.

    Example:

    >>> layer = RowNoise(seed=1)
    >>> noise = layer.uniform([2, 3], layer.next_seed())
    >>> noise.shape
    TensorShape([2, 3])
    >>> again = layer.uniform([1, 3], [1, 0], first_row=1)
    >>> bool(tf.reduce_all(again[0] == noise[1]))
    True
    """

    def __init__(
        self, seed: int | None = None, noisy: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.seed = check_seed(seed, low=0)  # the range Keras allows
        self.seed_generator = None
        if noisy:
            self.seed_generator = keras.random.SeedGenerator(self.seed)

    def next_seed(self) -> tf.Tensor:
        """Returns a new seed for each call, int32 [2]."""
        seed = tf.cast(self.seed_generator.next(), tf.uint32)
        return tf.bitcast(seed, tf.int32)

    def uniform(
        self,
        shape: Sequence[int] | tf.Tensor,
        seed: int | tf.Tensor,
        first_row: int | tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns uniform numbers for this replica's rows.

        Args:
            shape: `[rows, ...]`, integers or an int32 tensor.
            seed: an integer or int32 [2], as returned by `next_seed`.
            first_row: index of the first row; by default that of this
                replica's first row in the global batch.

        Returns:
            float32 of that shape in the open interval (0, 1).
        """
        shape = tf.convert_to_tensor(shape, tf.int32)
        if first_row is None:
            first_row = replicas.first_row(shape[0])
        return random.uniform_rows(shape, random.make_seed(seed), first_row)

    # Keras does not save the state of seed generators.
    def save_own_variables(self, store: MutableMapping) -> None:
        super().save_own_variables(store)
        if self.seed_generator is not None:
            store["drawn"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store: Mapping) -> None:
        saved = {name: store[name] for name in store.keys()}
        drawn = saved.pop("drawn", None)
        super().load_own_variables(saved)
        if self.seed_generator is not None and drawn is not None:
            self.seed_generator.state.assign(drawn)
