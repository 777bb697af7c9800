"""Samples a density of codes, a position at a time, in one graph."""

from collections.abc import Callable, Sequence
from typing import Protocol

import keras
import tensorflow as tf

from vqvae_tf.densities.autoregressive.attention_steps import BLOCK
from vqvae_tf.densities.autoregressive.loops import LoopHead, loop, put
from vqvae_tf.runtime.compilation import is_compiled


class Steps(Protocol):
    """A causal network that keeps what later positions need.

    What is kept are two nests of tensors: `settled`, of earlier blocks of
    `BLOCK` positions, whose second axis may grow with each block unless XLA
    compiles the loop; and a `state`, which changes at every position and keeps
    its shapes.
    """

    def settled(self) -> list:
        """Returns what is settled before the first position."""
        return []

    def empty(self) -> list:
        """Returns the state before the first position."""

    def features(
        self, settled: list, state: list, t: tf.Tensor
    ) -> tuple[tf.Tensor, list]:
        """Returns the features at position t, `[batch, channels]`, and what
        `finish` needs of them and of the state."""

    def finish(self, pending: list, t: tf.Tensor, newest: tf.Tensor) -> list:
        """Returns the state after position t.

        Args:
            pending: from `features`.
            t: the position, int32 scalar, row by row.
            newest: the sum of its codes' embeddings, `[batch, channels]`.
        """

    def settle(self, settled: list, state: list, t: tf.Tensor) -> list:
        """Returns what is settled after the block that begins at t."""
        return settled


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

    def visit_block(first, settled, state, found):
        def visit(t, state, found):
            features, pending = steps.features(settled, state, t)
            codes, logits, newest = head.choose(
                features, table, lambda x, g: choose(x, t, g)
            )
            found = put(found, t, logits if record else codes)
            return t + 1, steps.finish(pending, t, newest), found

        end = tf.minimum(first + BLOCK, positions)
        _, state, found = loop(end, visit, [first, state, found])
        return first + BLOCK, steps.settle(settled, state, first), state, found

    start = [tf.constant(0), steps.settled(), steps.empty(), found]
    shapes = tf.nest.map_structure(lambda v: v.shape, start)
    if not is_compiled():
        shapes[1] = tf.nest.map_structure(_growing, shapes[1])
    found = loop(positions, visit_block, start, shapes)[-1]
    rest = found.shape[2:]
    found = tf.transpose(found, [1, 0, *range(2, len(found.shape))])
    return tf.reshape(found, [num_samples, height, width, *rest])


def _growing(shape):
    """Returns a shape whose second axis is not known."""
    return tf.TensorShape([shape[0], None, *shape[2:]])
