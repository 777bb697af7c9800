"""One process at a time in a folder."""

import contextlib
import os
import pathlib
import threading

from absl import logging

from vqvae_tf.utils.file_locks import try_lock
from vqvae_tf.utils.paths import resolve

# The lock file is empty, and removed when the process is done.
LOCK = ".lock"
# What this process holds: (folder, for what, thread).
_HELD = set()


class FolderInUse(ValueError):
    """A folder that another process is working in."""


@contextlib.contextmanager
def locked(
    folder: str | os.PathLike,
    doing: str,
    remedy: str = "choose another folder",
):
    """Keeps other processes out of a folder, until the block or process ends.

    Nested blocks of the same thread and purpose enter freely. A folder that is
    made for the lock is removed again if it stays empty.

    Args:
        folder: made if needed.
        doing: what is done there, for the message.
        remedy: what to do besides waiting.

    Raises:
        FolderInUse: if another process holds it.
        OSError: if the folder cannot be made or written to.
    """
    folder = resolve(folder)
    held = (folder, doing, threading.get_ident())
    if held in _HELD:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"A folder is needed, and {folder} is a file: {remedy}."
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
            with contextlib.suppress(OSError):  # something is in it now
                folder.rmdir()


@contextlib.contextmanager
def _lock(path, doing, remedy):
    if path.exists() and path.stat().st_size:
        raise ValueError(
            f"{path} is no lock of this package. Move it away, or {remedy}."
        )
    with open(path, "a") as file:  # to write, which NFS asks for
        held = try_lock(file)
        removed = not os.fstat(file.fileno()).st_nlink  # since it was opened
        if held is False or removed:
            raise FolderInUse(
                f"Another process is {doing}. Wait until it ends, or {remedy}."
            )
        if held is None:
            logging.warning(
                "The file system of %s has no locks: see to it that no other "
                "process is %s.",
                path,
                doing,
            )
        try:
            yield
        finally:
            pathlib.Path(path).unlink(missing_ok=True)
