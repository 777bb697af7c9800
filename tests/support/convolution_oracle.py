"""A convolution over time in NumPy, for several files of tests."""

import numpy as np


def convolved(x, kernel, bias, rate=1):
    """A ReLU of a convolution of window 3, zeros around; `[time, channels]`."""
    padded = np.pad(x, [[rate, rate], [0, 0]])
    rows = [
        np.einsum("kc,kco->o", padded[t : t + 2 * rate + 1 : rate], kernel)
        for t in range(len(x))
    ]
    return np.maximum(np.array(rows) + bias, 0)
