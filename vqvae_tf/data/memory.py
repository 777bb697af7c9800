"""Arrays that are kept in memory, if all of them fit."""

import numpy as np


class Kept:
    """Gathers arrays up to a bound; beyond it, none are kept.

    Args:
        bound: bytes of all arrays, at most.

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
        """All that were added, or None where they do not fit."""
        return self._arrays if self._size <= self._bound else None
