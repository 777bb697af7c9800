"""Tensors in files that PyTorch wrote before version 1.6, without PyTorch.

Such a file is a row of pickles and the raw numbers of the tensors after them.
Pickles can run code, so these may name only what a dict of tensors is made of.
"""

import collections
import math
import os
import pickle

import numpy as np

from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf.utils.paths import expand

# The first pickle of every such file.
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "IntStorage": np.int32,
    "LongStorage": np.int64,
}


class TorchFileError(ExplainedError):
    """A file is not a dict of tensors as PyTorch once saved it."""


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a dict of tensors, such as the weights of a network.

    Args:
        path: a file written by `torch.save(module.state_dict(), path)` of
            PyTorch before 1.6.

    Returns:
        An array for each name, in the file's order.

    Raises:
        TorchFileError: for any other file, and one that names classes beyond
            those of tensors.
        OSError: if there is no such file.
    """
    with expand(path).open("rb") as file:
        try:
            return _read(file)
        except (*_READ_ERRORS, pickle.UnpicklingError) as error:
            raise TorchFileError(
                "Expected a dict of tensors, saved by PyTorch before 1.6. "
                f"Received: {os.fspath(path)} ({error})."
            ) from error


_READ_ERRORS = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


def _read(file):
    storages = {}
    if _unpickled(file, storages) != _MAGIC:
        raise ValueError("another first number")
    for _ in ("version", "system"):
        _unpickled(file, storages)
    found = _unpickled(file, storages)
    for key in _unpickled(file, storages):
        storages[key].fill(file)
    return {name: tensor.array() for name, tensor in found.items()}


def _unpickled(file, storages):
    return _Unpickler(file, storages).load()


class _Unpickler(pickle.Unpickler):
    """Makes dicts of tensors, and nothing else."""

    def __init__(self, file, storages):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid):
        _, dtype, key, _, size, _ = pid
        return self._storages.setdefault(key, _Storage(dtype, size))


class _Storage:
    """Numbers that follow the pickles."""

    def __init__(self, dtype, size):
        self.dtype, self.size, self.values = np.dtype(dtype), size, None

    def fill(self, file):
        count = int.from_bytes(file.read(8), "little")
        left = os.fstat(file.fileno()).st_size - file.tell()
        if count != self.size or count * self.dtype.itemsize > left:
            raise ValueError("it ends too early")
        data = file.read(count * self.dtype.itemsize)
        self.values = np.frombuffer(data, self.dtype.newbyteorder("<"))


class _Tensor:
    """A view of a storage; what else PyTorch saves of it is not needed."""

    def __init__(self, storage, offset, shape, strides, *_):
        self._view = storage, offset, shape, strides

    def array(self):
        storage, offset, shape, strides = self._view
        if math.prod(shape) > storage.size:
            raise ValueError("a tensor has more entries than its numbers")
        if 0 in shape:
            return np.zeros(shape, storage.dtype)
        positions = np.full(shape, offset, np.int64)
        for axis, (size, stride) in enumerate(zip(shape, strides)):
            order = np.arange(size) * stride
            positions += order.reshape([-1] + [1] * (len(shape) - axis - 1))
        if min(positions.min(), len(storage.values) - 1 - positions.max()) < 0:
            raise ValueError("a tensor lies outside its numbers")
        return storage.values[positions].astype(storage.dtype)
