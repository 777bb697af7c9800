"""Listing the files below a folder, reading each folder once."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

from absl import logging

_warned = set()  # skipped links: folders are walked more than once


def list_files(
    folder: str, extensions: tuple[str, ...], seen: set[str] | None = None
) -> list[str]:
    """Returns the relative paths of the files below `folder`, sorted.

    Links to folders are followed, but every folder is read once: by the path
    with the fewest links, ties broken by name. A link to one of its own
    parents is skipped, so that a split never includes the others. Hidden
    files and folders are ignored.

    Args:
        folder: where to look.
        extensions: file extensions in lower case, compared without case.
        seen: real paths of folders that were already read; extended in place.
            None (default) starts with none.

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
                _warn_of_skipped(path, start)
            else:
                links += _walk(start, name, above, extensions, seen, found)
        waiting = sorted(links)
    return sorted(found)


def in_threads(function: Callable, items: Sequence, chunk: int) -> Iterator:
    """Yields `function(item)` for each item in order, using all cores.

    At most `chunk` results exist at a time, which bounds the memory.
    """
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), chunk):
            yield from pool.map(function, items[start : start + chunk])


def natural_key(path: str | os.PathLike) -> tuple:
    """Returns a key that sorts paths by the numbers in their names.

    For files in a temporal order, such as frames. Data sets keep the plain
    order of paths, which training batches depend on.

    Example:

    >>> sorted(["b/1.png", "a10.png", "a9.png", "a09.png"], key=natural_key)
    ['a09.png', 'a9.png', 'a10.png', 'b/1.png']
    """
    path = os.fspath(path)
    parts = [
        # Text at even and numbers at odd indices, so that types match.
        [int(s) if i % 2 else s for i, s in enumerate(re.split("([0-9]+)", p))]
        for p in path.split(os.sep)
    ]
    return parts, path


def _walk(start, name, above, extensions, seen, found):
    """Adds the files below a folder to `found`; returns its links to folders.

    Args:
        start: real path of the folder.
        name: its path relative to the folder that was asked for.
        above: real paths of the folders whose links led here.
        extensions, seen: as in `list_files`.
        found: list of relative paths, extended in place.

    Returns:
        (name, path, above) of each link to a folder.
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
    """Whether the real path `outer` equals `inner` or is a parent of it."""
    return inner == outer or inner.startswith(os.path.join(outer, ""))


def _warn_of_skipped(link, target):
    if link not in _warned:
        _warned.add(link)
        logging.warning(
            "Skipped %s: it links to %s, which was already read or contains "
            "the link.",
            link,
            target,
        )


def _refuse(error):
    raise ValueError(
        f"The folder cannot be read ({error.strerror}). Grant permission to "
        "read it, or choose a folder that holds only the data. "
        f"Received: {error.filename!r}."
    ) from error
