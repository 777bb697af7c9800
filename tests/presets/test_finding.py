"""Finding presets by name, folder, work directory and hub."""

import pathlib
import shutil

import pytest

from vqvae_tf import presets
from vqvae_tf.presets import finding


def test_work_directory_is_a_preset(preset, tmp_path):
    shutil.copytree(preset[0], tmp_path / "run" / "preset")
    assert presets.find_preset(tmp_path / "run").name == "preset"


def test_unknown_name(monkeypatch):
    monkeypatch.setattr(finding, "BUILT_IN", {"known": ""})
    with pytest.raises(presets.PresetError, match="no preset 'no-such'.*known"):
        presets.load("no-such")


def test_a_folder_does_not_shadow_a_built_in_preset(
    copy, tmp_path, monkeypatch, caplog
):
    """Whoever unpacks a download where a program runs changes no model."""
    copy.rename(tmp_path / "vae_mnist")
    monkeypatch.chdir(tmp_path)
    built_in = finding.built_in_dir() / "vae_mnist"
    assert presets.find_preset("vae_mnist") == built_in
    (warning,) = [r.getMessage() for r in caplog.records]
    assert f"not the folder {tmp_path}/vae_mnist" in warning
    assert "pass ./vae_mnist" in warning
    for name in (
        "./vae_mnist",
        pathlib.Path("vae_mnist"),
        tmp_path / "vae_mnist",
    ):
        assert presets.find_preset(name).samefile(tmp_path / "vae_mnist")
    # Without such a folder the name is all that a path can mean.
    monkeypatch.chdir("/")
    assert presets.find_preset(pathlib.Path("vae_mnist")) == built_in
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "", "hf:/x", "é" * 200])
def test_odd_names_are_no_presets(name):
    with pytest.raises(ValueError):
        presets.find_preset(name)


def test_altered_metadata_of_a_built_in_preset(copy, monkeypatch):
    monkeypatch.setattr(finding, "zoo_dir", lambda: copy.parent)
    (copy.parent / "presets").mkdir()
    shutil.move(copy, copy.parent / "presets" / "tiny")
    monkeypatch.setattr(finding, "BUILT_IN", {"tiny": "0" * 64})
    with pytest.raises(presets.PresetError, match="metadata.json was altered"):
        presets.load("tiny")


def test_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(presets.PresetError, match=r"vqvae_tf\[hub\]"):
        presets.load("hf://someone/something")
