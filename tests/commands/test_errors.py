"""One line for every mistake of the user's, a traceback for the program's."""

import errno
import os
import re
import subprocess
import sys

import pytest

from support.command_line import refused_in_a_line
from vqvae_tf import presets, recipes
from vqvae_tf.commands import table as cli
from vqvae_tf.samples.voices import voice_files
from vqvae_tf.utils.errors import ExplainedError
from vqvae_tf_cli import main

RECIPES = {
    "nothing": (b"def get_config():\n    pass\n", "Received: NoneType."),
    "a_dict": (b"def get_config():\n    return {}\n", "Received: dict."),
    "no_function": (b"get_config = 3\n", "defines no get_config()."),
    "syntax": (b"def get_config(:\n", "SyntaxError: .*line 1"),
    "raises": (b"def get_config():\n    return 1 / 0\n", "line 2: ZeroDiv"),
    "imports": (b"\nimport not_there\n", "line 2: ModuleNotFoundError: "),
    "exits": (b"import sys\nsys.exit(3)\n", "line 2: SystemExit"),
    "endless": (b"def f():\n    f()\nf()\n", "RecursionError"),
    "stops": (b"class E(BaseException): pass\nraise E()\n", "line 2: E: E"),
    "generator": (b"raise GeneratorExit\n", "line 1: GeneratorExit"),
    "silent": (
        b"class E(Exception):\n  def __str__(self): 1 / 0\nraise E()\n",
        "line 3: E: E",
    ),
    "no_text": (b"\xff\xfe\x00", "SyntaxError"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_is_a_traceback(name, tmp_path, capsys):
    content, words = RECIPES[name]
    # The ending does not matter.
    for path in (tmp_path / f"{name}.py", tmp_path / name):
        path.write_bytes(content)
        work = tmp_path / "work"
        error = refused_in_a_line(
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


def test_a_frozen_recipe_can_be_changed(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(
        "from ml_collections import FrozenConfigDict\n"
        "from vqvae_tf.recipes import defaults\n"
        "def get_config():\n    return FrozenConfigDict(defaults())\n"
    )
    config = recipes.read_recipe(path)
    config.training.steps = 5
    config.data.image_size = 32
    assert recipes.check_recipe(config).training.steps == 5


def test_a_folder_is_no_recipe(tmp_path, capsys):
    words = [f"--config={tmp_path}", f"--workdir={tmp_path / 'work'}"]
    error = refused_in_a_line(capsys, "train", *words)
    assert (
        f"A recipe is a Python file. Received: the folder {tmp_path}" in error
    )


def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    words = [voice_files()[0], tmp_path / "c.npz"]
    error = refused_in_a_line(capsys, "encode", "vqvae_speech8k", *words)
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
        (errno.ENOSPC, "The disk is full. Free some space"),
        (errno.EROFS, "/a/b. Choose another place"),
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
    error = refused_in_a_line(
        capsys, "encode", *words_, f"--data_dir={tmp_path}"
    )
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


@pytest.mark.parametrize(
    "words",
    [
        "sample vqvae_cifar10 --num=0",
        "sample vqvae_cifar10 --num=-3",
        "sample vqvae_cifar10 --num=1000000000",
        "sample vqvae_cifar10 --num=2.5",
        "sample vqvae_cifar10 --seed=2147483648",
        "sample vqvae_cifar10 --seed=nan",
        "sample vqvae_cifar10 --label=-1",
        "sample vqvae_cifar10 --temperature=nan",
        "sample vqvae_cifar10 --temperature=inf",
        "sample vqvae_cifar10 --temperature=-1",
        "sample vqvae_cifar10 --top_k=0",
        "sample vqvae_cifar10 --top_p=0",
        "sample vqvae_cifar10 --top_p=1.5",
        "sample vqvae_cifar10 --top_p=nan",
        "rollout video_dmlab84 --actions=4,x",
        "rollout video_dmlab84 --actions=4,-1",
        "rollout video_dmlab84 --actions=",
        "rollout video_dmlab84 --num_frames=0",
        "rollout video_dmlab84 --num_futures=0",
        "encode vqvae_cifar10 a b --batch_size=0",
        "encode vqvae_cifar10 a b --num_shards=100000",
        "export vqvae_cifar10 a --model_version=0",
        "evaluate vqvae_cifar10 --bound_samples=0",
    ],
)
def test_flags_out_of_range_are_told_before_tensorflow_is_imported(
    words, capsys, monkeypatch
):
    def import_functions():
        raise AssertionError

    monkeypatch.setattr(main, "_import_functions", import_functions)
    flag = words.rpartition("--")[2].partition("=")[0]
    assert flag in refused_in_a_line(capsys, *words.split())


def test_inputs_and_outputs_are_looked_at_before_a_model_is_loaded(
    tmp_path, capsys, monkeypatch
):
    def load(*_, **__):
        raise AssertionError

    monkeypatch.setattr(presets, "load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "m" / "1").mkdir(parents=True)
    preset = "vqvae_cifar10"
    for words, said in (
        (["encode", preset, "none.png", "c.npz"], "no file or folder none.png"),
        (["encode", preset, "NONE.NPZ", "c.npz"], "no file NONE.NPZ"),
        (["encode", preset, "a.png", "file/c.npz"], "file is a file"),
        (["decode", preset, "none.npz", "out"], "no file none.npz"),
        (["decode", preset, "file", "out"], "Expected a codes file"),
        (["sample", preset, "--output=a.png"], "did not make it"),
        (["sample", preset, "--output=a.txt"], "must be a picture file"),
        (["reconstruct", preset, "none"], "no file or folder none"),
        (["rollout", "video_dmlab84", "--output=a.png"], "must be a film"),
        (["export", preset, "m"], "exists already"),
        (
            ["evaluate", preset, "--data_dir=none"],
            "--data_dir=none, which does not exist",
        ),
    ):
        assert said in refused_in_a_line(capsys, *words)
