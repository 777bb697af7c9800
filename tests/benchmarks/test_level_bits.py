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
import level_priors  # noqa: E402
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


def parts_of():
    """Codes below that repeat those above."""
    top = np.random.default_rng(0).integers(0, 8, [64, 4, 4]).astype(np.uint8)
    codes = {"top": top, "bottom": top.repeat(2, 1).repeat(2, 2)}
    part = (codes, np.arange(64) % 10)
    return {name: part for name in ("train", "validation", "test")}


def test_a_run(monkeypatch, tmp_path):
    """Codes below that repeat those above need fewer bits given these."""
    config, parts = recipe(), parts_of()
    model = building.make_autoencoder(config)
    monkeypatch.setattr(priors, "EPOCH", 20)
    arguments = types.SimpleNamespace(preset="toy", minutes=0.15)
    found = level_bits.figures("bottom", 0, model, config, parts, arguments)
    given, alone = found["given"], found["alone"]
    assert given["bits_per_code"] < alone["bits_per_code"]
    assert given["given_others"] > given["bits_per_code"]
    (tmp_path / "toy.json").write_text(json.dumps(found))
    line = level_bits.table(tmp_path).splitlines()[2]
    assert line.startswith("| toy | bottom |")


def test_a_chain_of_another_kind(monkeypatch, tmp_path):
    config, parts = recipe(), parts_of()
    model = building.make_autoencoder(config)
    masked = dict(name="MaskedCodeTransformer", num_heads=2, num_passes=2)
    sizes = dict(hidden_channels=8, num_layers=1)
    row = [masked | sizes, masked | sizes]
    monkeypatch.setitem(level_priors.ROWS, "MaskedCodeTransformer", row)
    monkeypatch.setattr(priors, "EPOCH", 5)
    arguments = types.SimpleNamespace(
        preset="toy", minutes=0.05, scratch=str(tmp_path / "scratch")
    )
    rest = (model, config, parts, arguments)
    found, chain = level_priors.run("MaskedCodeTransformer", 0, *rest)
    own = found["levels"]
    sizes = {"top": 16, "bottom": 64}
    bits = sum(own[k]["bits_per_code"] * n for k, n in sizes.items())
    np.testing.assert_allclose(found["bits_per_code"], bits / 80)
    assert found["is_bound"]
    codes = chain.sample(2, context={"global": np.eye(10)[:2]}, seed=0)
    assert codes["top"].shape == (2, 4, 4)
    assert codes["bottom"].shape == (2, 8, 8)
    (tmp_path / "toy.json").write_text(json.dumps(found))
    line = priors.table(tmp_path).splitlines()[2]
    assert line.startswith("| toy | MaskedCodeTransformer |")
    # What is found in the scratch is as good as trained.
    again, _ = level_priors.run("MaskedCodeTransformer", 0, *rest)
    assert again["levels"]["bottom"] == own["bottom"]
