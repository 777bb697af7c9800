"""Interpretation and checks of the paths that users pass."""

import errno
import os
import pathlib


def expand(path: str | os.PathLike) -> pathlib.Path:
    """Returns a path for Python's file functions, with `~` expanded.

    Every path that a user passes, to a function or to the command, goes
    through here at least once; expanding twice changes nothing. As in a shell,
    a name that begins with `~` but is no user's home stays as it is, and `./~`
    is a file of that name.

    Args:
        path: a string or an `os.PathLike`. Bytes that are not UTF-8 are
            surrogates, as `os.fsdecode` returns them.

    Raises:
        TypeError: `path` is of another type.
        ValueError: `path` is empty or not a valid path.

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
            "A path must not be empty; '.' is the current folder. Received: "
            f"{path!r}."
        )
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ValueError(
            "A path may contain neither null characters nor characters outside "
            f"the file system's encoding. Received: {text!r}."
        )
    expanded = pathlib.Path(os.path.expanduser(text))
    if expanded.parts and expanded.parts[0].startswith("~"):
        # pathlib dropped a "./", without which it would be expanded again.
        return pathlib.Path.cwd() / expanded
    return expanded


def resolve(path: str | os.PathLike) -> pathlib.Path:
    """Returns the absolute path, with `~` and all links resolved.

    Args:
        path: same as for `expand`. Neither it nor the target of a link need
            exist.

    Raises:
        OSError: a link leads back to itself.
    """
    path = _real(path)
    if os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return path


def has_ending(path: str | os.PathLike, *endings: str) -> bool:
    """Returns whether a path has one of the endings, ignoring case.

    Example:

    >>> has_ending("CODES.NPZ", ".npz"), has_ending("a.png", ".npz", ".gif")
    (True, False)
    """
    return os.fspath(path).lower().endswith(endings)


def _real(path):
    return pathlib.Path(os.path.realpath(expand(path)))


def check_outside(path: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Raises ValueError if an output is, or is inside, an input folder."""
    if _real(path).is_relative_to(_real(folder)):
        raise ValueError(
            "The output would be among the input, and the next call would read "
            "it. Choose another folder. Received: the output "
            f"{path} and the input {folder}."
        )


def check_place(path: str | os.PathLike) -> None:
    """Raises an error if a file or folder could not be created.

    Args:
        path: same as for `expand`. Neither it nor its folder need exist.

    Raises:
        ValueError: it would be inside a file.
        PermissionError: its folder is not writable.
    """
    path = expand(path)
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir():
        raise ValueError(
            f"{path} cannot be created: {parent} is a file. Choose another "
            "path."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"{path} cannot be written: no permission to write to {parent}. "
            "Choose another path."
        )


def printable(text: str) -> str:
    """Returns a name with bytes that are not UTF-8 escaped.

    Example:

    >>> printable(os.fsdecode(b"caf\\xe9")), printable("caf\u00e9")
    ('caf\\\\udce9', 'caf\u00e9')
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_utf8(path: str | os.PathLike, what: str) -> None:
    """Raises ValueError for a path that TensorFlow cannot open.

    Args:
        path: any path.
        what: what will be there, for the message: "A run's directory".
    """
    text = os.path.abspath(path)
    if text != printable(text):
        raise ValueError(
            f"{what} must have a name that is UTF-8, since TensorFlow cannot "
            f"open others. Choose another name. Received: {text!r}."
        )
