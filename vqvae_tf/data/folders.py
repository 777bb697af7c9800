"""The files in and below a folder, each folder read once."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

from absl import logging

_told = set()  # links that were left out; folders are walked several times


def list_files(
    folder: str, extensions: tuple[str, ...], seen: set[str] | None = None
) -> list[str]:
    """Returns the relative paths of the files below `folder`, sorted.

    Links to folders are followed, but every folder is read once: under the
    path with the fewest links, and of such the first. A link to a folder that
    contains it is left out, so that a split never holds the others. Hidden
    files and folders are ignored.

    Args:
        folder: where to look.
        extensions: endings in lower case; files may have them in capitals.
        seen: the real paths of folders that were read before; those that are
            read now are added.

    Raises:
        ValueError: a folder cannot be read.
    """
    seen, found = set() if seen is None else seen, []
    waiting = [("", folder, [])]
    while waiting:
        links = []
        for name, path, above in waiting:
            start = os.path.realpath(path)
            if start in seen or any(_contains(start, a) for a in above):
                _tell(path, start)
            else:
                links += _walk(start, name, above, extensions, seen, found)
        waiting = sorted(links)
    return sorted(found)


def in_threads(function: Callable, items: Sequence, chunk: int) -> Iterator:
    """Yields `function(item)` for each of a list, working on all cores.

    At most `chunk` results are there at a time, which bounds the memory.
    """
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), chunk):
            yield from pool.map(function, items[start : start + chunk])


def natural_key(path: str | os.PathLike) -> tuple:
    """Returns a key that sorts paths by the numbers in their names.

    For files that follow each other in time. Where the order means nothing,
    that of the plain paths stays: batches of training are a function of it.

    Args:
        path: a string or a `os.PathLike`.

    Example:

    >>> sorted(["b/1.png", "a10.png", "a9.png", "a09.png"], key=natural_key)
    ['a09.png', 'a9.png', 'a10.png', 'b/1.png']
    """
    path = os.fspath(path)
    parts = [
        # Words at even places and numbers at odd ones, which compare.
        [int(s) if i % 2 else s for i, s in enumerate(re.split("([0-9]+)", p))]
        for p in path.split(os.sep)
    ]
    return parts, path


def _walk(start, name, above, extensions, seen, found):
    """Adds the files below a real folder; returns the links to folders.

    Args:
        start: its real path.
        name: its path inside the folder that was asked for.
        above: the real folders of the links that led here.
        extensions, seen: as in `list_files`.
        found: the list to add to.

    Returns:
        For each link its name, path, and the real folders that led to it.
    """
    links = []
    for parent, folders, files in os.walk(start, onerror=_refuse):
        if parent in seen:
            folders.clear()
            continue
        seen.add(parent)
        inside = os.path.relpath(parent, start)
        inside = os.path.normpath(os.path.join(name, inside))
        inside = "" if inside == os.curdir else inside
        for file in files:
            if file.lower().endswith(extensions) and file[0] != ".":
                found.append(os.path.join(inside, file))
        folders[:] = sorted(f for f in folders if f[0] != ".")
        for link in folders:
            path = os.path.join(parent, link)
            if os.path.islink(path):  # os.walk does not follow these
                link = os.path.join(inside, link)
                links.append((link, path, [*above, parent]))
    return links


def _contains(outer, inner):
    """Whether a real path is another one, or above it."""
    return inner == outer or inner.startswith(os.path.join(outer, ""))


def _tell(link, target):
    if link not in _told:
        _told.add(link)
        logging.warning(
            "Left out %s: it leads to %s, which is read already or contains "
            "it.",
            link,
            target,
        )


def _refuse(error):
    raise ValueError(
        f"The folder cannot be read ({error.strerror}). Give leave to read "
        "it, or name a folder that holds the data alone. "
        f"Received: {error.filename!r}."
    ) from error
