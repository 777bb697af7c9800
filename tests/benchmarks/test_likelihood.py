"""The sweep of the likelihood table, and its picture."""

import json
import pathlib
import sys

import pytest

from vqvae_tf import building

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import likelihood_plot  # noqa: E402
import likelihood_table  # noqa: E402


@pytest.mark.parametrize("name", likelihood_table.points())
def test_points_have_their_number_of_latents(name):
    kind, number = likelihood_table.points()[name]
    model = building.make_autoencoder(
        likelihood_table.make_recipe(kind, number)
    )
    channels = model.encoder.output_channels
    if kind == "vqvae":
        assert model.quantizer.num_codebooks == number
        assert channels == number * model.quantizer.embedding_dim
        return
    bottleneck = model.bottleneck
    estimator = "vimco" if kind.startswith("vimco") else "elbo"
    assert bottleneck.estimator == estimator
    if kind == "vimco":
        assert bottleneck.num_codebooks == number
        assert channels == number * bottleneck.num_embeddings
    else:
        assert bottleneck.num_channels(channels) == number


def test_all_share_what_is_not_compared():
    keys = "data likelihood decoder training seed dtype_policy".split()
    first, *others = (
        likelihood_table.make_recipe(*point)
        for point in likelihood_table.points().values()
    )
    for config in others:
        for key in keys:
            expected, found = first[key], config[key]
            if key == "data":
                for figures in ("bound_samples", "neighbour_pictures"):
                    expected[figures] = found[figures]
            assert found == expected, key
        assert config.encoder.hidden_channels == first.encoder.hidden_channels


def test_overrides():
    changes = [("training.steps", 7), ("likelihood", {"name": "Categorical"})]
    config = likelihood_table.make_recipe("vae", 4, changes)
    assert config.training.steps == 7
    assert config.likelihood.to_dict() == {"name": "Categorical"}


def test_what_is_known_is_not_measured_again(monkeypatch, tmp_path, capsys):
    calls = []

    def run(name, arguments):
        calls.append(name)
        return {"bits_per_dim": 5.0, "split": arguments.split}

    monkeypatch.setattr(likelihood_table, "run", run)
    words = ["likelihood_table", "--workdir", str(tmp_path), "--only"]
    for names in (["vae_2"], ["vae_2", "vae_4"]):
        monkeypatch.setattr(sys, "argv", [*words, *names])
        likelihood_table.main()
    assert calls == ["vae_2", "vae_4"]
    table = json.loads((tmp_path / "table.json").read_text())
    assert len(table) == 2
    assert "5.0000 bits/dim" in capsys.readouterr().out


def test_curves_are_sorted_and_of_one_split(tmp_path):
    def row(value, split="val"):
        course = [[1, 6.0], [2, 5.0]]
        return {"bits_per_dim": value, "split": split, "course": course}

    table = {
        "vae_16:val:1": row(5.1),
        "vae_2:val:1": row(5.3),
        "vae_8:test:1": row(4.0, "test"),
        "vqvae_1:val:1": {**row(9.9), "bits_per_dim_uniform": 5.4},
    }
    curves = likelihood_plot.curves(table, "val")
    assert [n for n, _ in curves["vae"]] == [2, 16]
    assert likelihood_plot.bound(curves["vqvae"][0][1]) == 5.4
    likelihood_plot.draw(table, "val", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
