"""Paths mean the same wherever one is taken, and `~` the home folder."""

import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from support import small
from support.command_line import run
from vqvae_tf import data, recipes
from vqvae_tf.commands.inputs import clips as clip_inputs
from vqvae_tf.commands.inputs.files import PICTURES, RECORDINGS
from vqvae_tf.data.decoding import load_picture
from vqvae_tf.evaluation import code_labels
from vqvae_tf.media import sheets
from vqvae_tf.media.wav import save_wav
from vqvae_tf.samples.voices import voice_files
from vqvae_tf.training import checkpoints, history
from vqvae_tf.utils import files, npz_files
from vqvae_tf.utils.paths import check_utf8, expand, printable, resolve
from vqvae_tf_cli import main

RECIPE = """
import ml_collections
def get_config():
    return ml_collections.ConfigDict({"seed": 3})
"""
CAFE = os.fsdecode(b"caf\xe9")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, beside which the process stands."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    assert not (tmp_path / "~").exists()


def test_a_tilde_is_the_home_folder(home, tmp_path):
    for path in ("~/a/b", pathlib.Path("~/a/b")):
        assert expand(path) == tmp_path / "home" / "a" / "b"
    assert expand("~") == tmp_path / "home"
    assert expand("a/~/b") == pathlib.Path("a/~/b")
    # No user's home, or told not to be: twice is as once.
    for path in ("~$letter.png", "./~/a"):
        assert expand(expand(path)) == expand(path)
        assert expand(path) == tmp_path / path
    link = tmp_path / "link"
    link.symlink_to("home/a")
    assert resolve("~/../link/b") == tmp_path.resolve() / "home" / "a" / "b"


@pytest.mark.parametrize("path", [None, b"a", 3, ["a"]])
def test_what_is_no_path_is_told(path):
    with pytest.raises(TypeError, match="string or an os.PathLike"):
        expand(path)


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800"])
def test_what_no_file_can_be_called_is_told(path):
    with pytest.raises(ValueError, match="Received: '"):
        expand(path)


def test_names_that_tensorflow_cannot_open_are_told(tmp_path):
    check_utf8(tmp_path / "caf\u00e9", "It")
    with pytest.raises(ValueError, match="It must have .* UTF-8"):
        check_utf8(tmp_path / CAFE, "It")
    assert printable("caf\u00e9") == "caf\u00e9"


# Every entrance ---------------------------------------------------------------


def test_a_tilde_is_expanded_where_files_are_written(home):
    picture = small.pictures(1)[0]
    for folder in (CAFE, "x"):
        sheets.save_picture(f"~/{folder}/a.png", picture)
        sheets.save_animation(f"~/{folder}/a.gif", picture[None])
        save_wav(f"~/{folder}/a.wav", np.zeros(9), 8000)
        files.save_npz(f"~/{folder}/a.npz", a=picture)
        history.History(f"~/{folder}/a.jsonl", 0)
        names = sorted(os.listdir(home / folder))
        assert names == ["a.gif", "a.jsonl", "a.npz", "a.png", "a.wav"]


@pytest.mark.parametrize("folder", [CAFE, "x"])
def test_a_tilde_is_expanded_where_files_are_read(home, folder):
    picture = small.pictures(1)[0]
    for name in ("one", "two"):
        sheets.save_picture(f"~/{folder}/train/{name}/{CAFE}.png", picture)
    files.save_npz(f"~/{folder}/a.npz", images=picture[None])
    files.save_npz(f"~/{folder}/c.npz", frames=np.stack([picture] * 6))
    (home / folder / "recipe.py").write_text(RECIPE)
    (home / folder / "a.txt").write_text("0 1 a")
    path = f"~/{folder}"
    np.testing.assert_array_equal(
        load_picture(f"{path}/train/one/{CAFE}.png"), picture
    )
    opened = [
        data.open_images(f"folder:{path}", "train", cache_bytes=0),
        data.open_images(f"folder:{folder}", "train", "~"),
        data.open_images("folder", "train", path),
        data.open_images(f"npz:{path}/a.npz", "all"),
        data.open_images("npz:a.npz", "all", path),
    ]
    for images in opened:
        np.testing.assert_array_equal(images.get(0)["image"], picture)
    assert list(npz_files.read_npz(f"{path}/a.npz", "pictures")) == ["images"]
    assert len(PICTURES.list_inputs([path])) == 2
    video = small.video()
    frames, _ = clip_inputs.read_clip(f"{path}/c.npz", video)
    assert len(frames) == len(clip_inputs.read_clip(path, video)[0]) + 4
    assert recipes.find_recipe(f"{path}/recipe.py").is_file()
    assert recipes.read_recipe(f"{path}/recipe.py").seed == 3
    assert len(code_labels.read_alignment(f"{path}/a.txt")) == 1
    assert history.read_history(f"{path}/a.jsonl") == []


def test_a_tilde_is_expanded_where_recordings_are_read(home):
    (home / "train" / "theo").mkdir(parents=True)
    path = f"train/theo/{CAFE}.wav"
    shutil.copy(voice_files()[0], home / path)
    wave = data.load_waveform(f"~/{path}", 8000)
    assert len(RECORDINGS.list_inputs(["~/train"])) == 1
    for source, data_dir in (("folder:~", None), ("folder", "~")):
        audio = data.open_audio(source, "train", 8000, data_dir)
        assert audio.num_examples == 1 and len(wave)


def test_checkpoints_are_below_the_home_folder(home):
    model = small.autoencoder()
    model.compile("adam")
    model.build()
    assert checkpoints.Checkpoints(model, "~/run").directory == home / "run"


def test_the_command_expands_a_tilde_that_the_shell_leaves(home, capsys):
    Image.fromarray(small.pictures(1, 32)[0]).save(home / f"{CAFE}.png")
    words = ["reconstruct", "ae_mnist", f"~/{CAFE}.png", "--output=~/out"]
    assert run(*words) == 0
    assert os.listdir(home / "out") == [f"{CAFE}.png"]
    assert "caf" in capsys.readouterr().out
    assert run("sample", "~/no", "--output=~/a.png") == 1
    assert f"no preset '{home}/no'" in capsys.readouterr().err


def test_all_flags_that_are_paths_are_expanded(home):
    assert main._expanded(["~/a", ["~"], "b~"]) == [
        f"{home}/a",
        [str(home)],
        "b~",
    ]
