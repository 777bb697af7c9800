"""`vqvae-tf evaluate`: figures again, and how presets differ."""

import json
import re

import pytest

from support.command_line import refused, run
from vqvae_tf import presets, tasks


def test_evaluate_agrees(zoo, capsys):
    assert run("evaluate", zoo, f"--data_dir={zoo}") == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_evaluate_disagrees(zoo, tmp_path, capsys):
    model = presets.load(zoo)
    metadata = presets.load_metadata(zoo / "preset")
    metadata["metrics"]["psnr"] += 1
    metadata.pop("files")
    presets.save(model, tmp_path / "other", metadata)
    assert run("evaluate", tmp_path / "other", f"--data_dir={zoo}") == 1
    out = capsys.readouterr().out
    expected = metadata["metrics"]["psnr"]
    assert f"the card says {expected:.2f}" in out


@pytest.fixture
def measured_once(monkeypatch):
    """Has presets of the same data, all of one model here, measured once."""
    measure, found = tasks.measure, {}

    def measure_once(model, description, *args, rows):
        key = json.dumps(description, sort_keys=True)
        if key not in found:
            figures = measure(model, description, *args, rows=rows)
            found[key] = figures, dict(rows)
        figures, kept = found[key]
        rows.update(kept)
        return dict(figures)

    monkeypatch.setattr(tasks, "measure", measure_once)


@pytest.mark.usefixtures("measured_once")
def test_evaluate_compares_example_by_example(zoo, capsys):
    words = ["evaluate", zoo, f"--data_dir={zoo}", f"--against={zoo}"]
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert out.count("All figures agree with the card.") == 2
    assert f"{zoo} less {zoo}, example by example, bits/dim:" in out
    metrics = presets.load_metadata(zoo / "preset")["metrics"]
    mean = (
        f"{metrics['bits_per_dim']:.4f} ± {metrics['bits_per_dim_error']:.4f}"
    )
    assert re.search(f"  bound with the prior +{mean}\n", out)
    same = "bound with the prior less bound with the prior"
    assert re.search(f"{same} +[+-]0.0000 ± 0.0000", out)


@pytest.mark.usefixtures("measured_once")
def test_evaluate_compares_runs(zoo, capsys):
    words = ["evaluate", zoo, zoo, f"--data_dir={zoo}"]
    assert run(*words) == 0
    out = capsys.readouterr().out
    _, intervals = out.split("Mean, and half of its 95 % interval:\n")
    psnr = presets.load_metadata(zoo / "preset")["metrics"]["psnr"]
    assert re.search(rf"PSNR.* {psnr:.2f} ± 0.00\n", intervals)
    assert run(*words, f"--against={zoo},{zoo}") == 0
    _, difference = capsys.readouterr().out.split("Difference, pair by pair")
    assert re.search(r"PSNR.* -?0.00 ± 0.00\n", difference)


def test_evaluate_refuses_what_is_no_pair(zoo, tmp_path, capsys):
    error = refused(capsys, "evaluate", zoo, f"--against={zoo},{zoo}")
    assert "as many presets as are measured: pairs. Received: 1 and 2" in error
    metadata = presets.load_metadata(zoo / "preset")
    metadata.pop("files")
    metadata["data"]["eval_split"] = "train"
    presets.save(presets.load(zoo), tmp_path / "other", metadata)
    against = f"--against={tmp_path / 'other'}"
    words = ["evaluate", zoo, f"--data_dir={zoo}", against]
    error = refused(capsys, *words)
    assert "must be of the same data" in error
    assert "eval_split='test'" in error and "other with 'train'." in error


def test_evaluate_without_data(plain, capsys):
    error = refused(capsys, "evaluate", plain)
    assert "does not say what to measure it on" in error
    assert "lacks source, train_split" in error
