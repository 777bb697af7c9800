"""Damaged and malicious npz files: one clear error, and no memory for them."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from vqvae_tf import data
from vqvae_tf.data import decoding
from vqvae_tf.data.pictures import npz as pictures_npz
from vqvae_tf.encoding.picture_format import PictureFormat
from vqvae_tf.encoding.sources import open_source
from vqvae_tf.utils import npz_files
from vqvae_tf.utils.npz_files import NpzError, read_npz

ARRAYS = {
    "images": np.arange(4 * 6 * 6 * 3, dtype=np.uint8).reshape(4, 6, 6, 3),
    "labels": np.arange(4),
    "names": np.array(["a", "b", "\u00e9\u4e2d", "d"]),
}
PACKINGS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
)


def packed(packing, arrays=ARRAYS) -> bytes:
    """Returns an npz file's content, packed in one of the ways of zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", packing) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
    return content.getvalue()


def mutated(content, rng) -> bytes:
    """Returns a file with bytes changed, lost or added somewhere."""
    content = bytearray(content)
    place = int(rng.integers(len(content)))
    kind, length = rng.integers(5), int(rng.integers(1, 40))
    noise = rng.integers(0, 256, length, np.uint8).tobytes()
    if kind == 0:
        for i, byte in zip(rng.integers(0, len(content), length), noise):
            content[i] = byte
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        del content[place : place + length]
    elif kind == 3:
        content[place:place] = noise
    else:  # the headers of the members, at the end
        first = max(content.rfind(b"PK\1\2", 0, len(content) - place), 0)
        for i, byte in zip(rng.integers(0, 60, 4), noise):
            content[min(first + i, len(content) - 1)] = byte
    return bytes(content)


def read_rows(path):
    form = PictureFormat(6)
    (reader,) = open_source(str(path), "train", form).values()
    for _ in reader.batches(0, len(reader), 3):
        pass


@pytest.mark.parametrize("packing", PACKINGS)
def test_whole_files_are_read(tmp_path, packing):
    path = tmp_path / "a.npz"
    arrays = {
        **ARRAYS,
        "scalar": np.array(3.5),
        "empty": np.zeros([0, 3]),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "blank": np.array(["", ""]),
        "parts": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
        "flags": np.array([True, False]),
    }
    path.write_bytes(packed(packing, arrays))
    found = read_npz(path, "arrays")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert list(read_npz(path, "arrays", ["flags", "none"])) == ["flags"]


def test_damaged_files_are_one_clear_error(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "a.npz"
    contents, refused = [packed(packing) for packing in PACKINGS], 0
    for i in range(400):
        path.write_bytes(mutated(contents[i % 4], rng))
        try:
            read_npz(path, "an npz file of numbers")
        except NpzError as error:
            refused += 1
            assert f"Expected an npz file of numbers. Received: {path}" in str(
                error
            )
    assert refused > 300


@pytest.mark.slow
def test_damaged_files_of_pictures_are_one_clear_error(tmp_path):
    rng, path = np.random.default_rng(1), tmp_path / "a.npz"
    contents = [packed(packing) for packing in PACKINGS]
    for i in range(2000):
        path.write_bytes(mutated(contents[i % 4], rng))
        for read in (
            lambda: data.open_images("npz:a.npz", "train", str(tmp_path)),
            lambda: read_rows(path),
        ):
            try:
                read()
            except ValueError as error:
                assert str(path) in str(error) or "a.npz" in str(error)


def header(shape, dtype="|u1") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "shape, words",
    [
        ("(1000000, 1000000)", "but there are 3"),
        ("(9, 9, 9" + ", 9" * 30 + ")", "but there are 3"),
        ("(-1, -3)", "its shape is"),
        ("(2,)", "but there are 3"),
    ],
)
def test_declared_sizes_are_compared_before_anything_is_allocated(
    tmp_path, monkeypatch, shape, words
):
    monkeypatch.setattr(npz_files, "_aligned", None)
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header(shape) + b"abc")
    with pytest.raises(NpzError, match=words):
        read_npz(path, "pictures")


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_files, "_SUSPICIOUS_BYTES", 10_000)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros(100_000, np.uint8))
    with pytest.raises(NpzError, match="would become 100,000"):
        read_npz(path, "pictures")
    np.savez(path, images=np.zeros(100_000, np.uint8))
    assert len(read_npz(path, "pictures")["images"]) == 100_000


def test_what_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_files.os, "sysconf", lambda name: 100)
    np.savez(tmp_path / "a.npz", images=np.zeros(20_000, np.uint8))
    with pytest.raises(NpzError, match="more than the 10,000 of this machine"):
        read_npz(tmp_path / "a.npz", "pictures")


def test_encrypted_files_and_objects_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    content = bytearray(packed(zipfile.ZIP_STORED))
    entry = content.find(b"PK\1\2")
    content[entry + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(NpzError, match="images: it is encrypted"):
        read_npz(path, "pictures")
    np.savez(path, images=np.array([{}], object))
    with pytest.raises(NpzError, match="it holds Python objects"):
        read_npz(path, "pictures")


_PEAK = """
import re, sys
import numpy as np
from vqvae_tf.data import open_images

def memory(what):  # ru_maxrss would begin with that of the parent
    text = open("/proc/self/status").read()
    return int(re.search(what + r":\\s+(\\d+) kB", text)[1]) / 2**10

def load(name):
    return open_images(f"npz:{name}.npz", "train", sys.argv[1], progress=False)

load("small").get([0])  # TensorFlow takes some memory at its start
before = memory("VmRSS")
images = load("a")
print(memory("VmHWM") - before, np.sum(images.get([5, 7])["image"]))
"""


@pytest.mark.slow
def test_pictures_of_an_npz_file_are_in_memory_once(tmp_path):
    images = np.full([40_000, 32, 32, 3], 3, np.uint8)
    images[7] = 0
    np.savez(tmp_path / "a.npz", images=images)
    np.savez(tmp_path / "small.npz", images=images[:9])
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    peak, total = map(float, done.stdout.split())
    assert total == 32 * 32 * 3 * 3
    assert peak < 1.5 * images.nbytes / 2**20


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_converted_piece_by_piece(tmp_path, monkeypatch, channels):
    monkeypatch.setattr(pictures_npz, "_AT_ONCE", 3)
    np.savez(tmp_path / "a.npz", **ARRAYS)
    opened = data.open_images(
        "npz:a.npz", "train", str(tmp_path), channels=channels
    )
    found = opened.get(np.arange(4))["image"]
    expected = decoding.convert_channels(ARRAYS["images"], channels)
    np.testing.assert_array_equal(found, expected)
