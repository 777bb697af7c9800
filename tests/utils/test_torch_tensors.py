"""Files of tensors as PyTorch wrote them before version 1.6."""

import collections
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from vqvae_tf.utils.torch_tensors import TorchFileError, read_tensors

MAGIC = 0x1950A86A20F9469CFC6C


class FloatStorage:
    """Stands for PyTorch's class of this name."""


class Stored:
    """An array as a view of stored numbers, which pickles as a tensor does."""

    def __init__(self, array, key="0", claimed=None):
        self.array, self.key = array, key
        self.shape = claimed or array.shape

    def __reduce__(self):
        strides = tuple(n // self.array.itemsize for n in self.array.strides)
        end = (False, collections.OrderedDict())
        view = (self, 0, self.shape, strides, *end)
        return sys.modules["torch._utils"]._rebuild_tensor_v2, view


class Pickler(pickle.Pickler):
    """Writes the numbers of a tensor as a reference, as PyTorch does."""

    seen = None

    def persistent_id(self, found):
        if not isinstance(found, Stored) or self.seen is not found:
            self.seen = found if isinstance(found, Stored) else self.seen
            return None
        self.seen = None
        return "storage", FloatStorage, found.key, "cpu", found.array.size, None


@pytest.fixture
def torch(monkeypatch):
    """Modules of PyTorch's names, so that pickle can name what is in them."""
    package, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*view):
        raise AssertionError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    package.FloatStorage = FloatStorage
    monkeypatch.setattr(FloatStorage, "__module__", "torch")
    monkeypatch.setitem(sys.modules, "torch", package)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def write(path, named):
    """Writes named `Stored` arrays in the layout of the old files."""
    with path.open("wb") as file:
        for value in (MAGIC, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        Pickler(file, protocol=2).dump(collections.OrderedDict(named))
        stored = {each.key: each.array for each in named.values()}
        pickle.dump(sorted(stored), file, protocol=2)
        for key in sorted(stored):
            flat = stored[key].ravel(order="K").astype("<f4")
            file.write(struct.pack("<q", flat.size) + flat.tobytes())


def test_arrays_and_views_of_them(torch, tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    b = np.random.default_rng(0).normal(size=[4, 5]).astype(np.float32)
    write(tmp_path / "a.pth", {"a": Stored(a, "0"), "b.t": Stored(b.T, "1")})
    found = read_tensors(tmp_path / "a.pth")
    assert list(found) == ["a", "b.t"]
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b.t"], b.T)
    assert found["a"].dtype == np.float32 and found["a"].flags.writeable


def test_nothing_else_is_ever_made(tmp_path):
    """A pickle may call anything; this one would write a file."""

    class Harmful:
        def __reduce__(self):
            return open, (str(tmp_path / "written"), "w")

    path = tmp_path / "harmful.pth"
    with path.open("wb") as file:
        for value in (MAGIC, 1001, {}, {"a": Harmful()}):
            pickle.dump(value, file, protocol=2)
    with pytest.raises(TorchFileError, match="it names .*open"):
        read_tensors(path)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("cut", [0, 1, 10, 60, -1, -9])
def test_files_that_end_too_early(torch, tmp_path, cut):
    path = tmp_path / "a.pth"
    write(path, {"a": Stored(np.ones([3], np.float32))})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(TorchFileError, match=r"before 1\.6.*a\.pth"):
        read_tensors(path)


def test_a_tensor_larger_than_its_numbers(torch, tmp_path):
    """Or a small file could ask for all memory."""
    path = tmp_path / "a.pth"
    stored = Stored(np.ones([2], np.float32), claimed=(10**9,))
    write(path, {"a": stored})
    with pytest.raises(TorchFileError, match="more entries than its numbers"):
        read_tensors(path)


def test_other_files(tmp_path):
    path = tmp_path / "new.pth"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(TorchFileError):
        read_tensors(path)
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "none.pth")
