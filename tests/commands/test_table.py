"""Every command: its arguments, and what it refuses."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from support import runs, small
from support.command_line import refused, run
from vqvae_tf import presets
from vqvae_tf.commands import table as cli
from vqvae_tf_cli import arguments as commands


def test_training_says_first_that_its_preset_cannot_be_saved(tmp_path, capsys):
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / "notes.txt").write_text("mine")
    words = ["train", "--config=vqvae_cifar10", f"--workdir={tmp_path}"]
    assert "holds 'notes.txt'" in refused(capsys, *words)
    assert os.listdir(tmp_path) == ["preset"]


def test_export(zoo, tmp_path):
    assert run("export", zoo, tmp_path / "m", "--model_version=3") == 0
    assert (tmp_path / "m" / "3" / "saved_model.pb").is_file()


def test_list(zoo, capsys, monkeypatch):
    monkeypatch.setattr(presets, "BUILT_IN", {"tiny": ""})
    monkeypatch.setattr(presets, "find_preset", lambda name: zoo / "preset")
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "tiny  (LatentGenerator" in out and "A small model." in out
    assert "PSNR" in out


def test_train(zoo, tmp_path, capsys):
    recipe = tmp_path / "r.py"
    recipe.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(runs.TESTS)!r})\n"
        "from support import small\n"
        "def get_config():\n    return small.recipe()\n"
    )
    work = tmp_path / "work"
    flags_ = [f"--config={recipe}", f"--workdir={work}", f"--data_dir={zoo}"]
    flags_ += ["--config.training.steps=3", "--config.training.clip_norm=9"]
    assert run("train", *flags_) == 0
    metadata = presets.verify(work / "preset")
    assert metadata["steps"] == "3 steps of 4, the prior 4 of 4"
    card = (work / "preset" / "README.md").read_text()
    assert f"{metadata['metrics']['psnr']:.2f}" in card
    saved = json.loads((work / "recipe.json").read_text())
    assert saved["training"]["steps"] == 3
    assert saved["training"]["clip_norm"] == 9
    assert f'from_preset("{work}/preset")' in card
    command = f"vqvae-tf train --config={recipe} --config.training.steps=3"
    assert f"`{command} --config.training.clip_norm=9 --workdir=DIR`" in card


def test_unknown_command(capsys):
    assert "Unknown command 'fly'" in refused(capsys, "fly")


def test_wrong_number_of_arguments(capsys):
    error = refused(capsys, "encode", "a")
    assert "takes other arguments. Received: a." in error
    assert commands.usage("encode") in error


def test_unknown_preset(capsys):
    assert "There is no preset 'none'" in refused(capsys, "evaluate", "none")


def test_unknown_flag(capsys):
    assert "dataa_dir" in refused(capsys, "list", "--dataa_dir=x")


def test_unknown_recipe_key(zoo, capsys, tmp_path):
    error = refused(
        capsys,
        "train",
        "--config=vqvae_cifar10",
        "--config.encoder.widht=3",
        f"--workdir={tmp_path}",
    )
    assert "The recipe has no key encoder.widht. " in error


def test_train_without_recipe(capsys):
    assert "train needs a recipe" in refused(capsys, "train")


def test_no_command_writes_over_what_it_did_not_make(
    zoo, film, tmp_path, capsys
):
    photos, codes = tmp_path / "photos", tmp_path / "codes.npz"
    shutil.copytree(zoo / "photos", photos)
    np.savez(tmp_path / "x.npz", images=small.pictures(2))
    assert run("encode", zoo, photos, codes) == 0
    shutil.copy(film / "clip.npz", tmp_path)
    clip, given = tmp_path / "clip.npz", tmp_path / "x.npz"
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    os.symlink(given, tmp_path / "link.npz")
    for words in (
        ["encode", zoo, given, given],
        ["encode", zoo, given, tmp_path / "link.npz"],
        ["encode", zoo, photos, given],
        ["encode", zoo, photos, photos],
        ["decode", zoo, codes, codes],
        ["decode", zoo, codes, given],
        ["decode", zoo, codes, photos],
        ["sample", zoo, f"--output={photos / 'p0.png'}"],
        ["reconstruct", zoo, photos, f"--output={photos}"],
        ["reconstruct", zoo, photos / "p0.png", f"--output={photos}"],
        ["rollout", film, clip, f"--output={clip}"],
        ["rollout", film, clip, f"--output={codes}"],
        ["rollout", film, photos, f"--output={photos / 'a.gif'}"],
    ):
        error = refused(capsys, *words)
        assert any(
            said in error
            for said in ("would be replaced", "did not make it")
            + ("would be among the input", "Expected a new or empty folder")
        ), error
    for path, content in before.items():
        assert path.read_bytes() == content
    assert run("encode", zoo, photos, codes) == 0  # again


@pytest.mark.parametrize(
    "mistake, words",
    [
        (lambda: tf.io.read_file("/none"), "/none; No such file or directory"),
        (
            lambda: tf.function(tf.strings.to_number)(tf.constant("a")),
            "StringToNumberOp could not correctly convert string: a",
        ),
    ],
    ids=["eager", "graph"],
)
def test_error_of_an_operation(capsys, monkeypatch, mistake, words):
    monkeypatch.setitem(cli.COMMANDS, "demo", mistake)
    error = refused(capsys, "demo")
    assert error == f"vqvae-tf: {words} (--verbosity=1 shows where)"


def test_error_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "demo", lambda: {}["key"])
    with pytest.raises(KeyError):
        run("demo")


def test_flag_of_another_command(capsys):
    error = refused(capsys, "list", "--num=3")
    assert "`vqvae-tf list` has no flag --num." in error
