"""Sequences of different lengths in one array."""

import math
from collections.abc import Sequence

import numpy as np


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
