"""Folders that are replaced whole: at every moment the old one or the new.

Linux exchanges two folders in one step, on most file systems. On others there
is a moment in between: whoever reads then finds the old one by `find`, and the
next writer puts it back where a kill has left it so.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import time

from vqvae_tf.utils import files, scratch
from vqvae_tf.utils.paths import check_place, resolve

_ATTEMPTS = 100
# Seconds: all attempts together are half a second.
_PAUSE = 0.005
_STEPS_OF_CLOCK = 20_000_000  # nanoseconds
# From linux/fs.h and fcntl.h.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# What says that a file system, or the kernel, cannot exchange.
_CANNOT = {
    errno.ENOSYS,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EXDEV,
}


@contextlib.contextmanager
def new_folder(path, check):
    """Gives the path of a folder to make, which then replaces `path`.

    Links are followed: what they point to is replaced, and they stay. All is
    on the disk before it gets its place.

    Args:
        path: the folder to make, or to replace.
        check: called with the folder that would be replaced, where there is
            one, before and after the new one is filled; raises where it must
            stay.

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


def replaceable(path, check) -> pathlib.Path:
    """Returns where a folder is really, if it may be made or replaced.

    Args:
        path: the folder.
        check: as for `new_folder`.

    Raises:
        ValueError: for a mount point, which cannot be moved, and for a place
            inside of a file.
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
    """Moves a folder to its place, and what was there to a scratch folder."""
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
        except BaseException:  # a stranger has come, or Ctrl-C: all as before
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
    """Lets a process that stands in a folder stand in the new one after it."""
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


def read_steadily(find, read, errors):
    """Reads a folder again where it was replaced meanwhile.

    Args:
        find: called for the folder's path.
        read: called with it; reads all that is to belong together.
        errors: what `read` raises where files do not belong together.

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
    """Returns whether a folder changed so lately that its time does not tell.

    File systems take it from a clock that goes in steps of some milliseconds.
    """
    return time.time_ns() - state[2] < _STEPS_OF_CLOCK


def _is_elsewhere(find, folder, errors):
    """Returns whether another folder is found: this one is being removed."""
    try:
        return find() != folder
    except errors:
        return True


def _state(folder):
    """Returns what differs between a folder and that which replaces it."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
