"""Writing files so that nobody ever sees half of one."""

import contextlib
import glob
import os
import pathlib
import tempfile

import numpy as np

from vqvae_tf.npz_files import read_npz as read_npz


def expand(path) -> pathlib.Path:
    """Returns a path as Python's file functions want it, `~` expanded.

    Every path that a user gives, to a function or to the command, goes
    through here once or more often: expanding twice changes nothing. A name
    that begins with `~` but names no user's home stays as it is, as in a
    shell, and `./~` is a file of that name.

    Args:
        path: a string or an `os.PathLike`; in it, bytes of a name that are no
            UTF-8 are surrogates, as `os.fsdecode` has them.

    Returns:
        A `pathlib.Path`.

    Raises:
        TypeError: for anything else.
        ValueError: if it is empty, or no path can look so.

    Example:

    >>> str(expand("~/runs")) == os.path.expanduser("~/runs")
    True
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(
            "A path must be a string or an os.PathLike of text, such as "
            f"pathlib.Path. Received: {path!r}."
        )
    if not text:
        raise ValueError(
            "A path must not be empty; '.' is the present folder. Received: "
            f"{path!r}."
        )
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ValueError(
            "A path may hold neither null characters nor what the file "
            f"system's encoding lacks. Received: {text!r}."
        )
    expanded = pathlib.Path(os.path.expanduser(text))
    if expanded.parts and expanded.parts[0].startswith("~"):
        # pathlib has dropped a "./", without which it would be expanded.
        return pathlib.Path.cwd() / expanded
    return expanded


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
    path = expand(path)
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


def remove_leftovers(path):
    """Removes what writers of a file left that were killed as they wrote."""
    path = expand(path)
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*"):
        temporary.unlink(missing_ok=True)


def save_npz(path, **arrays):
    """Writes arrays to an npz file, compressed, and then gives it its name."""
    with write_atomically(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
