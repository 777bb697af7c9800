"""Checks of a preset's files before anything is built from them.

Presets may come from strangers. The cost of refusing one must depend only on
the bytes that it has, not on what it claims.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import re
import stat
import tempfile
from collections.abc import Iterator

import h5py

from vqvae_tf.utils.messages import first_line

METADATA = "metadata.json"
# Far above what models need: their metadata and configurations take kilobytes.
MAX_JSON_BYTES = 4 * 2**20
MAX_JSON_DEPTH = 200
# Two billion float32 weights.
MAX_FILE_BYTES = 8 * 2**30
MAX_ARRAYS = 100_000
# Compression rarely shrinks weights below half of their size.
MAX_EXPANSION = 32

_HEX_DIGITS = re.compile("[0-9a-f]{64}")
_BLOCK = 2**20


class PresetError(ValueError):
    """A preset does not exist or is invalid."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """How much a file of weights holds.

    Attributes:
        arrays: number of arrays.
        elements: total number of elements.
    """

    arrays: int
    elements: int


# JSON ------------------------------------------------------------------------


def parse_json(content: bytes, path: pathlib.Path) -> object:
    """Returns the value of a JSON file.

    Args:
        content: content of the file.
        path: the file, for messages.

    Raises:
        PresetError: it is not JSON, too large or nested too deeply.
    """
    _check_bytes(path, len(content), MAX_JSON_BYTES)
    try:
        value = json.loads(content.decode("utf-8"))
    # RecursionError: deep nesting; ValueError: everything else.
    except (ValueError, RecursionError) as error:
        raise PresetError(
            f"{path} is not valid JSON ({first_line(error)}). Get the file "
            "again."
        ) from None
    level, values = 0, [value]
    while values:
        level += 1
        if level > MAX_JSON_DEPTH:
            raise PresetError(
                f"{path} is nested too deeply: at most {MAX_JSON_DEPTH} levels "
                "of lists and objects are allowed. No model needs more; do not "
                "use the preset."
            )
        nested = [v for v in values if isinstance(v, dict | list)]
        values = [
            x
            for v in nested
            for x in (v.values() if isinstance(v, dict) else v)
        ]
    return value


def _check_bytes(path, size, most):
    if size > most:
        raise PresetError(
            f"{path} has {size:,} bytes. Expected at most {most:,}; larger "
            "files are not read."
        )


# metadata.json ---------------------------------------------------------------

# Types of the entries that this package reads; others may be anything.
_TYPES = {
    "class": str,
    "recipe": (str, type(None)),
    "parameters": int,
    "prior_parameters": int,
    "data": dict,
    "metrics": dict,
}
# Types of the entries of `data` that are read.
_TYPES_OF_DATA = {
    "kind": str,
    "source": str,
    "train_split": str,
    "eval_split": str,
    "crop": str,
    "on_corrupt": str,
    "flip": bool,
    "normalize": (str, type(None)),
    "resize_range": (list, type(None)),
}
_COUNTS_OF_DATA = (
    "image_size",
    "channels",
    "num_classes",
    "sample_rate",
    "window",
    "num_speakers",
    "bound_samples",
    "neighbour_pictures",
    "max_recordings",
)
# No model was trained on larger values. They must be bounded, since commands
# resize their inputs accordingly.
_LARGEST_COUNT, _LARGEST_SIZE = 2**20, 2**12


def check_metadata(metadata: object, path: pathlib.Path) -> dict:
    """Returns the content of metadata.json if it is valid.

    Args:
        metadata: any JSON value.
        path: the file, for messages.

    Raises:
        PresetError: it is not valid.
    """

    def refuse(expected, received):
        received = repr(received)[:80]
        raise PresetError(
            f"{path} does not describe a preset. Expected {expected}. "
            f"Received: {received}. Save the preset again by save_to_preset."
        )

    if not isinstance(metadata, dict):
        refuse("an object with an entry `files`", metadata)
    for name, kind in _TYPES.items():
        value = metadata.get(name)
        wrong = not isinstance(value, kind) or isinstance(value, bool)
        if name in metadata and wrong:
            refuse(f"a valid `{name}`", value)
    for name, value in metadata.get("data", {}).items():
        if not _is_data(name, value):
            refuse(f"a valid `{name}` in `data`", value)
    files = metadata.get("files")
    if not isinstance(files, dict) or not files:
        refuse("`files`, an object with an entry for each file", files)
    for name, entry in files.items():
        parts = pathlib.PurePath(name).parts
        if parts != (name,) or name == ".." or set(name) & set("\\/\0"):
            refuse("names of files in the preset's folder", name)
        entry = entry if isinstance(entry, dict) else {}
        size, digest = entry.get("size"), entry.get("sha256")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            refuse(f"the size of {name}, a non-negative integer", size)
        if not isinstance(digest, str) or not _HEX_DIGITS.fullmatch(digest):
            refuse(f"the sha256 of {name}, 64 hexadecimal digits", digest)
    return metadata


def _is_data(name, value):
    """Returns whether an entry of a preset's `data` is valid."""
    if name in _TYPES_OF_DATA:
        return isinstance(value, _TYPES_OF_DATA[name])
    if name not in _COUNTS_OF_DATA or value is None:
        return True
    whole = isinstance(value, int) and not isinstance(value, bool)
    least = 0 if name == "neighbour_pictures" else 1
    most = _LARGEST_SIZE if name == "image_size" else _LARGEST_COUNT
    return whole and least <= value <= most


def check_pin(sha256: str | None) -> str | None:
    """Returns the caller's expected sha256 in lower case.

    Raises:
        ValueError: it is neither None nor 64 hexadecimal digits.
    """
    if sha256 is None:
        return None
    if not _HEX_DIGITS.fullmatch(str(sha256).lower()):
        raise ValueError(
            "sha256 must be the 64 hexadecimal digits that save_to_preset "
            f"returns. Received: sha256={sha256!r}."
        )
    return str(sha256).lower()


# Files -----------------------------------------------------------------------


def read_checked(folder: pathlib.Path, name: str, metadata: dict) -> bytes:
    """Returns the content of a small file, checked as by `checked_blocks`."""
    size = _entry(folder, name, metadata)["size"]
    _check_bytes(folder / name, size, MAX_JSON_BYTES)
    return b"".join(checked_blocks(folder, name, metadata))


def checked_blocks(
    folder: pathlib.Path, name: str, metadata: dict
) -> Iterator[bytes]:
    """Yields the content of a preset's file, and then compares its sha256.

    Do not use any block before the iterator is exhausted.

    Args:
        folder: folder of the preset.
        name: name of the file.
        metadata: from `check_metadata`.

    Raises:
        PresetError: the file is missing, truncated, altered, too large, or a
            link out of the folder.
    """
    path, entry = folder / name, _entry(folder, name, metadata)
    _check_own(folder, path)
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size != entry["size"]:
            raise PresetError(
                f"{path} has {size} bytes, expected {entry['size']}: it is "
                "truncated or was replaced. Get the file again."
            )
        _check_bytes(path, size, MAX_FILE_BYTES)
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
            yield block
    compare(path, digest.hexdigest(), entry["sha256"])


def _entry(folder, name, metadata):
    if name not in metadata["files"]:
        raise PresetError(
            f"{METADATA} of the preset {folder} does not list {name}. "
            f"Received: {', '.join(sorted(metadata['files']))[:500]}."
        )
    return metadata["files"][name]


def _check_own(folder, path):
    """Raises PresetError unless a path is a regular file of the preset."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = False
    if not regular:
        raise PresetError(
            f"The preset {folder} has no {path.name}, which its {METADATA} "
            "lists. Get the complete folder again."
        )
    found, home = path.resolve(), folder.resolve()
    # The Hugging Face cache links NAME/snapshots/REVISION/* to NAME/blobs/*.
    blobs = home.parent.with_name("blobs")
    if found.parent not in (home, blobs):
        raise PresetError(
            f"{path} is a link to {found}, outside of the preset. If you trust "
            "that file, copy it into the folder."
        )


def compare(path: pathlib.Path, received: str, expected: str) -> None:
    """Raises PresetError unless a file's sha256 is the expected one."""
    if received != expected:
        raise PresetError(
            f"{path} was altered: its sha256 is {received}, expected "
            f"{expected}. Get the file again."
        )


@contextlib.contextmanager
def checked_copy(
    folder: pathlib.Path, name: str, metadata: dict
) -> Iterator[pathlib.Path]:
    """Yields the path of a checked copy, which nobody else can alter.

    Arguments and errors are those of `checked_blocks`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary, name)
        with open(path, "wb") as file:
            for block in checked_blocks(folder, name, metadata):
                file.write(block)
        yield path


# Weights ---------------------------------------------------------------------


def measure_weights(copy: pathlib.Path, path: pathlib.Path) -> Weights:
    """Returns how much a file of weights holds, without reading any array.

    Args:
        copy: the HDF5 file.
        path: its name in messages.

    Raises:
        PresetError: it is damaged, refers to other files, holds anything but
            numbers, or decompresses to far more bytes than it has.
    """
    try:
        with h5py.File(copy, "r") as file:
            arrays = list(_arrays(file))
            elements = sum(math.prod(array.shape) for array in arrays)
            size = sum(array.nbytes for array in arrays)
    except _Refused as error:
        message = str(error)
    except Exception as error:  # h5py raises any kind for damaged files
        message = f"it is not a valid HDF5 file ({first_line(error)})"
    else:
        most = MAX_EXPANSION * copy.stat().st_size
        if size <= most:
            return Weights(len(arrays), elements)
        message = (
            f"its arrays would take {size:,} bytes, expected at most {most:,}"
        )
    raise PresetError(
        f"{path} cannot be used: {message}. Save the preset again by "
        "save_to_preset, or get it from a trusted source."
    )


class _Refused(Exception):
    """A file of weights contains something that it must not."""


def _arrays(file):
    """Yields the arrays of an HDF5 file, each once; follows only hard links."""
    groups, seen, count = [file], set(), 0
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _Refused(f"{name!r} is a link to another place or file")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue  # a hard link, maybe to one of its parents
            seen.add(address)
            count += 1
            if count > MAX_ARRAYS:
                raise _Refused(f"it has more than {MAX_ARRAYS:,} parts")
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif _is_plain(item):
                yield item
            else:
                raise _Refused(f"{item.name!r} is not a plain numeric array")


def _is_plain(item):
    return (
        isinstance(item, h5py.Dataset)
        and item.shape is not None
        and not item.is_virtual
        and not item.external
        and item.dtype.kind in "biufV"
        and item.dtype.itemsize <= 16
        and item.dtype.fields is None
    )
