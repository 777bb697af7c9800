"""Arrays that are kept in memory if all of them fit."""

import numpy as np


class Kept:
    """Collects arrays up to a total size; beyond it, keeps none.

    Args:
        bound: largest total size in bytes.

    Example:

    >>> kept = Kept(bound=3)
    >>> kept.add(np.zeros(2, np.uint8))
    >>> len(kept.arrays)
    1
    >>> kept.add(np.zeros(2, np.uint8))
    >>> kept.arrays is None
    True
    """

    def __init__(self, bound: float):
        self._bound, self._size, self._arrays = bound, 0, []

    def add(self, array: np.ndarray) -> None:
        self._size += array.nbytes
        if self._size <= self._bound:
            self._arrays.append(array)
        else:
            self._arrays.clear()

    @property
    def arrays(self) -> list[np.ndarray] | None:
        """All arrays that were added, or None if they exceed the bound."""
        return self._arrays if self._size <= self._bound else None
