"""The demo, from the presets that ship to an answering SavedModel."""

import ast
import re

import pytest
from PIL import Image

from vqvae_tf import presets
from vqvae_tf.commands import demo
from vqvae_tf.models import PictureClassifier
from vqvae_tf.tasks.pictures.sheets import can_sample


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    demo.run(tmp_path)
    sheets = {"reconstructions", "completions", "dmlab_codes"}
    models = {name: presets.load(name) for name in presets.BUILT_IN}
    for name, model in [*models.items()]:
        if isinstance(model, PictureClassifier):
            del models[name]
    # These have a film and recordings instead.
    spoken = models.pop("vqvae_speech8k", None) is not None
    del models["video_dmlab84"]
    kinds = {True: "samples", False: "reconstructions"}
    sheets |= {f"{kinds[can_sample(m)]}_{n}" for n, m in models.items()}
    assert {path.stem for path in tmp_path.glob("*.png")} == sheets
    with Image.open(tmp_path / "dmlab_rollouts.gif") as film:
        assert film.n_frames == 16
    if spoken:
        names = ("originals", "reconstructions", "conversions", "samples")
        names += ("fast_conversions",)
        expected = {f"{name}.wav" for name in names}
        expected |= {"reconstructions.png", "samples.png"}
        found = {path.name for path in (tmp_path / "voices").iterdir()}
        assert found == expected
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as picture:
            colours = picture.getcolors(picture.width * picture.height)
            # Binary digits are black and white, spectrograms have 256 colours
            # and what lies between them.
            fewest = 256 if path.parent.name == "voices" else 1000
            assert len(colours) > (fewest if picture.mode == "RGB" else 1)
    assert (tmp_path / "saved_model" / "1" / "saved_model.pb").is_file()
    text = (tmp_path / "metrics.txt").read_text()
    *printed, mark = text.splitlines()
    assert "\n".join(printed) in capsys.readouterr().out
    assert mark == "Made by vqvae-tf demo."
    assert "42.67 times fewer" in text
    psnr = float(re.search(r"PSNR.* ([\d.]+)$", text, re.MULTILINE)[1])
    assert psnr > 24
    rows = r"(?:with the prior, bits/dim|score \(bits/dim\)) +([\d.]+)$"
    scores = re.findall(rows, text, re.MULTILINE)
    # The evaluation in Python and the exported model give one bound.
    assert float(scores[-1]) == pytest.approx(float(scores[-2]), rel=1e-3)


def test_the_client_knows_tensorflow_alone():
    tree = ast.walk(ast.parse(demo._CLIENT))
    names = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert names == {"sys", "numpy", "tensorflow"}


def test_remarks_are_about_presets():
    assert demo.REMARKS.keys() <= presets.BUILT_IN.keys()


def test_other_names_beside_versions_are_none(tmp_path):
    assert demo._next_version(tmp_path / "none") == 1
    for name in ("9", "10", "1.bak", "12a", "\u0663", "notes"):
        (tmp_path / name).mkdir()
    assert demo._next_version(tmp_path) == 11
