"""Data that are not where a command looks for them."""

import pytest

from support.command_line import refused


def test_missing_data(zoo, tmp_path, capsys):
    error = refused(capsys, "evaluate", zoo, f"--data_dir={tmp_path}")
    assert "small.npz" in error


@pytest.mark.parametrize("source", ["npz:small.npz", "folder"])
def test_no_data_dir(source, zoo, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    recipe, work = "--config=vqvae_photo128", tmp_path / "work"
    source_flag = f"--config.data.source={source}"
    error = refused(capsys, "train", recipe, source_flag, f"--workdir={work}")
    inside = "small.npz" if "npz" in source else "train/ and test/"
    assert f"train needs --data_dir=FOLDER with {inside} inside" in error
    assert not work.exists()
    if "npz" in source:
        error = refused(capsys, "evaluate", zoo)
        assert "evaluate needs --data_dir=FOLDER with small.npz" in error
