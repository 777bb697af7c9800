"""File locks, which the system releases when their process ends."""

import errno
import os
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def try_lock(file: IO | int) -> bool | None:
    """Takes the lock of an open file, without waiting.

    Args:
        file: a file object, or its descriptor.

    Returns:
        True: the lock is held until the file is closed. False: another process
        holds it. None: the operating system or file system has no locks.

    Raises:
        OSError: locking fails for another reason.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def user_number() -> int:
    """Returns the user's id, 0 on systems without any."""
    return os.getuid() if hasattr(os, "getuid") else 0
