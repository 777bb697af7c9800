"""Samples a density of codes, a position at a time, in one graph."""

from collections.abc import Callable, Sequence
from typing import Protocol

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.loops import LoopHead, loop, put


class Steps(Protocol):
    """A causal network that keeps what later positions need.

    A state is a nest of tensors; `features` and `finish` keep its shapes.
    """

    def empty(self) -> list:
        """Returns the state before the first position."""

    def features(self, state: list, t: tf.Tensor) -> tuple[tf.Tensor, list]:
        """Returns the features at position t, `[batch, channels]`, and what
        `finish` needs of them and of the state."""

    def finish(self, pending: list, t: tf.Tensor, newest: tf.Tensor) -> list:
        """Returns the state after position t.

        Args:
            pending: from `features`.
            t: the position, int32 scalar, row by row.
            newest: the sum of its codes' embeddings, `[batch, channels]`.
        """


def run(
    density: keras.Model,
    steps: Steps,
    num_samples: int | tf.Tensor,
    grid: Sequence[int | tf.Tensor],
    choose: Callable[..., tf.Tensor],
    record: bool = False,
) -> tf.Tensor:
    """Visits the grid in raster order and chooses a code at each position.

    Args:
        density: a built `CodeNetwork`, whose embedding and head are used.
        steps: its network between the two.
        num_samples: an integer or int32 scalar tensor.
        grid: (height, width), integers or int32 scalar tensors.
        choose, record: see `CodeDensity.visit`.

    Returns:
        int32 codes `[num_samples, height, width, G]`, or float32 logits
        `[num_samples, height, width, G, K]`.
    """
    groups, size = density.num_codebooks, density.num_embeddings
    dtype = density.compute_dtype
    head = LoopHead(density.head, dtype)
    table = tf.cast(tf.convert_to_tensor(density.embedding.embeddings), dtype)
    height, width = grid
    positions = height * width
    shape = [positions, num_samples, groups]
    found = tf.zeros(shape, tf.int32)
    if record:
        found = tf.zeros([*shape, size], tf.float32)

    def visit(t, state, found):
        features, pending = steps.features(state, t)
        codes, logits, newest = head.choose(
            features, table, lambda x, g: choose(x, t, g)
        )
        found = put(found, t, logits if record else codes)
        return t + 1, steps.finish(pending, t, newest), found

    start = [tf.constant(0), steps.empty(), found]
    found = loop(positions, visit, start)[2]
    rest = found.shape[2:]
    found = tf.transpose(found, [1, 0, *range(2, len(found.shape))])
    return tf.reshape(found, [num_samples, height, width, *rest])
