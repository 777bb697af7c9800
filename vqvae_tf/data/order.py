"""Order of the examples: a function of the seed and the step alone."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.utils.checks import check_positive


def epoch_order(
    num_examples: int, seed: int, epoch: int | tf.Tensor
) -> tf.Tensor:
    """Returns the int64 [num_examples] permutation of one epoch."""
    bits = tf.random.stateless_uniform(
        [num_examples],
        seed=tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)]),
        minval=None,
        maxval=None,
        dtype=tf.int64,
        alg="philox",
    )
    return tf.cast(tf.argsort(bits, stable=True), tf.int64)


def step_noise(
    shape: Sequence[int], seed: int, step: int | tf.Tensor
) -> tf.Tensor:
    """Returns float32 uniforms in [0, 1) for the augmentation of one step."""
    # Negative, so that no step shares its seed with an epoch.
    stream = -1 - tf.cast(step, tf.int64)
    return tf.random.stateless_uniform(
        shape,
        seed=tf.stack([tf.constant(seed, tf.int64), stream]),
        alg="philox",
    )


def training_order(
    num_examples: int, batch_size: int, seed: int, skip_steps: int = 0
) -> tf.data.Dataset:
    """Endless batches of example indices, epoch after epoch.

    The permutations of epochs 0, 1, ... are concatenated and cut into
    batches: each example appears once per epoch, every batch is full, and a
    source smaller than a batch is repeated within it.

    Args:
        num_examples: size of the source, n.
        batch_size: indices per step, B.
        seed: 64-bit integer; determines the order.
        skip_steps: number of the first step (default 0); skipping costs at
            most one permutation and reads no data.

    Returns:
        Dataset of (step int64 [], indices int64 [B]).
    """
    check_order(batch_size, seed, skip_steps)
    first = skip_steps * batch_size
    epochs = tf.data.Dataset.counter(first // num_examples, dtype=tf.int64)
    indices = epochs.flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(
            epoch_order(num_examples, seed, epoch)
        )
    )
    indices = indices.skip(first % num_examples)
    indices = indices.batch(batch_size, drop_remainder=True)
    steps = tf.data.Dataset.counter(skip_steps, dtype=tf.int64)
    return tf.data.Dataset.zip(steps, indices).apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    )


def training_rows(
    num_examples: int,
    batch_size: int,
    seed: int = 0,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
    noise: tuple[int, ...] | None = None,
) -> tf.data.Dataset:
    """Returns one worker's rows of the batches of `training_order`.

    Args:
        num_examples, batch_size, seed, skip_steps: as in `training_order`.
        part: as in `own_rows`.
        noise: shape of each example's uniform noise, () for a scalar; None
            (default) for no noise.

    Returns:
        Dataset of indices int64 [B / count]; with `noise` of (indices,
        float32 [B / count, *noise]).
    """
    steps = training_order(num_examples, batch_size, seed, skip_steps)
    rows = own_rows(batch_size, part)

    def own(step, index):
        if noise is None:
            return index[rows]
        # Drawn for the global batch, so that a row's noise does not depend on
        # how many workers share it.
        drawn = step_noise([batch_size, *noise], seed, step)
        return index[rows], drawn[rows]

    return steps.map(own)


def own_rows(batch_size: int, part: tuple[int, int]) -> slice:
    """Returns the slice of each global batch that one worker reads.

    Args:
        batch_size: global batch size, B.
        part: (index, count): number of the worker and how many there are.

    Raises:
        ValueError: if the batch cannot be split evenly.
    """
    index, count = part
    if batch_size % count or not 0 <= index < count:
        raise ValueError(
            "part must be a worker's (index, count) with 0 <= index < count, "
            "and count must divide batch_size. "
            f"Received: part={part}, batch_size={batch_size}."
        )
    size = batch_size // count
    return slice(index * size, (index + 1) * size)


def evaluation_order(num_examples: int, batch_size: int) -> tf.data.Dataset:
    """Batches that give each example weight 1 exactly once.

    The last batch is padded with its own rows at weight 0.

    Returns:
        Dataset of (indices int64 [B], sample_weight float32 [B]).
    """
    check_order(batch_size)
    steps = -(-num_examples // batch_size)
    rows = tf.range(batch_size, dtype=tf.int64)

    def batch(step):
        start = step * batch_size
        count = tf.minimum(num_examples - start, batch_size)
        return start + rows % count, tf.cast(rows < count, tf.float32)

    return tf.data.Dataset.range(steps).map(batch)


def check_order(batch_size: int, seed: int = 0, skip_steps: int = 0) -> None:
    """Raises ValueError for a bad batch size, seed or first step."""
    integers = (int, np.integer)
    batch_size = check_positive("batch_size", batch_size)
    if not isinstance(seed, integers) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be a 64-bit integer. Received: {seed!r}.")
    if not isinstance(skip_steps, integers) or skip_steps < 0:
        raise ValueError(
            "skip_steps must be an integer of at least 0. "
            f"Received: {skip_steps!r}."
        )
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            "batch_size is the global batch and must be divisible by the "
            f"{replicas} replicas of the strategy. Received: {batch_size}."
        )
