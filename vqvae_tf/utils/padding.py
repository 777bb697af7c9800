"""Sequences or codebooks of different sizes in one array."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def pad(
    sequences: Sequence[np.ndarray], multiple: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Pads sequences with zeros to one array.

    Args:
        sequences: arrays `[time, ...]` that differ only in `time`; at least
            one.
        multiple: the length is rounded up to a multiple of this (default 1).

    Returns:
        The array `[n, T, ...]`, and the mask, float32 `[n, T]`, 1 for values
        and 0 for padding.

    Example:

    >>> values, mask = pad([np.array([1, 2, 3]), np.array([4])])
    >>> values.tolist(), mask.tolist()
    ([[1, 2, 3], [4, 0, 0]], [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    """
    first = np.asarray(sequences[0])
    longest = max(len(sequence) for sequence in sequences)
    size = math.ceil(longest / multiple) * multiple
    values = np.zeros([len(sequences), size, *first.shape[1:]], first.dtype)
    mask = np.zeros([len(sequences), size], np.float32)
    for row, sequence in enumerate(sequences):
        values[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return values, mask


def pad_last(values: tf.Tensor, size: int, fill: float = 0.0) -> tf.Tensor:
    """Pads the last axis, of known size, to `size` entries.

    Args:
        values: `[..., n]`, n of at most `size`.
        size: of the result's last axis.
        fill: value of the new entries (default 0).

    Returns:
        `[..., size]`; `values` itself if nothing is missing.

    Example:

    >>> pad_last(tf.constant([[1.0, 2.0]]), 4, fill=-1.0).numpy()
    array([[ 1.,  2., -1., -1.]], dtype=float32)
    """
    missing = size - values.shape[-1]
    if not missing:
        return values
    ends = [[0, 0]] * (len(values.shape) - 1) + [[0, missing]]
    return tf.pad(values, ends, constant_values=fill)
