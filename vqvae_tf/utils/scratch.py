"""Scratch folders: where files are written before they are moved into place.

    PARENT/.vqvae_tf-UID/XXXXXXXX/   one writer's, removed when it is done
        lock                         held while the writer lives
        new/NAME                     what it is writing
        old-XXXXXXXX/NAME            what it replaces, see `folders`

They lie beside the target, on the same file system, and one level down, so
that one look shows whether a killed writer has left anything. Names are not
changed, since the longest allowed ones have no room for a suffix.
"""

import contextlib
import os
import pathlib
import re
import shutil
import stat
import tempfile

from absl import logging

from vqvae_tf.utils.file_locks import try_lock, user_number

# Followed by the user's id: others could not write to what one has left.
PREFIX = ".vqvae_tf-"
_LOCK = "lock"
_OLD = "old-"
_ATTEMPTS = 100
# What `tempfile.mkdtemp` makes of an empty prefix.
_WRITER = re.compile("[a-z0-9_]{8}")


@contextlib.contextmanager
def scratch(parent: str | os.PathLike):
    """Makes a folder to write in, and removes it afterwards.

    What killed writers have left is removed first.

    Args:
        parent: the folder of what is to be written, made if needed.

    Yields:
        The path of the folder, on the same file system as `parent`.
    """
    parent = pathlib.Path(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        folder, lock = _make(parent)
    except FileNotFoundError as error:  # as /proc says
        raise FileNotFoundError(
            f"Nothing can be written to {parent} ({error.strerror}). Choose "
            "another folder."
        ) from error
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)
        _remove_if_empty(folder.parent)


def remove_leftovers(parent: str | os.PathLike):
    """Removes what killed writers have left in a folder.

    Writers that are alive keep theirs. What was moved away, but not replaced,
    is put back.
    """
    home = _home(parent)
    if not _is_folder(home):
        return
    for folder in _entries(home):
        if not _is_writers(folder):
            continue
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            # It is being made, or removed.
            _remove_if_empty(folder)
            continue
        try:
            if try_lock(lock):
                _put_back(folder, parent)
                _remove(folder)
        finally:
            os.close(lock)
    _remove_if_empty(home)


def _entries(home):
    try:
        return list(home.iterdir())
    except FileNotFoundError:  # another writer has just removed it
        return []


def is_leftover(path: str | os.PathLike) -> bool:
    """Returns whether a path is a scratch folder that nobody would miss.

    It is one of this user's, with nothing in it but what a writer puts there,
    and no old file or folder that waits to be put back.

    Args:
        path: any path; it may be removed at any moment.
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
    """Returns whether a folder holds nothing but what `scratch` makes."""
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
    """Returns where a writer has moved a folder away to, None if nowhere.

    Args:
        path: where it should be.
    """
    if not os.path.isdir(path.parent):
        return None
    try:
        return next(_moved_away(path), None)
    except OSError:  # scratch folders come and go
        return None


def _moved_away(path):
    # Any user's, as it will only be read.
    for home in path.parent.glob(f"{PREFIX}*"):
        if not _is_folder(home):
            continue
        for found in home.glob(f"*/{_OLD}*"):
            if os.path.exists(found / path.name):
                yield found / path.name


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
            continue  # another writer has just removed it, as it was empty
        try:
            _check_own(home, folder)
        except OSError as error:
            os.close(lock)
            if isinstance(error, FileNotFoundError):
                continue  # taken for a leftover before it was locked
            raise
        if try_lock(lock) is not False and os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)  # taken for a leftover
    raise OSError(f"Cannot make a folder in {home}. Remove it and try again.")


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
                "Put back %s, which a process was replacing when it was "
                "killed.",
                target,
            )


def _remove(folder):
    """Removes a scratch folder, its lock last, so that a kill is noticed."""
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
