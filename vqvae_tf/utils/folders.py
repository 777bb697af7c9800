"""Atomic replacement of folders: readers see the old or the new one.

On most file systems Linux can exchange two folders atomically. On others there
is a moment in between, when the `find` of a reader returns the old one; if the
writer is killed at that moment, the next writer puts the old one back.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from vqvae_tf.utils import files, scratch
from vqvae_tf.utils.paths import check_place, resolve

_ATTEMPTS = 100
# Seconds; all attempts together take half a second.
_PAUSE = 0.005
# Nanoseconds, above the resolution of a file system's clock.
_STEPS_OF_CLOCK = 20_000_000
# From linux/fs.h and fcntl.h.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# Errors of a file system or kernel that cannot exchange folders.
_CANNOT = {
    errno.ENOSYS,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EPERM,
    errno.EXDEV,
}


@contextlib.contextmanager
def new_folder(
    path: str | os.PathLike, check: Callable[[pathlib.Path], None]
) -> Iterator[pathlib.Path]:
    """Yields the path of a folder to create, which then replaces `path`.

    The path has the same name, and nothing is there yet. Links are followed:
    their target is replaced. The folder is flushed to the disk before it is
    moved into place.

    Args:
        path: folder to create or replace.
        check: called with the folder that would be replaced, if any, before
            and after the new one is filled; raises if it must be kept.
    """
    target = replaceable(path, check)
    with scratch.scratch(target.parent) as work:
        new = work / "new" / target.name
        new.parent.mkdir()
        yield new
        files.sync_tree(new)
        _place(new, target, work, check)
        files.sync_folder(target.parent)


def replaceable(
    path: str | os.PathLike, check: Callable[[pathlib.Path], None]
) -> pathlib.Path:
    """Returns the resolved path of a folder that can be created or replaced.

    Args:
        path, check: same as for `new_folder`.

    Raises:
        ValueError: the path is a mount point, which cannot be moved, or inside
            a file.
        PermissionError: its parent is not writable.
    """
    target = resolve(path)
    if os.path.ismount(target):
        raise ValueError(
            f"{target} is where a disk is mounted, and cannot be replaced. "
            "Choose a new folder inside it."
        )
    if target.exists():
        check(target)
    check_place(target)
    return target


def _place(new, target, work, check):
    """Moves a folder into place, and the old one to a scratch folder."""
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
        f"{target} is constantly being replaced by other processes. Stop them, "
        "or choose another folder."
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
    """Replaces a folder; returns False if another writer was faster."""
    with contextlib.suppress(PermissionError):
        os.chmod(new, target.stat().st_mode & 0o7777)
    if exchange(new, target):
        try:
            check(new)  # the old folder, which may have got another file
        except BaseException:  # such a file, or Ctrl-C: undo
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


def exchange(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Exchanges two folders atomically; returns False if the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    failed = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    number = ctypes.get_errno()
    if failed and number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


@contextlib.contextmanager
def _staying_inside(target):
    """Changes to the new folder if the working directory is replaced."""
    inside = False
    with contextlib.suppress(OSError):
        inside = os.path.samefile(".", target)
    try:
        yield
    finally:
        if inside:
            with contextlib.suppress(OSError):
                os.chdir(target)


# Reading during writes --------------------------------------------------------


def read_steadily(
    find: Callable[[], pathlib.Path],
    read: Callable[[pathlib.Path], Any],
    errors: tuple[type[Exception], ...],
) -> Any:
    """Reads a folder, again if it was replaced meanwhile.

    Args:
        find: returns the path of the folder.
        read: called with the path; reads all files that belong together.
        errors: raised by `read` if the files do not belong together.

    Returns:
        The result of `read` from a single state of the folder.
    """
    for attempt in range(_ATTEMPTS):
        folder = find()
        before = _state(folder)
        try:
            return read(folder)
        except errors:
            changed = (
                before is None
                # Too recent for the file system's clock to show a change.
                or time.time_ns() - before[2] < _STEPS_OF_CLOCK
                or _state(folder) != before
                or _is_elsewhere(find, folder, errors)
            )
            if not changed or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE)


def _is_elsewhere(find, folder, errors):
    """Whether `find` returns another folder: this one is being removed."""
    try:
        return find() != folder
    except errors:
        return True


def _state(folder):
    """Returns values that differ between a folder and its replacement."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
