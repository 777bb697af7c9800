"""One line for every mistake of the user's, a traceback for the program's."""

import errno
import os
import re
import subprocess
import sys

import pytest
from command_line import run

from vqvae_tf import cli, recipes
from vqvae_tf.errors import ExplainedError
from vqvae_tf.voices import voice_files


def refused(capsys, *argv):
    """Returns the one line of a command that must fail."""
    assert run(*argv) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("vqvae-tf: ") and "\n" not in error
    return error


RECIPES = {
    "nothing": (b"def get_config():\n    pass\n", "Received: NoneType."),
    "a_dict": (b"def get_config():\n    return {}\n", "Received: dict."),
    "no_function": (b"get_config = 3\n", "defines no get_config()."),
    "syntax": (b"def get_config(:\n", "SyntaxError: .*line 1"),
    "raises": (b"def get_config():\n    return 1 / 0\n", "line 2: ZeroDiv"),
    "imports": (b"\nimport not_there\n", "line 2: ModuleNotFoundError: "),
    "exits": (b"import sys\nsys.exit(3)\n", "line 2: SystemExit"),
    "endless": (b"def f():\n    f()\nf()\n", "RecursionError"),
    "no_text": (b"\xff\xfe\x00", "SyntaxError"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_is_a_traceback(name, tmp_path, capsys):
    content, words = RECIPES[name]
    # The ending does not matter.
    for path in (tmp_path / f"{name}.py", tmp_path / name):
        path.write_bytes(content)
        work = tmp_path / "work"
        error = refused(
            capsys, "train", f"--config={path}", f"--workdir={work}"
        )
        assert str(path) in error
        assert re.search(words, error), error
        assert not work.exists()


def test_a_recipe_without_an_ending_is_read(tmp_path):
    path = tmp_path / "recipe"
    path.write_text(
        "from vqvae_tf.recipes import defaults\n"
        "def get_config():\n    return defaults()\n"
    )
    config = recipes.read_recipe(recipes.find_recipe(path))
    assert recipes.to_json(config) == recipes.to_json(recipes.defaults())


def test_a_folder_is_no_recipe(tmp_path, capsys):
    words = [f"--config={tmp_path}", f"--workdir={tmp_path / 'work'}"]
    error = refused(capsys, "train", *words)
    assert (
        f"A recipe is a Python file. Received: the folder {tmp_path}" in error
    )


def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    words = [voice_files()[0], tmp_path / "c.npz"]
    error = refused(capsys, "encode", "vqvae_speech8k", *words)
    assert "pip install vqvae_tf[audio]" in error


def test_a_missing_part_of_the_package_keeps_its_traceback():
    missing = ModuleNotFoundError("No module", name="vqvae_tf.nothing")
    assert cli.explain(missing) is None
    assert cli.explain(ModuleNotFoundError("No module", name="x"))
    for mistake in (KeyError("a"), TypeError("a"), AttributeError("a")):
        assert cli.explain(mistake) is None


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.EACCES, "Permission denied: /a/b. Choose another place"),
        (errno.ENOSPC, "The disk is full. Make room"),
        (errno.EROFS, "/a/b. Nothing can be written there"),
        (errno.ENAMETOOLONG, "/a/b. Choose a shorter name."),
        (errno.EISDIR, "Is a directory: /a/b."),
    ],
)
def test_errors_of_the_system_name_the_file_and_a_remedy(number, words):
    error = OSError(number, os.strerror(number), "/a/b")
    assert words in cli.explain(error) and "Errno" not in cli.explain(error)


def test_own_errors_are_explained_by_their_base():
    class Own(ExplainedError):
        pass

    assert cli.explain(Own("Do this.")) == "Do this."


@pytest.mark.parametrize(
    "name, words",
    [
        ("mnist:9.9.9", "cannot be loaded at version 9.9.9, only: 3.0.1"),
        ("mnist/nope", "BuilderConfig nope not found"),
        ("mnist:x.y", "Parsing builder name string mnist:x.y failed"),
        ("a/b/c/d", "Parsing builder name string"),
    ],
)
def test_data_sets_of_tfds_that_do_not_exist(name, words, tmp_path, capsys):
    target = tmp_path / "out"
    words_ = ["vqvae_cifar10", f"tfds:{name}", target]
    error = refused(capsys, "encode", *words_, f"--data_dir={tmp_path}")
    assert words in error and f"Received: 'tfds:{name}'" in error


def shell(line):
    """Runs a shell's line with the command as $C, without TensorFlow."""
    return subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "C": f"{sys.executable} -m vqvae_tf_cli"},
        capture_output=True,
        text=True,
    )


def test_a_pipe_that_is_closed_is_no_traceback():
    done = shell("$C --help | true; exit ${PIPESTATUS[0]}")
    assert done.stderr == "" and done.returncode in (0, 128 + 13)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux")
def test_an_output_that_is_full_is_no_traceback():
    done = shell("$C --help > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        "vqvae-tf: The output cannot be written: No space left on device.\n"
    )
