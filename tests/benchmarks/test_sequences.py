"""The comparisons of models of sequences, at toy size."""

import json
import pathlib
import sys

import numpy as np
import pytest

from vqvae_tf import recipes
from vqvae_tf.evaluation.sequences import moving
from vqvae_tf.models import NextFrameModel, StateSpaceModel
from vqvae_tf.recipes import building

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import belief_test  # noqa: E402
import sequences  # noqa: E402


@pytest.mark.parametrize("recipe", ["tdvae_digits", "tdvae_oscillator"])
def test_rows_have_the_parts_of_the_recipe(recipe):
    whole = recipes.load_recipe(recipe)
    for row, (_, options) in sequences.ROWS.items():
        config = sequences.config_of(recipe, row)
        assert config.model.name == options.get("name", "TDVAE")
        for part in ("encoder", "recurrent", "decoder", "data"):
            assert config[part] == whole[part], (row, part)
    model = building.make_autoencoder(sequences.config_of(recipe, "mean field"))
    assert isinstance(model, StateSpaceModel)
    assert model.latent_sizes == tuple(whole.model.latent_sizes)
    assert model.posterior == "mean_field"
    model = building.make_autoencoder(sequences.config_of(recipe, "next frame"))
    assert isinstance(model, NextFrameModel)


def digits(folder):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, [30, 28, 28, 1]).astype(np.uint8)
    labels = np.arange(30) % 10
    np.savez(
        folder / "digits.npz",
        train_images=pictures[:20],
        train_labels=labels[:20],
        test_images=pictures[20:],
        test_labels=labels[20:],
    )
    config = pathlib.Path(recipes.find_recipe("tdvae_digits")).read_text()
    path = folder / "digits.py"
    path.write_text(
        config.replace("tfds:mnist", "npz:digits.npz").replace(
            "batch_size=32", "batch_size=4"
        )
    )
    return path


@pytest.mark.parametrize("row", ["filtering", "next frame"])
def test_a_run(row, tmp_path, monkeypatch):
    monkeypatch.setattr(moving, "STEPS", 2)
    path = digits(tmp_path)
    found = sequences.run(path, row, 0, 0.02, str(tmp_path))
    assert found["steps"] >= 1 and found["figures"]["examples"] == 10
    copied = sequences.copied(path, str(tmp_path))
    assert copied["figures"]["bits_ahead_1"] > 0
    folder = tmp_path / "runs"
    folder.mkdir()
    for each in (found, {**found, "seed": 1}, copied):
        name = f"{each['row']}-{each['seed']}.json"
        (folder / name).write_text(json.dumps(each))
    lines = sequences.table(folder).splitlines()
    assert lines[0] == f"| tdvae_digits | {row} | copy |"
    bits = next(line for line in lines if "`bits_ahead_1`" in line)
    assert " ± 0.000 | " in bits  # two seeds with one value


def test_a_linear_probe():
    rng = np.random.default_rng(0)
    x = rng.normal(size=[3000, 5])
    y = x @ [1.0, -2.0, 0.5, 0, 0] + 0.3 > 0
    parts = x[:2000], y[:2000], x[2000:], y[2000:]
    assert belief_test.probe(*parts) > 0.98
    y = rng.random(3000) < 0.5
    parts = x[:2000], y[:2000], x[2000:], y[2000:]
    assert abs(belief_test.probe(*parts) - 0.5) < 0.06


def test_the_belief_test(monkeypatch, tmp_path):
    monkeypatch.setattr(belief_test, "TRAINING", 200)
    monkeypatch.setattr(belief_test, "TEST", 100)
    for row in belief_test.ROWS:
        found = belief_test.run(row, 0, 0.01)
        assert 0 <= found["accuracy"] <= 1 and found["steps"] >= 1
        name = f"{row.replace(' ', '_')}-0.json"
        (tmp_path / name).write_text(json.dumps(found))
    text = belief_test.table(tmp_path)
    assert "| TD-VAE |" in text and "points more often (1 seeds)" in text
