"""Sequences of different lengths in one array."""

import math
from collections.abc import Sequence

import numpy as np


def pad(
    sequences: Sequence, multiple: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Puts sequences into one array.

    Args:
        sequences: arrays `[time, ...]`, alike but for `time`; at least one.
        multiple: the array's length is the next multiple of this.

    Returns:
        The array `[n, T, ...]`, 0 after each end, and the mask, float32
        `[n, T]`, 1 up to there.

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
