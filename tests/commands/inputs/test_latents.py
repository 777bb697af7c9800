"""Files of codes: which presets and versions they fit."""

import json
import shutil

import numpy as np

from support.command_line import refused, run
from vqvae_tf import presets


def test_codes_out_of_range(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=np.full([1, 4, 4], 8))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Codes must be in 0..7" in error and "8..8" in error


def test_codes_of_another_preset_are_refused(zoo, plain, tmp_path, capsys):
    codes, out = tmp_path / "c.npz", tmp_path / "out"
    assert run("encode", zoo, zoo / "photos", codes) == 0
    error = refused(capsys, "decode", plain, codes, out)
    assert f"{codes} holds codes of {zoo}, whose weights" in error
    assert not out.exists()
    with np.load(codes) as arrays:
        found = dict(arrays)
    for preset, words in (
        ("noise", "does not say which preset"),
        ('{"name": 3}', "does not say which preset"),
    ):
        np.savez(codes, **{**found, "preset": preset})
        assert words in refused(capsys, "decode", zoo, codes, out)


def test_codes_of_older_versions_are_decoded_with_a_warning(
    zoo, tmp_path, caplog
):
    codes = tmp_path / "c.npz"
    np.savez(codes, codes=np.zeros([1, 4, 4], np.int32))
    assert run("decode", zoo, codes, tmp_path / "out") == 0
    assert "does not say which preset made it" in caplog.text


def test_a_preset_that_is_published_again_still_decodes(zoo, tmp_path):
    """Other figures on the card, the same weights."""
    codes, again = tmp_path / "c.npz", tmp_path / "again"
    assert run("encode", zoo, zoo / "photos", codes) == 0
    shutil.copytree(zoo / "preset", again)
    metadata = {**presets.load_metadata(again), "summary": "Another."}
    (again / "metadata.json").write_text(json.dumps(metadata))
    assert run("decode", again, codes, tmp_path / "out") == 0


def test_arrays_of_codes_that_are_no_rows(zoo, tmp_path, capsys):
    codes = tmp_path / "c.npz"
    good = np.zeros([2, 4, 4], np.int32)
    for arrays in (
        dict(codes=np.int32(3)),
        dict(codes=good[:0]),
        dict(codes=good[:, :0]),
        dict(codes=good, names="a"),
        dict(codes=good, names=[["a", "b"]]),
        dict(codes=good, names=["a", "/b"]),
    ):
        np.savez(codes, **arrays)
        error = refused(capsys, "decode", zoo, codes, tmp_path / "o")
        assert "Expected" in error or "relative paths" in error


def test_npz_without_codes(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", other=np.zeros(1))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Expected an array `codes`" in error


def test_decode_without_a_codes_file(zoo, tmp_path, capsys):
    photo = zoo / "photos" / "p1.png"
    error = refused(capsys, "decode", zoo, photo, tmp_path / "o")
    assert "written by `vqvae-tf encode`). Received: " in error
    np.savez(tmp_path / "c.npz", codes=np.array([{}]))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Expected a codes file" in error
