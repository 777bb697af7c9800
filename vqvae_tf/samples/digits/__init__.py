"""Digits under a free licence, for cards and tests.

LICENCES.md in this folder gives origin and licence.
"""

import pathlib

import numpy as np

_FOLDER = pathlib.Path(__file__).resolve().parent


def sample_digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns sixty digits of MNIST's test split, 0 to 9 six times.

    Returns:
        Digits, uint8 `[60, 28, 28, 1]`, white on black, and labels, int64
        `[60]`.

    Example:

    >>> digits, labels = sample_digits()
    >>> digits.shape, labels[:12].tolist()
    ((60, 28, 28, 1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    from PIL import Image

    with Image.open(_FOLDER / "digits.png") as sheet:
        # The file has a column for each class.
        rows = np.array(sheet).reshape(-1, 28, 10, 28)
    digits = rows.transpose(0, 2, 1, 3).reshape(-1, 28, 28, 1)
    return digits, np.arange(len(digits)) % 10
