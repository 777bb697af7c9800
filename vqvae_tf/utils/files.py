"""Atomic writing of files."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from vqvae_tf.utils import scratch
from vqvae_tf.utils.paths import resolve


@contextlib.contextmanager
def write_atomically(
    path: str | os.PathLike, sync: bool = True
) -> Iterator[str]:
    """Yields a temporary path to write to, and renames the file at the end.

    The temporary path has the same name and is on the same file system. After
    an error it is removed, and an existing file is unchanged. A link is
    followed: its target is replaced. Leftovers of killed processes in the same
    folder are removed.

    Args:
        path: file to create or replace; its folder is created if needed.
        sync: whether to flush the file to the disk before renaming it (default
            True), so that even a power failure leaves the old or the new file.
            This takes some milliseconds, too long for many small files.

    Raises:
        OSError: the file cannot be written.
        ValueError: `path` exists and is not a file.

    Example:

    >>> with write_atomically("out.txt") as name, open(name, "w") as file:
    ...     _ = file.write("done")
    """
    path = resolve(path)
    if path.exists() and not path.is_file():
        raise ValueError(
            "A file can be written only to a new path, or replace a file. "
            f"Received: {path}, which is something else."
        )
    with scratch.scratch(path.parent) as folder:
        temporary = folder / "new" / path.name
        temporary.parent.mkdir()
        yield str(temporary)
        if sync:
            _sync(temporary)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)


def remove_leftovers(path: str | os.PathLike) -> None:
    """Removes leftovers of killed writers from the folder of a file."""
    scratch.remove_leftovers(resolve(path).parent)


def sync_tree(folder: str | os.PathLike) -> None:
    """Flushes all files below a folder, and their names, to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(os.path.join(parent, name))
        sync_folder(parent)


def sync_folder(folder: str | os.PathLike) -> None:
    """Flushes the names in a folder to the disk if the system can."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_npz(path: str | os.PathLike, **arrays: np.ndarray) -> None:
    """Writes arrays to a compressed npz file, atomically."""
    with write_atomically(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
