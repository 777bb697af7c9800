"""Folders that are replaced as a whole: readers see the old one or the new.

On most file systems Linux exchanges two folders in one step. On others there
is a moment in between: a reader then gets the old one from its `find`, and if
the writer was killed at that moment the next one puts the old one back.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import time
from collections.abc import Callable

from vqvae_tf.utils import files, scratch
from vqvae_tf.utils.paths import check_place, resolve

_ATTEMPTS = 100
# Seconds; all attempts together take half a second.
_PAUSE = 0.005
_STEPS_OF_CLOCK = 20_000_000  # nanoseconds
# From linux/fs.h and fcntl.h.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# Errors of a file system, or a kernel, that cannot exchange.
_CANNOT = {
    errno.ENOSYS,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EXDEV,
}


@contextlib.contextmanager
def new_folder(path: str | os.PathLike, check: Callable):
    """Gives the path of a folder to make, which then replaces `path`.

    Links are followed: what they point to is replaced, and they stay. The
    folder is flushed to the disk before it is moved into place.

    Args:
        path: the folder to make, or to replace.
        check: called with the folder that would be replaced, if any, before
            and after the new one is filled; raises if it must stay.

    Yields:
        The path, of the same name; nothing is there yet.
    """
    target = replaceable(path, check)
    with scratch.scratch(target.parent) as work:
        new = work / "new" / target.name
        new.parent.mkdir()
        yield new
        files.sync_tree(new)
        _place(new, target, work, check)
        files.sync_folder(target.parent)


def replaceable(path: str | os.PathLike, check: Callable) -> pathlib.Path:
    """Returns the resolved path of a folder that may be made or replaced.

    Args:
        path: the folder.
        check: same as for `new_folder`.

    Raises:
        ValueError: for a mount point, which cannot be moved, and for a place
            inside a file.
        PermissionError: if nothing may be written there.
    """
    target = resolve(path)
    if os.path.ismount(target):
        raise ValueError(
            f"{target} is where a disk is mounted, and cannot be replaced by "
            "a folder. Choose a new folder inside of it."
        )
    if target.exists():
        check(target)
    check_place(target)
    return target


def _place(new, target, work, check):
    """Moves a folder into place, and what was there to a scratch folder."""
    with _staying_inside(target):
        for _ in range(_ATTEMPTS):
            if not target.exists():
                if _renamed(new, target):
                    return
                continue  # another writer was faster
            with contextlib.suppress(FileNotFoundError):
                check(target)
                if _swapped(new, target, work, check):
                    return
    raise OSError(
        f"{target} is replaced by other processes all the time. Stop them, or "
        "choose another folder."
    )


def _renamed(new, target):
    try:
        os.rename(new, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _swapped(new, target, work, check):
    """Replaces a folder; returns False where another did at the same time."""
    with contextlib.suppress(PermissionError):
        os.chmod(new, target.stat().st_mode & 0o7777)
    if exchange(new, target):
        try:
            check(new)  # it may have got another file meanwhile
        except BaseException:  # a new file, or Ctrl-C: undo
            exchange(new, target)
            raise
        return True
    old = scratch.place_for_old(work) / target.name
    os.rename(target, old)
    try:
        check(old)
        return _renamed(new, target)
    except BaseException:
        _renamed(old, target)
        raise


def exchange(one, other) -> bool:
    """Exchanges two folders in one step; returns False where none can."""
    rename = _renameat2()
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    failed = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    number = ctypes.get_errno()
    if failed and number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def _renameat2():
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None


@contextlib.contextmanager
def _staying_inside(target):
    """Keeps a process in its working directory when that is replaced."""
    inside = False
    with contextlib.suppress(OSError):
        inside = os.path.samefile(".", target)
    try:
        yield
    finally:
        if inside:
            with contextlib.suppress(OSError):
                os.chdir(target)


# Reading beside a writer ------------------------------------------------------


def read_steadily(find: Callable, read: Callable, errors: tuple):
    """Reads a folder again where it was replaced meanwhile.

    Args:
        find: returns the folder's path.
        read: called with it; reads all files that must belong together.
        errors: what `read` raises if they do not.

    Returns:
        What `read` returned of one and the same folder.
    """
    for attempt in range(_ATTEMPTS):
        folder = find()
        before = _state(folder)
        try:
            return read(folder)
        except errors:
            changed = before is None or _is_fresh(before)
            changed = changed or _state(folder) != before
            changed = changed or _is_elsewhere(find, folder, errors)
            if not changed or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE)


def _is_fresh(state):
    """Returns whether a folder changed too recently for its time to tell.

    File systems take it from a clock with steps of some milliseconds.
    """
    return time.time_ns() - state[2] < _STEPS_OF_CLOCK


def _is_elsewhere(find, folder, errors):
    """Returns whether another folder is found: this one is being removed."""
    try:
        return find() != folder
    except errors:
        return True


def _state(folder):
    """Returns what differs between a folder and its replacement."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
