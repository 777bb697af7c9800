"""Batches for training and evaluation, reproducible from (seed, step).

Batches are `x`, `(x, context)` or `(x, context, sample_weight)`, where x keeps
its stored values. `batch_size` is the global batch. Every batch is full, and
`tf.distribute` strategies shard the datasets by data (auto-shard policy DATA):
if the number of replicas divides the batch size, which is checked inside a
strategy's scope, no replica gets an empty shard.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf.data import order
from vqvae_tf.data.source import Source
from vqvae_tf.utils.checks import check_labels, check_positive

# Options of a parallel map that preserves the order.
PARALLEL = dict(num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def array_batches(
    values: np.ndarray | dict[str, np.ndarray],
    batch_size: int,
    seed: int = 0,
    context: dict[str, np.ndarray] | None = None,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
    weight: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Endless shuffled batches of arrays in memory, such as code maps.

    Shuffled and resumed as in `training_batches`.

    Args:
        values: an array [n, ...], or a dict of such arrays.
        batch_size: global batch size, B.
        seed: 64-bit integer (default 0); determines the order.
        context: dict of arrays [n, ...], for instance {"global":
            one_hot(labels, num_classes)}; None (default) for no context.
        skip_steps, part: as in `training_batches`.
        weight: sample weights or masks of positions, [n] or [n, ...]; None
            (default) for no weights.

    Returns:
        An infinite dataset of x [B, ...]; of (x, context) if `context` is
        given; of (x, context, weight) if `weight` is given, where a missing
        context is {}. float64 becomes float32; other dtypes are kept.

    Raises:
        ValueError: no rows, or arrays of different lengths.

    Example:

    >>> codes = np.zeros([10, 8, 8], np.int32)
    >>> next(iter(array_batches(codes, batch_size=4))).shape.as_list()
    [4, 8, 8]
    """
    given = {} if weight is None else {"weight": weight}
    count, (values, extra) = as_tensors(
        values, {"context": context or {}, **given}
    )
    indices = order.training_rows(count, batch_size, seed, skip_steps, part)

    def batch(index):
        x, found = gather((values, extra), index)
        if weight is not None:
            return x, found["context"], found["weight"]
        return x if context is None else (x, found["context"])

    return pipeline_options(indices.map(batch))


def array_evaluation_batches(
    values: np.ndarray | dict[str, np.ndarray],
    batch_size: int,
    context: dict[str, np.ndarray] | None = None,
) -> tf.data.Dataset:
    """Batches of arrays in memory that hold every row exactly once, in order.

    Args:
        values, batch_size, context: as in `array_batches`.

    Returns:
        A finite dataset of (x, context, sample_weight), padded as in
        `evaluation_batches`; a missing context is {}.

    Raises:
        ValueError: no rows, or arrays of different lengths.

    Example:

    >>> codes = np.zeros([10, 8, 8], np.int32)
    >>> len(array_evaluation_batches(codes, batch_size=4))
    3
    """
    rows, arrays = as_tensors(values, context)
    indices = order.evaluation_order(rows, batch_size)
    return pipeline_options(
        indices.map(lambda index, weight: (*gather(arrays, index), weight))
    )


def one_hot(labels: Sequence[int] | np.ndarray, num_classes: int) -> np.ndarray:
    """Returns one-hot vectors, float32 [n, num_classes], of labels [n].

    Raises:
        ValueError: labels are not integers [n] in [0, num_classes).

    Example:

    >>> one_hot([2, 0], num_classes=3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    num_classes = check_positive("num_classes", num_classes)
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "labels must be integers [n]. Received: "
            f"{labels.dtype} of shape {labels.shape}."
        )
    labels = check_labels("labels", labels, num_classes)
    return np.eye(num_classes, dtype=np.float32)[labels]


def as_tensors(
    values: np.ndarray | dict[str, np.ndarray], context: dict | None
) -> tuple[int, tuple]:
    """Returns the number of rows, and (values, context) as CPU tensors."""

    def convert(array):
        array = np.asarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        with tf.device("CPU:0"):
            return tf.constant(array)

    arrays = tf.nest.map_structure(convert, (values, context or {}))
    shapes = [tuple(array.shape) for array in tf.nest.flatten(arrays)]
    rows = {shape[:1] for shape in shapes}
    if len(rows) != 1 or rows & {(), (0,)}:
        raise ValueError(
            "values and context must be arrays with the same number of rows, "
            f"at least one. Received: shapes {shapes}."
        )
    return shapes[0][0], arrays


def gather(arrays: Any, index: tf.Tensor) -> Any:
    """Returns the rows `index` of each tensor of a nested structure."""
    return tf.nest.map_structure(lambda a: tf.gather(a, index), arrays)


def pipeline_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Makes batches deterministic, prefetched and sharded by data.

    Without tf.data's autotuning: an iterator that ends may wait for the tuner's
    thread, up to as long as it has run, and a minute at most. The maps are as
    parallel without it, and the prefetched batches as many.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def finite(
    batches: tf.data.Dataset, source: Source, batch_size: int
) -> tf.data.Dataset:
    """Sets the number of evaluation batches, and `pipeline_options`."""
    steps = -(-source.num_examples // batch_size)
    return pipeline_options(
        batches.apply(tf.data.experimental.assert_cardinality(steps))
    )


def tell_if_few(source: Source, batch_size: int) -> None:
    """Logs a warning if a source is smaller than a batch."""
    if source.num_examples < batch_size:
        logging.warning(
            "%s holds %d %ss, fewer than a batch of %d: they are repeated "
            "within each batch.",
            source.name,
            source.num_examples,
            source.unit,
            batch_size,
        )
