"""One process at a time in a folder, without anything being lost."""

import errno
import fcntl
import os
import pathlib
import threading

import pytest

from vqvae_tf.utils import file_locks, files
from vqvae_tf.utils.locking import LOCK, FolderInUse, locked


def in_a_thread(call):
    """Calls a function as another process would; returns its error."""
    found = []

    def run():
        try:
            call()
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0] if found else None


def enter(folder, doing="training in"):
    with locked(folder, doing, "go away"):
        pass


def test_a_second_process_is_refused(tmp_path):
    folder = tmp_path / "new"
    with locked(folder, "training in"):
        enter(folder)  # a part of the same work
        error = in_a_thread(lambda: enter(folder))
        with pytest.raises(FolderInUse):
            enter(folder, "encoding to")
    assert isinstance(error, FolderInUse)
    assert str(error).startswith(f"Another process is training in {folder}. ")
    assert "go away" in str(error)
    assert in_a_thread(lambda: enter(folder)) is None


def test_nothing_is_left_of_a_lock(tmp_path):
    enter(tmp_path / "new")
    with pytest.raises(RuntimeError):
        with locked(tmp_path / "new", "training in"):
            raise RuntimeError
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    enter(tmp_path / "old")
    assert not list((tmp_path / "old").iterdir())


def test_a_lock_never_deletes_a_strangers_file(tmp_path):
    (tmp_path / LOCK).write_text("mine")
    with pytest.raises(ValueError, match="is not a lock of this package"):
        enter(tmp_path)
    assert (tmp_path / LOCK).read_text() == "mine"


def test_a_file_system_without_locks_gets_a_warning(
    tmp_path, monkeypatch, caplog
):
    def none(file, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    enter(tmp_path)
    assert "has no locks" in caplog.text


def test_a_file_is_no_folder_to_work_in(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="file is a file: go away."):
        enter(tmp_path / "file")


def test_systems_without_file_locks_can_write(tmp_path, monkeypatch):
    monkeypatch.setattr(file_locks, "fcntl", None)
    monkeypatch.delattr(os, "getuid")
    with files.write_atomically(tmp_path / "x") as name:
        pathlib.Path(name).write_text("done")
    with locked(tmp_path / "run", "training to"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
