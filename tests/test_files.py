"""Files are written in one piece or not at all."""

import os
import pathlib
import stat

import pytest

from vqvae_tf.files import write_atomically


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
