"""Scratch folders: where files are written before they are moved into place.

    PARENT/.vqvae_tf-UID/XXXXXXXX/   of one writer, which removes it at the end
        lock                         held while the writer lives
        new/NAME                     what it is writing
        old-XXXXXXXX/NAME            what it replaces, see `folders`

They are next to the target, on the same file system, and one level down, so
that leftovers of killed writers are found in one place. Names do not change,
since the longest allowed ones have no room for a suffix.
"""

import contextlib
import os
import pathlib
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator

from absl import logging

from vqvae_tf.utils.file_locks import try_lock, user_number

# Followed by the user's id, since users cannot write to each other's folders.
PREFIX = ".vqvae_tf-"
_LOCK = "lock"
_OLD = "old-"
_ATTEMPTS = 100
# Names that `tempfile.mkdtemp` makes for an empty prefix.
_WRITER = re.compile("[a-z0-9_]{8}")


@contextlib.contextmanager
def scratch(parent: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a new folder to write in, and removes it afterwards.

    Leftovers of killed writers are removed first.

    Args:
        parent: folder of the target, created if needed; the new folder is on
            the same file system.
    """
    parent = pathlib.Path(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        folder, lock = _make(parent)
    except FileNotFoundError as error:  # raised in /proc, for instance
        raise FileNotFoundError(
            f"Cannot write to {parent} ({error.strerror}). Choose another "
            "folder."
        ) from error
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)
        _remove_if_empty(folder.parent)


def remove_leftovers(parent: str | os.PathLike) -> None:
    """Removes leftovers of killed writers from a folder.

    Writers that are alive keep theirs. Targets that were moved away, but not
    replaced, are put back.
    """
    home = _home(parent)
    if not _is_folder(home):
        return
    found = []
    with contextlib.suppress(FileNotFoundError):  # another writer removed it
        found = list(home.iterdir())
    for folder in found:
        if not _is_writers(folder):
            continue
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            # It is being created or removed.
            _remove_if_empty(folder)
            continue
        try:
            if try_lock(lock):
                _put_back(folder, parent)
                _remove(folder)
        finally:
            os.close(lock)
    _remove_if_empty(home)


def is_leftover(path: str | os.PathLike) -> bool:
    """Returns whether a path is a scratch folder that can be removed.

    That is, one of this user's with nothing but a writer's files, and no old
    file or folder that has to be put back.

    Args:
        path: any path, which may disappear at any time.
    """
    path = pathlib.Path(path)
    if path.name != _home(path.parent).name or not _is_folder(path):
        return False
    try:
        return all(
            _is_writers(folder) and not any(folder.glob(f"{_OLD}*/*"))
            for folder in path.iterdir()
        )
    except OSError:
        return False


def _is_writers(folder) -> bool:
    """Returns whether a folder contains only what `scratch` creates."""
    if not _WRITER.fullmatch(folder.name) or not _is_folder(folder):
        return False
    try:
        return all(
            _is_folder(path)
            if path.name == "new" or path.name.startswith(_OLD)
            else path.name == _LOCK and path.is_file()
            for path in folder.iterdir()
        )
    except OSError:
        return False  # it is being removed


def moved_away(path: pathlib.Path) -> pathlib.Path | None:
    """Returns where a writer moved an old file or folder, or None.

    Args:
        path: its original path.
    """
    if not os.path.isdir(path.parent):
        return None
    with contextlib.suppress(OSError):  # scratch folders come and go
        # Of any user, since it will only be read.
        for home in filter(_is_folder, path.parent.glob(f"{PREFIX}*")):
            for found in home.glob(f"*/{_OLD}*"):
                if os.path.exists(found / path.name):
                    return found / path.name
    return None


def place_for_old(folder: pathlib.Path) -> pathlib.Path:
    """Returns a new folder within a scratch folder, for what is replaced."""
    return pathlib.Path(tempfile.mkdtemp(dir=folder, prefix=_OLD))


def _home(parent):
    return pathlib.Path(parent) / f"{PREFIX}{user_number()}"


def _make(parent):
    home = _home(parent)
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o700)
        try:
            folder = pathlib.Path(tempfile.mkdtemp(dir=home, prefix=""))
            flags = os.O_RDWR | os.O_CREAT
            lock = os.open(folder / _LOCK, flags, 0o600)
        except FileNotFoundError:
            continue  # another writer has just removed it while it was empty
        try:
            _check_own(home, folder)
        except OSError as error:
            os.close(lock)
            if isinstance(error, FileNotFoundError):
                continue  # removed as a leftover before it was locked
            raise
        if try_lock(lock) is not False and os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)  # another writer takes it for a leftover
    raise OSError(f"Cannot create a folder in {home}. Remove {home} and retry.")


def _check_own(home, folder):
    """Refuses a folder that another user has put here, as in /tmp."""
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != folder.stat().st_uid:
        _remove(folder)
        raise PermissionError(
            f"{home} belongs to another user, or is a link, and cannot be "
            "written to safely. Remove it, or choose another folder."
        )


def _put_back(folder, parent):
    for found in folder.glob(f"{_OLD}*/*"):
        target = pathlib.Path(parent) / found.name
        if not os.path.lexists(target):
            os.rename(found, target)
            logging.warning(
                "Restored %s, which a process was replacing when it was "
                "killed.",
                target,
            )


def _remove(folder):
    """Removes a scratch folder; the lock goes last, to mark it until then."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path, ignore_errors=True)
        (folder / _LOCK).unlink(missing_ok=True)
    _remove_if_empty(folder)


def _remove_if_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_folder(path):
    return path.is_dir() and not path.is_symlink()
