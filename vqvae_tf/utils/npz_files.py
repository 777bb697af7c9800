"""Reading npz files that may be damaged or malicious.

`np.load` trusts the file: it allocates what an array's header declares, and
raises any error of the zip format, a decompressor or its own parser. Here sizes
are compared first, arrays are read directly into their memory, and every
failure is an `NpzError`.
"""

import contextlib
import os
import sys
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import IO

import numpy as np

from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf.utils.messages import first_line
from vqvae_tf.utils.paths import expand

# A larger array is refused if it was compressed by more than this factor, as no
# real data can be: a small file would fill the memory.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 256 * 2**20, 200
_CHUNK = 2**20
_ALIGNMENT = 64


class NpzError(ExplainedError, ValueError):
    """A file is not an npz file of plain arrays, or is damaged."""


def read_npz(
    path: str | os.PathLike, expected: str, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file by name.

    Args:
        path: path of the file.
        expected: what it should be, for the message.
        names: arrays to read, as far as they exist; None (default) is all.

    Raises:
        FileNotFoundError: the file does not exist.
        NpzError: it is not an npz file, is damaged, contains Python objects,
            or would not fit into memory.

    Example:

    >>> np.savez("codes.npz", codes=np.zeros([2, 8, 8], np.int32))
    >>> read_npz("codes.npz", "a codes file")["codes"].shape
    (2, 8, 8)
    """
    with Npz(path, expected) as npz:
        wanted = npz.names if names is None else names
        return {name: npz.read(name) for name in wanted if name in npz.names}


class Npz:
    """An open npz file; a context manager.

    Arguments and errors are those of `read_npz`; methods raise `NpzError`, too.

    Attributes:
        names: list of the names of its arrays.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        expected: str = "an npz file of plain arrays",
    ):
        path = expand(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        self._path, self._expected = path, expected
        self._archive = None
        self._file = open(path, "rb")  # noqa: SIM115  (closed by close())
        try:
            with self._explained():
                self._archive = zipfile.ZipFile(self._file)
                self._members = {
                    info.filename.removesuffix(".npy"): info
                    for info in self._archive.infolist()
                    if info.filename.endswith(".npy")
                }
        except BaseException:
            self.close()
            raise
        self.names = list(self._members)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._file.close()

    def checksum(self, name: str) -> int:
        """Returns the CRC-32 that the file stores for an array."""
        return self._members[name].CRC

    def read(self, name: str) -> np.ndarray:
        """Returns an array."""
        with self._explained(name), self._opened(name) as (file, header):
            shape, fortran, dtype, size = header
            array = _aligned(shape, fortran, dtype, size)
            if size:
                flat = (array.T if fortran else array).reshape(-1)
                _fill(flat.view(np.uint8), file)
            elif file.read(1):
                raise ValueError("it is longer than its header says")
            return array

    @contextlib.contextmanager
    def rows(self, name: str) -> Iterator["Rows"]:
        """Opens an array for reading row by row, as a context manager."""
        opened = contextlib.ExitStack()
        with opened:
            with self._explained(name):
                file, header = opened.enter_context(self._opened(name))
                shape, fortran, dtype, _ = header
                if not shape or fortran and len(shape) > 1:
                    raise ValueError("its numbers are not in row-major order")
            yield Rows(file, shape, dtype, lambda: self._explained(name))

    @contextlib.contextmanager
    def _opened(self, name):
        """Yields an array's file, positioned at its data, and its header."""
        info = self._members[name]
        if info.flag_bits & 1:
            raise ValueError("it is encrypted")
        with self._archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_2_0
            if version == (1, 0):
                read = np.lib.format.read_array_header_1_0
            shape, fortran, dtype = read(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects")
            size = _size(shape, dtype)
            if size != info.file_size - file.tell():
                raise ValueError(
                    f"its header says {size:,} bytes of shape {shape}, but "
                    f"there are {info.file_size - file.tell():,}"
                )
            stored = min(info.compress_size, os.path.getsize(self._path))
            _check_size(size, stored)
            yield file, (shape, fortran, dtype, size)

    @contextlib.contextmanager
    def _explained(self, name=None):
        # zipfile, four decompressors and NumPy's parser raise about fifteen
        # kinds of errors for damaged bytes, several of them undocumented.
        try:
            yield
        except NpzError:
            raise
        except Exception as error:
            of = "" if name is None else f"{name}: "
            raise NpzError(
                f"Expected {self._expected}. Received: {self._path} "
                f"({of}{first_line(error)})."
            ) from error


class Rows:
    """The rows of an array, read in order; see `Npz.rows`.

    Attributes:
        shape, dtype: of the whole array.
    """

    def __init__(
        self,
        file: IO[bytes],
        shape: tuple[int, ...],
        dtype: np.dtype,
        explained: Callable[[], AbstractContextManager],
    ):
        self.shape, self.dtype = shape, dtype
        self._file, self._explained = file, explained
        self._row = _size(shape[1:], dtype)

    def skip(self, count: int) -> None:
        """Skips rows."""
        with self._explained():
            self._file.seek(count * self._row, os.SEEK_CUR)

    def read(self, count: int) -> np.ndarray:
        """Returns the next rows, `[count, ...]`."""
        with self._explained():
            found = np.empty((count, *self.shape[1:]), self.dtype)
            if found.nbytes:
                _fill(found.reshape(-1).view(np.uint8), self._file, ends=False)
            return found


def _aligned(shape, fortran, dtype, size):
    """Returns an empty array that TensorFlow can use without a copy."""
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return np.ndarray(
        shape, dtype, memory, first, order="F" if fortran else "C"
    )


def _fill(flat, file, ends=True):
    """Reads bytes into an array; with `ends`, no more may follow."""
    done = 0
    while done < len(flat):
        chunk = file.read(min(len(flat) - done, _CHUNK))
        if not chunk:
            raise ValueError("it is cut off")
        flat[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    # Reading beyond the end compares the checksum.
    if ends and file.read(1):
        raise ValueError("it is longer than its header says")


def _size(shape, dtype):
    size = dtype.itemsize
    for length in shape:
        if length < 0:
            raise ValueError(f"its shape is {shape}")
        size *= length  # Python integers do not overflow
    return size


def _memory():
    """Returns the size of the machine's memory in bytes, if it is known."""
    if not hasattr(os, "sysconf"):  # Windows
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_size(size, stored):
    memory = _memory()
    if size > memory:
        raise ValueError(
            f"it takes {size:,} bytes, more than the {memory:,} of this "
            "machine's memory"
        )
    if size > _SUSPICIOUS_BYTES and size > _SUSPICIOUS_RATIO * stored:
        raise ValueError(
            f"{stored:,} bytes would become {size:,}, more than real data can; "
            "to read them anyway, write them uncompressed, by np.savez"
        )
