"""Locks of folders, which let one process work there at a time."""

import contextlib
import os
import pathlib
import threading
from collections.abc import Iterator

from absl import logging

from vqvae_tf.utils.file_locks import try_lock
from vqvae_tf.utils.paths import resolve

# An empty file, which is removed at the end.
LOCK = ".lock"
# Locks of this process: (folder, purpose, thread).
_HELD = set()


class FolderInUse(ValueError):
    """Another process is working in the folder."""


@contextlib.contextmanager
def locked(
    folder: str | os.PathLike, doing: str, remedy: str = "choose another folder"
) -> Iterator[None]:
    """Locks a folder until the block or the process ends.

    Nested blocks of the same thread and purpose share the lock. A folder that
    was created for the lock is removed again if it is still empty.

    Args:
        folder: created if needed.
        doing: what is being done there, for the message.
        remedy: what to do other than wait, for the message.

    Raises:
        FolderInUse: another process holds the lock.
        OSError: the folder cannot be created or written to.
    """
    folder = resolve(folder)
    held = (folder, doing, threading.get_ident())
    if held in _HELD:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"A folder is needed, but {folder} is a file: {remedy}."
        )
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(folder / LOCK, f"{doing} {folder}", remedy):
            _HELD.add(held)
            try:
                yield
            finally:
                _HELD.remove(held)
    finally:
        if made:
            with contextlib.suppress(OSError):  # raised unless it is empty
                folder.rmdir()


@contextlib.contextmanager
def _lock(path, doing, remedy):
    if path.exists() and path.stat().st_size:
        raise ValueError(
            f"{path} is not a lock of this package. Move it away, or {remedy}."
        )
    with open(path, "a") as file:  # for writing, which NFS requires
        held = try_lock(file)
        removed = not os.fstat(file.fileno()).st_nlink  # since it was opened
        if held is False or removed:
            raise FolderInUse(
                f"Another process is {doing}. Wait until it ends, or {remedy}."
            )
        if held is None:
            logging.warning(
                "The file system of %s has no locks: make sure that no other "
                "process is %s.",
                path,
                doing,
            )
        try:
            yield
        finally:
            pathlib.Path(path).unlink(missing_ok=True)
