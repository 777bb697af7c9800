"""Files are written in one piece or not at all."""

import os
import pathlib
import stat

import numpy as np
import pytest

from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.npz_files import read_npz


def test_names_that_are_no_utf8_are_kept(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with write_atomically(path) as temporary:
        pathlib.Path(temporary).touch()
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9"]


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "link").symlink_to("file")
    for text in ("one", "two"):
        with write_atomically(tmp_path / "link") as temporary:
            pathlib.Path(temporary).write_text(text)
        assert (tmp_path / "file").read_text() == text
        assert (tmp_path / "link").is_symlink()


def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", "/dev/null"):
        with pytest.raises(ValueError, match="which is something else"):
            with write_atomically(path) as temporary:
                pathlib.Path(temporary).touch()


def test_writes_and_replaces(tmp_path):
    target = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with write_atomically(target) as temporary:
            pathlib.Path(temporary).write_text(text)
            assert not target.exists() or target.read_text() == "one"
        assert target.read_text() == text
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="disk"):
        with write_atomically(target) as temporary:
            pathlib.Path(temporary).write_text("half")
            raise RuntimeError("disk")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o022)
    try:
        with write_atomically(tmp_path / "a") as temporary:
            pathlib.Path(temporary).touch()
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_reads_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3), b=np.zeros([2, 2]))
    arrays = read_npz(path, "numbers")
    assert list(arrays) == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], np.arange(3))


def test_refuses_what_is_no_npz(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match="no file .*a.npz"):
        read_npz(path, "numbers")
    np.savez(path, a=np.array([{}], object))
    objects = path.read_bytes()
    np.save(tmp_path / "b.npy", np.arange(3))
    np.savez(path, a=np.arange(999))
    half = path.read_bytes()[:-999]
    for content in (b"text", (tmp_path / "b.npy").read_bytes(), half, objects):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="Expected numbers. Received: "):
            read_npz(path, "numbers")
