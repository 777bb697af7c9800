"""What a path that a user gives means."""

import errno
import os
import pathlib


def expand(path: str | os.PathLike) -> pathlib.Path:
    """Returns a path as Python's file functions want it, `~` expanded.

    Every path that a user gives, to a function or to the command, goes
    through here at least once: expanding twice changes nothing. A name that
    begins with `~` but names no user's home stays as it is, as in a shell, and
    `./~` is a file of that name.

    Args:
        path: a string or an `os.PathLike`. Bytes of a name that are not UTF-8
            are surrogates in it, as `os.fsdecode` returns them.

    Returns:
        A `pathlib.Path`.

    Raises:
        TypeError: for anything else.
        ValueError: if it is empty, or can be no path.

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


def resolve(path: str | os.PathLike) -> pathlib.Path:
    """Returns the absolute path of what a path means, through all links.

    Args:
        path: same as for `expand`. Neither it nor what a link points to need
            exist.

    Raises:
        OSError: for a link that leads back to itself.
    """
    path = _real(path)
    if os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return path


def has_ending(path, *endings) -> bool:
    """Returns whether a path ends so, in small letters or in capitals.

    Example:

    >>> has_ending("CODES.NPZ", ".npz"), has_ending("a.png", ".npz", ".gif")
    (True, False)
    """
    return os.fspath(path).lower().endswith(endings)


def _real(path):
    return pathlib.Path(os.path.realpath(expand(path)))


def check_outside(path: str | os.PathLike, folder: str | os.PathLike):
    """Raises ValueError if an output is, or is in, a folder that is read."""
    if _real(path).is_relative_to(_real(folder)):
        raise ValueError(
            "The output would be among the input, and be read as such the next "
            "time. Choose another folder. Received: the output "
            f"{path} and the input {folder}."
        )


def check_place(path: str | os.PathLike):
    """Raises an error where a file or folder cannot be made.

    Args:
        path: same as for `expand`. Neither it nor its folder need exist.

    Raises:
        ValueError: if it would be inside a file.
        PermissionError: if nothing may be written there.
    """
    path = expand(path)
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir():
        raise ValueError(
            f"{path} cannot be made: {parent} is a file. Choose another place."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{path} cannot be written: no permission to write to {parent}. "
            "Choose another place."
        )


def printable(text: str) -> str:
    """Returns a name with bytes that are not UTF-8 spelled out, as `\\xe9`.

    Example:

    >>> printable(os.fsdecode(b"caf\\xe9")), printable("caf\u00e9")
    ('caf\\\\udce9', 'caf\u00e9')
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_utf8(path: str | os.PathLike, what: str):
    """Raises ValueError for a path that TensorFlow cannot use.

    Args:
        path: the path.
        what: what is to be there, for the message: "A run's directory".
    """
    text = os.path.abspath(path)
    if text != printable(text):
        raise ValueError(
            f"{what} must have a name that is UTF-8, since TensorFlow opens "
            f"no other there. Received: {text!r}; choose another one."
        )
