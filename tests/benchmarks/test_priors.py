"""The comparison of priors: its division, its budget, a run of toy size."""

import functools
import json
import pathlib
import sys
import types

import keras
import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from vqvae_tf import data
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.runtime.adam import Adam

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import budget  # noqa: E402
import priors  # noqa: E402


def test_division_keeps_blocks_together():
    training, held = priors.divided(1000, 10)
    assert len(held) == 50
    assert sorted([*training, *held]) == list(range(1000))
    assert set(held // 10) == {10, 30, 50, 70, 90}


def test_a_part_has_the_pictures_of_its_rows():
    pictures = small.pictures(6, 8)
    images = ArrayImages("photos", pictures, np.arange(6) % 2, ["a", "b"])
    part = priors.Part(images, np.array([4, 1]))
    assert part.num_examples == 2 and part.num_classes == 2
    np.testing.assert_array_equal(part.get(0)["image"], pictures[4])


@pytest.mark.parametrize("row", ["PixelSNAIL", "MaskedCodeTransformer"])
def test_a_run(row, monkeypatch, tmp_path):
    config = small.recipe(num_classes=2)
    preset = types.SimpleNamespace(
        prior=vq.PixelCNN(
            16, (4, 4), hidden_channels=4, num_layers=1, global_channels=2
        )
    )
    codes = np.full([40, 4, 4], 3, np.uint8)
    part = (codes, np.arange(40) % 2)
    parts = {name: part for name in ("train", "validation", "test")}
    monkeypatch.setattr(priors, "EPOCH", 4)
    arguments = types.SimpleNamespace(preset="toy", minutes=0.03, scratch="")
    found, prior = priors.run(row, 0, preset, config, parts, arguments)
    assert prior.count_params() == found["parameters"]
    assert found["steps"] >= 1 and found["parameters"] > 1000
    validation = [point["validation"] for point in found["curve"]]
    assert found["validation_bits"] == min(validation)
    # The best weights were measured: on the same codes, the same bits.
    assert found["bits_per_code"] == pytest.approx(min(validation), rel=1e-4)
    (tmp_path / "toy.json").write_text(json.dumps(found))
    line = priors.table(tmp_path).splitlines()[2]
    assert line.startswith(f"| toy | {row} |")
    assert ("at most" in line) == (row == "MaskedCodeTransformer")
    priors.plot(tmp_path, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    """To the same weights, whether or not it was stopped."""
    codes = np.random.default_rng(0).integers(0, 16, [40, 4, 4])
    monkeypatch.setattr(priors, "EPOCH", 3)
    # Whose clock counts steps.
    ticks = iter(range(10**6))
    monkeypatch.setattr(budget.time, "process_time", lambda: next(ticks))

    def trained(looks, folder):
        keras.utils.set_random_seed(0)
        prior = vq.PixelCNN(16, (4, 4), hidden_channels=4, num_layers=1)
        prior.build()
        prior.compile(Adam(use_ema=True, ema_momentum=0.9, ema_of_run=True))
        spending = budget.Budget(12, 1e-2)
        bits, left = priors.measured(prior), iter(range(looks))

        def look():
            if next(left, None) is None:
                raise KeyboardInterrupt
            return float(bits(codes, None).mean() / 16)

        batches = functools.partial(data.array_batches, codes, 4, 0)
        scratch = budget.Scratch(prior, folder, spending)
        curve = priors.fitted(prior, batches, spending, look, scratch)
        return curve, prior.get_weights()

    expected, weights = trained(9, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(2, tmp_path / "stopped")
    curve, found = trained(9, tmp_path / "stopped")
    assert len(curve) == len(expected) == 4
    assert curve == expected
    for a, b in zip(found, weights):
        np.testing.assert_array_equal(a, b)
