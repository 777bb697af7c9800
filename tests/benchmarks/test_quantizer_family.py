"""The family's table: a run of toy size, and what the table is made of."""

import json
import pathlib
import sys
import types

import numpy as np
import pytest

from support import small
from vqvae_tf.data.pictures.source import ArrayImages

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import quantizer_family as family  # noqa: E402
import quantizer_peers as beside  # noqa: E402


@pytest.fixture
def few_pictures(monkeypatch):
    pictures = np.tile(small.pictures(10, 32), (20, 1, 1, 1))
    images = ArrayImages("photos", pictures, np.zeros(200, int), ["a"])
    monkeypatch.setattr(family, "opened", lambda split, arguments: images)
    return pictures


ARGUMENTS = types.SimpleNamespace(steps=4, prior_steps=2, pictures=64)


def test_a_run(few_pictures, tmp_path):
    row = "residual 2 x 64"
    found = family.run(row, 0, ARGUMENTS)
    assert found["bits_per_position"] == 12
    # Of two codebooks, 200 pictures of 64 positions.
    assert 0 < found["usage"] <= 1 <= found["perplexity"] <= 64
    assert 0 < found["prior_bits_per_position"] < 20
    assert found["mse_over_variance"] > 0.01
    for seed, error in enumerate((0.1, 0.3)):
        family.command.write(
            family.path_of(tmp_path, row, seed),
            {**found, "seed": seed, "mse_over_variance": error},
        )
    line = family.table(tmp_path).splitlines()[2]
    assert line.startswith(f"| {row} | 12.0 | 0.2000 ± 0.1414 |")


def test_the_error_is_that_of_the_pictures(few_pictures):
    class Darker:
        def reconstruct(self, x):
            return x - 1.0

    family_codes, family.codes_of = family.codes_of, lambda *_: "codes"
    try:
        pictures = few_pictures.astype(np.float32)
        error, codes = family.test_figures(Darker(), pictures)
    finally:
        family.codes_of = family_codes
    assert codes == "codes"
    assert error == pytest.approx(1 / np.var(few_pictures.astype(float)))


def test_codes_are_counted_in_each_codebook():
    quantizer = family.ROWS["groups 2 x 64"](0)
    codes = np.array([[[0, 5], [0, 63]]])
    counts = family.counts_of(codes, quantizer).numpy()
    assert counts.shape == (2, 64)
    assert (counts[0, 0], counts[1, 5], counts[1, 63]) == (2, 1, 1)
    assert counts.sum() == 4


def test_every_row_makes_its_quantizer():
    assert set(family.MAIN) <= set(family.ROWS) and len(family.MAIN) == 10
    assert family.rows_of("main") == family.MAIN
    assert family.rows_of("EMA 512;FSQ 8,8,8") == ["EMA 512", "FSQ 8,8,8"]
    for row, make in family.ROWS.items():
        bits = make(0).bits_per_position
        last = row.split()[-1]
        if last in ("512", "4096") and " x " not in row:
            assert bits == np.log2(int(last))
        assert 9 <= bits <= 18


def test_files_are_those_of_rows():
    names = {
        family.path_of(family.FOLDER, r, s).name
        for r in family.ROWS
        for s in range(3)
    }
    assert len(names) == 3 * len(family.ROWS)
    for path in family.FOLDER.glob("*-*.json"):
        assert path.name in names
        assert json.loads(path.read_text())["steps"] == 4000


def test_the_page_of_speed_has_every_row():
    found = json.loads(beside.FILE.read_text())
    assert list(beside.ROWS) == [row for row in beside.ROWS if row in found]
    page = beside.FILE.with_name("speed.md").read_text()
    assert beside.table(found) in page


@pytest.mark.parametrize("row", ["FSQ", "residual 8", "factorized to 8"])
def test_a_step_has_gradients_of_latents_and_parameters(row, monkeypatch):
    monkeypatch.setattr(beside, "N", 32)
    gradients = beside.our_step(row)()
    channels = beside.ROWS[row][0]
    assert gradients[0].shape == (32, channels)
    assert len(gradients) == (5 if "factorized" in row else 1)
    assert all(np.any(gradient != 0) for gradient in gradients[:1])


def test_the_page_has_the_table_of_all_runs():
    page = family.FOLDER.with_name("quantizers.md").read_text()
    assert family.table(family.FOLDER) in page
