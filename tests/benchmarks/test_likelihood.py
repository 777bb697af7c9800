"""The sweep of the likelihood table, and its picture."""

import json
import pathlib
import sys

import pytest

from vqvae_tf.recipes import building

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import likelihood_plot  # noqa: E402
import likelihood_table  # noqa: E402
import trained  # noqa: E402


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
        return {"bits_per_dim": 5.0, "split": arguments.split, "steps": 9}

    monkeypatch.setattr(likelihood_table, "run", run)
    words = ["likelihood_table", "--workdir", str(tmp_path), "--only"]
    for names in (["vae_8"], ["vae_8", "vae_4"]):
        monkeypatch.setattr(sys, "argv", [*words, *names])
        likelihood_table.main()
    assert calls == ["vae_8", "vae_4"]
    table = json.loads((tmp_path / "table.json").read_text())
    assert len(table) == 2
    assert "5.0000 bits/dim" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*words, "vae_8", "--steps", "3"])
    with pytest.raises(SystemExit):
        likelihood_table.main()
    wrong = capsys.readouterr().err
    assert "after 9 steps. Give --suffix. Received: --steps=3." in wrong


def test_points_of_another_process_are_kept(monkeypatch, tmp_path):
    table = tmp_path / "table.json"

    def run(name, arguments):
        trained.add(table, "other", {"bits_per_dim": 4.0})
        return {"bits_per_dim": 5.0, "split": arguments.split, "steps": 9}

    monkeypatch.setattr(likelihood_table, "run", run)
    words = ["likelihood_table", "--workdir", str(tmp_path), "--only", "vae_8"]
    monkeypatch.setattr(sys, "argv", words)
    likelihood_table.main()
    assert set(trained.read(table)) == {
        "other",
        f"vae_8:{likelihood_table.VALIDATION}:1",
    }


def test_the_bound_is_the_tightest_of_the_prior_in_training():
    figures = {"bits_per_dim": 5.0, "bits_per_dim_S": 4.9}
    assert likelihood_table.bound(figures) == 4.9
    learned = {**figures, "bits_per_dim_uniform": 5.2}
    assert likelihood_table.bound(learned) == 5.2
    with pytest.raises(KeyError, match="no bound among mse"):
        likelihood_table.bound({"mse": 1.0})


def test_curves_are_sorted_and_of_one_split(tmp_path):
    def row(value, split="val", steps=6000):
        course = [[1, 6.0], [2, 5.0]]
        return {
            "bits_per_dim": value,
            "split": split,
            "course": course,
            "steps": steps,
        }

    table = {
        "vae_16:val:1": row(5.1),
        "vae_2:val:1": row(5.3),
        "vae_8:test:1": row(4.0, "test"),
        "vae_8:val:50": row(4.9),
        "vae_4_short:val:1": row(5.9, steps=1500),
        "vae_4_other:val:1": row(5.9, steps=900),
        "vqvae_1:val:1": {**row(9.9), "bits_per_dim_uniform": 5.4},
        "vimco_4:val:1": row(749.0),
    }
    curves = likelihood_plot.curves(table, "val")
    numbers = {sweep: [n for n, _ in rows] for sweep, rows in curves.items()}
    assert numbers == {
        ("vae", 6000): [2, 16],
        ("vae", 1500): [4],
        ("vqvae", 6000): [1],
        ("vimco", 6000): [4],
    }
    likelihood_plot.draw(table, "val", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
