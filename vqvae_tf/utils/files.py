"""Writing files so that nobody ever sees half of one."""

import contextlib
import os

import numpy as np

from vqvae_tf.utils import scratch
from vqvae_tf.utils.paths import resolve


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike, sync: bool = True):
    """Gives a temporary name to write to, and renames the file when done.

    A link is followed: what it points to is replaced. What a killed process
    has left of earlier writing to the same folder is removed.

    Args:
        path: the file to make or replace; its folder is made if needed.
        sync: whether the file is flushed to the disk before it gets its
            name, so that even a power failure leaves the old one or the new.
            It costs some milliseconds, too much for many small files.

    Yields:
        The temporary path, a string: the same name on the same file system.
        On an error it is removed, and an existing file stays as it was.

    Raises:
        OSError: if it cannot be written.
        ValueError: if path exists and is not a file.

    Example:

    >>> with write_atomically("out.txt") as name, open(name, "w") as file:
    ...     _ = file.write("done")
    """
    path = resolve(path)
    if path.exists() and not path.is_file():
        raise ValueError(
            "A file can be written to a new name, or replace a file. "
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


def remove_leftovers(path: str | os.PathLike):
    """Removes what killed writers left of a file and its neighbours."""
    scratch.remove_leftovers(resolve(path).parent)


def sync_tree(folder: str | os.PathLike):
    """Flushes all files below a folder, and their names, to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(os.path.join(parent, name))
        sync_folder(parent)


def sync_folder(folder: str | os.PathLike):
    """Flushes the names in a folder to the disk, where that is possible."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_npz(path: str | os.PathLike, **arrays: np.ndarray):
    """Writes arrays to a compressed npz file, atomically."""
    with write_atomically(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)
