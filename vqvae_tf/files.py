"""Writing files so that nobody ever sees half of one."""

import contextlib
import os
import pathlib
import tempfile


@contextlib.contextmanager
def write_atomically(path):
    """Gives a temporary name to write to, and renames it when that is done.

    Args:
        path: the file to make or replace; its folder is made if needed.

    Yields:
        The temporary path, in the same folder. On an error it is removed and
        an existing file stays as it was.

    Example:

    >>> with write_atomically("out.txt") as temporary:
    ...     _ = pathlib.Path(temporary).write_text("done")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
    )
    os.close(handle)
    # mkstemp makes files that only their owner may read.
    os.chmod(temporary, 0o666 & ~_umask())
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        pathlib.Path(temporary).unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
