"""Folders are replaced in one step, whatever is killed, and links stay."""

import errno
import os
import pathlib
import signal
import sys
import threading
import time
import warnings

import pytest

from vqvae_tf.utils import files, folders, scratch


def anything(folder):
    """A check that lets any folder be replaced."""


def save(path, text, check=anything):
    with folders.new_folder(path, check) as new:
        new.mkdir()
        for name in ("a", "b"):
            (new / name).write_text(text)


def read(path):
    return {(path / name).read_text() for name in ("a", "b")}


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def exchanging(request, monkeypatch):
    """Both ways: some file systems cannot exchange folders in one step."""
    if request.param:
        if not sys.platform.startswith("linux"):
            pytest.skip("Linux alone exchanges folders here.")
    else:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    return request.param


def test_makes_and_replaces(tmp_path, exchanging):
    path = tmp_path / "new" / "p"
    for text in ("one", "two"):
        save(path, text)
        assert read(path) == {text}
    assert os.listdir(path.parent) == ["p"]


def test_an_error_leaves_the_old_folder(tmp_path, exchanging):
    save(tmp_path / "p", "old")
    with pytest.raises(RuntimeError, match="disk"):
        with folders.new_folder(tmp_path / "p", anything) as new:
            new.mkdir()
            (new / "a").write_text("half")
            raise RuntimeError("disk")
    assert read(tmp_path / "p") == {"old"}
    assert os.listdir(tmp_path) == ["p"]


def test_permissions_stay(tmp_path, exchanging):
    save(tmp_path / "p", "old")
    (tmp_path / "p").chmod(0o750)
    save(tmp_path / "p", "new")
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o750


def test_a_file_that_appears_meanwhile_is_not_deleted(tmp_path, exchanging):
    def check(folder):
        if (folder / "notes").exists():
            raise ValueError("notes would be lost")

    save(tmp_path / "p", "old")
    with pytest.raises(ValueError, match="notes"):
        with folders.new_folder(tmp_path / "p", check) as new:
            new.mkdir()
            (new / "a").write_text("new")
            (tmp_path / "p" / "notes").write_text("mine")
    assert (tmp_path / "p" / "notes").read_text() == "mine"
    assert read(tmp_path / "p") == {"old"}


def test_links_are_followed_and_stay(tmp_path, exchanging):
    save(tmp_path / "disk" / "p", "old")
    (tmp_path / "link").symlink_to("disk/p")
    (tmp_path / "to_link").symlink_to(tmp_path / "link")
    (tmp_path / "dangling").symlink_to("disk/q")
    for name in ("link", "to_link", "dangling"):
        save(tmp_path / name, name)
        assert (tmp_path / name).is_symlink()
    assert read(tmp_path / "disk" / "p") == {"to_link"}
    assert read(tmp_path / "disk" / "q") == {"dangling"}
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        save(tmp_path / "loop", "x")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("name", [".", "./", "../p", "../p/", "../q/../p"])
def test_the_present_folder_can_be_replaced(
    tmp_path, monkeypatch, exchanging, name
):
    save(tmp_path / "p", "old")
    (tmp_path / "q").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    for text in ("one", "two"):
        save(name, text)
        assert read(pathlib.Path.cwd()) == {text}
        assert read(pathlib.Path(".")) == {text}
    assert sorted(os.listdir(tmp_path)) == ["p", "q"]


def test_places_where_no_folder_can_be_are_told_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file/x", "file/x/y"):
        with pytest.raises(ValueError, match="file is a file. Choose another"):
            folders.replaceable(tmp_path / path, print)
    with pytest.raises(OSError, match="Choose another"):
        save("/proc/none/x", "new")


def test_mount_points_are_refused():
    with pytest.raises(ValueError, match="disk is mounted"):
        save("/", "x")


@pytest.mark.parametrize("name", ["x" * 255, "caf\udce9", "lock", "new"])
def test_any_name_will_do(tmp_path, exchanging, name):
    for text in ("one", "two"):
        save(tmp_path / name, text)
        assert read(tmp_path / name) == {text}
    with files.write_atomically(tmp_path / name / name) as temporary:
        pathlib.Path(temporary).touch()
    assert os.listdir(tmp_path) == [name]
    assert sorted(os.listdir(tmp_path / name)) == sorted(["a", "b", name])


# Kills ------------------------------------------------------------------------


def killed_at(step, run):
    """Runs something in a process that is killed at its call number `step`.

    The calls are those that change the disk, and each is a moment in which
    it can be killed: before it, or, at the next one, after it.

    Returns:
        Whether it was killed before it was done.
    """
    with warnings.catch_warnings():
        # Of threads: the child uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        return os.WIFSIGNALED(status)
    try:
        _kill_at(step)
        run()
        os._exit(0)
    except BaseException:
        os._exit(1)


def _kill_at(step):
    left = [step]

    def counted(function):
        def call(*args, **kwargs):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return function(*args, **kwargs)

        return call

    names = ("rename", "replace", "fsync", "mkdir", "rmdir", "unlink")
    for name in names:
        setattr(os, name, counted(getattr(os, name)))
    folders.exchange = counted(folders.exchange)


def each_kill(run, after):
    """Kills `run` at each of its steps, and calls `after` after each."""
    step = 0
    while killed_at(step, run):
        after(step)
        step += 1
    return step


def test_a_kill_leaves_the_old_folder_or_the_new(tmp_path, exchanging):
    path = tmp_path / "p"
    save(path, "old")

    def after(_):
        if not path.exists():  # where it cannot be exchanged
            assert not exchanging
            assert read(scratch.moved_away(path)) == {"old"}
        # The next one puts all in order, even if it fails itself.
        scratch.remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == ["p"]
        assert read(path) in ({"old"}, {"new"})
        save(path, "old")
        assert os.listdir(tmp_path) == ["p"]

    assert each_kill(lambda: save(path, "new"), after) > 10


def test_the_next_save_removes_what_a_killed_one_has_left(tmp_path):
    path = tmp_path / "p"

    def after(_):
        save(path, "next")
        assert os.listdir(tmp_path) == ["p"]

    each_kill(lambda: save(path, "killed"), after)


def test_a_kill_while_a_kill_is_mended(tmp_path, exchanging):
    """Removing leftovers, or putting back, can be killed as well."""
    path = tmp_path / "p"
    save(path, "old")
    step = 0
    while killed_at(step, lambda: save(path, "new")):
        each_kill(lambda: scratch.remove_leftovers(tmp_path), lambda _: None)
        scratch.remove_leftovers(tmp_path)
        assert read(path) in ({"old"}, {"new"})
        assert os.listdir(tmp_path) == ["p"]
        save(path, "old")
        step += 3


def test_a_kill_leaves_the_old_file_or_the_new(tmp_path):
    path = tmp_path / "a.txt"

    def write(text):
        with files.write_atomically(path) as temporary:
            pathlib.Path(temporary).write_text(text)

    def after(_):
        assert path.read_text() in ("old", "new")
        write("old")
        assert os.listdir(tmp_path) == ["a.txt"]

    write("old")
    assert each_kill(lambda: write("new"), after) > 5


# Others at the same time ------------------------------------------------------


def test_leftovers_of_writers_that_live_stay(tmp_path):
    with folders.new_folder(tmp_path / "p", anything) as new:
        new.mkdir()
        for name in ("a", "b"):
            (new / name).write_text("slow")
        save(tmp_path / "p", "fast")
        save(tmp_path / "other", "fast")
        scratch.remove_leftovers(tmp_path)
        assert read(new) == {"slow"}
    assert read(tmp_path / "p") == {"slow"}
    assert sorted(os.listdir(tmp_path)) == ["other", "p"]


def test_other_folders_that_look_alike_stay(tmp_path):
    for name in (".p.old", ".p.abcdefgh", ".vqvae_tf", ".p.txt.swp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("mine")
    mine = sorted(os.listdir(tmp_path))
    save(tmp_path / "p", "new")
    assert sorted(os.listdir(tmp_path)) == sorted([*mine, "p"])


def test_a_lock_alone_makes_no_leftover(tmp_path):
    for name in ("photos", "abcdefgh"):
        folder = tmp_path / f"{scratch.PREFIX}{os.getuid()}" / name
        folder.mkdir(parents=True)
        for file in ("lock", "a.jpg"):
            (folder / file).write_text("mine")
    save(tmp_path / "p", "new")
    assert sorted(os.listdir(folder)) == ["a.jpg", "lock"]
    assert sorted(os.listdir(folder.parent)) == ["abcdefgh", "photos"]


def test_a_scratch_folder_of_someone_else_is_not_used(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "x").mkdir()
    (tmp_path / "theirs" / "x" / "lock").touch()
    home = tmp_path / f"{scratch.PREFIX}{os.getuid()}"
    home.symlink_to("theirs")
    with pytest.raises(PermissionError, match="another user, or is a link"):
        save(tmp_path / "p", "new")
    assert os.listdir(tmp_path / "theirs") == ["x"]


def test_writers_and_readers_at_the_same_time(tmp_path, exchanging):
    path, stop, wrong = tmp_path / "p", threading.Event(), []
    save(path, "0")

    def write(number):
        for _ in range(15):
            save(path, str(number))

    def find():
        return path if path.exists() else scratch.moved_away(path) or path

    def check():
        while not stop.is_set():
            try:
                found = folders.read_steadily(find, read, OSError)
            except OSError as error:
                found = {repr(error)}
            # A mixture is not noticed by `read`: presets have hashes.
            if not found <= {"0", "1", "2"}:
                wrong.append(found)

    writers = [threading.Thread(target=write, args=(i,)) for i in (1, 2)]
    reader = threading.Thread(target=check)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not wrong
    assert os.listdir(tmp_path) == ["p"]
    assert len(read(path)) == 1


def test_errors_that_are_no_changes_are_raised_at_once(tmp_path):
    calls = []

    def fails(folder):
        calls.append(folder)
        raise OSError(errno.EIO, "broken")

    time.sleep(0.05)  # a folder made just now may be another one
    with pytest.raises(OSError, match="broken"):
        folders.read_steadily(lambda: tmp_path, fails, OSError)
    assert calls == [tmp_path]
