"""What a level's prior saves by the codes above it: a run of toy size."""

import json
import pathlib
import sys
import types

import numpy as np

from vqvae_tf import recipes
from vqvae_tf.recipes import building

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import level_bits  # noqa: E402
import priors  # noqa: E402


def recipe():
    config = recipes.load_recipe("vqvae2_cifar10")
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    for level in config.model.levels:
        level["encoder"].update(sizes)
        level["quantizer"].update(num_embeddings=8, embedding_dim=4)
    config.model.levels[0]["decoder"].update(sizes)
    density = dict(name="PixelCNN", hidden_channels=8, num_layers=1)
    config.prior.densities = [dict(density), dict(density)]
    config.upper_codes.update(hidden_channels=8, num_residual_layers=0)
    config.lower_training.update(batch_size=8, learning_rate=0.02)
    return config


def test_a_run(monkeypatch, tmp_path):
    """Codes below that repeat those above need fewer bits given these."""
    config = recipe()
    model = building.make_autoencoder(config)
    top = np.random.default_rng(0).integers(0, 8, [64, 4, 4]).astype(np.uint8)
    codes = {"top": top, "bottom": top.repeat(2, 1).repeat(2, 2)}
    part = (codes, np.arange(64) % 10)
    parts = {name: part for name in ("train", "validation", "test")}
    monkeypatch.setattr(priors, "EPOCH", 20)
    arguments = types.SimpleNamespace(preset="toy", minutes=0.15)
    found = level_bits.figures("bottom", 0, model, config, parts, arguments)
    given, alone = found["given"], found["alone"]
    assert given["bits_per_code"] < alone["bits_per_code"]
    assert given["given_others"] > given["bits_per_code"]
    (tmp_path / "toy.json").write_text(json.dumps(found))
    line = level_bits.table(tmp_path).splitlines()[2]
    assert line.startswith("| toy | bottom |")
