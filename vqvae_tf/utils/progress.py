"""Progress bars, and how much Keras says of it."""

import sys
from collections.abc import Iterable


def bar(items: Iterable, shown: bool = True, unit: str = "batches") -> Iterable:
    """Returns items with a progress bar, which appears after a second.

    Args:
        items: what to go through.
        shown: show a bar, where stderr is a terminal.
        unit: what an item is called, in the plural.

    Example:

    >>> list(bar(range(3), shown=False))
    [0, 1, 2]
    """
    if not shown:
        return items
    from tqdm import tqdm

    # disable=None: only where stderr is a terminal.
    return tqdm(items, unit=f" {unit}", leave=False, delay=1, disable=None)


def verbosity(chief: bool = True) -> int:
    """Returns Keras' `verbose`: 1, a bar, on a terminal; 2, lines, elsewhere.

    Args:
        chief: whether this process speaks for all workers; 0 for others.
    """
    if not chief:
        return 0
    return 1 if sys.stdout.isatty() else 2
