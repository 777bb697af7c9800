"""Noise of a layer that does not depend on how a batch is split."""

import keras
import tensorflow as tf

from vqvae_tf.runtime import random, replicas
from vqvae_tf.utils.checks import check_seed


class RowNoise(keras.layers.Layer):
    """A layer whose noise belongs to the rows of the *global* batch.

    The noise of an example follows from the seed, the number of the call and
    the example's place among those of all replicas: one replica or many draw
    the same. What was drawn is saved with the layer's variables, so that a
    training that goes on from a file draws what it would have drawn.

    Subclasses that have another base too are `class Other(RowNoise, Base)`.

    Args:
        seed: an integer; a random one by default.
        noisy: False for a layer that draws nothing, and so has no state.

    Example:

    >>> layer = RowNoise(seed=1)
    >>> noise = layer.uniform([2, 3], layer.next_seed())
    >>> noise.shape
    TensorShape([2, 3])
    >>> again = layer.uniform([1, 3], [1, 0], first_row=1)
    >>> bool(tf.reduce_all(again[0] == noise[1]))
    True
    """

    def __init__(self, seed=None, noisy=True, **kwargs):
        super().__init__(**kwargs)
        self.seed = check_seed(seed, low=0)  # as Keras takes them
        self.seed_generator = None
        if noisy:
            self.seed_generator = keras.random.SeedGenerator(self.seed)

    def next_seed(self) -> tf.Tensor:
        """Returns the seed of this call, int32 [2], another at each call."""
        seed = tf.cast(self.seed_generator.next(), tf.uint32)
        return tf.bitcast(seed, tf.int32)

    def uniform(self, shape, seed, first_row=None) -> tf.Tensor:
        """Returns the uniform numbers of this replica's rows.

        Args:
            shape: `[rows, ...]`, integers or an int32 tensor.
            seed: an integer or int32 [2], as of `next_seed`.
            first_row: where the rows stand among all; by default where this
                replica's stand in the global batch.

        Returns:
            float32 of that shape in the open interval (0, 1).
        """
        shape = tf.convert_to_tensor(shape, tf.int32)
        if first_row is None:
            first_row = replicas.first_row(shape[0])
        return random.uniform_rows(shape, random.make_seed(seed), first_row)

    # Keras saves no state of random numbers.
    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.seed_generator is not None:
            store["drawn"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        saved = {name: store[name] for name in store.keys()}
        drawn = saved.pop("drawn", None)
        super().load_own_variables(saved)
        if self.seed_generator is not None and drawn is not None:
            self.seed_generator.state.assign(drawn)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
