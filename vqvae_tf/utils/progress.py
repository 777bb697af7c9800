"""Progress bars, and Keras' verbosity."""

import sys
from collections.abc import Iterable


def bar(items: Iterable, shown: bool = True, unit: str = "batches") -> Iterable:
    """Returns items with a progress bar, which appears after one second.

    Args:
        items: what to iterate over.
        shown: whether to show a bar if stderr is a terminal (default True).
        unit: name of the items in the plural.

    Example:

    >>> list(bar(range(3), shown=False))
    [0, 1, 2]
    """
    if not shown:
        return items
    from tqdm import tqdm

    # disable=None: disabled unless stderr is a terminal.
    return tqdm(items, unit=f" {unit}", leave=False, delay=1, disable=None)


def verbosity(chief: bool = True) -> int:
    """Returns Keras' `verbose`: 1, a bar, on a terminal; 2, lines, elsewhere.

    Args:
        chief: whether this process reports for all workers (default True);
            others get 0, silence.
    """
    if not chief:
        return 0
    return 1 if sys.stdout.isatty() else 2
