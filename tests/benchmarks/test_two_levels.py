"""One level against two: a run of toy size, its table and its plot."""

import pathlib
import sys
import types

import numpy as np
import pytest

from support import small
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.evaluation.statistics import psnr

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))

import two_levels  # noqa: E402

SIZE = 16


@pytest.fixture
def few_pictures(monkeypatch):
    pictures = small.pictures(10, SIZE)
    images = ArrayImages("photos", pictures)
    monkeypatch.setattr(two_levels, "opened", lambda split, arguments: images)
    sizes = dict(hidden_channels=8, num_residual_layers=0)
    monkeypatch.setattr(two_levels, "SIZES", sizes)
    return pictures


def test_a_run(few_pictures, tmp_path):
    arguments = types.SimpleNamespace(
        **dict(name="toy", size=SIZE, crop=8, batch=4, resize_range=None),
        **dict(steps=3, prior_batch=4, prior_steps=2, few=8),
    )
    row = "two, 16 and 16"
    found = two_levels.run(row, 0, arguments)
    assert set(found["bits_of_levels"]) == {"top", "bottom"}
    # 4 and 16 codes of about four bits each.
    assert found["bits_a_pixel"] == pytest.approx(20 * 4 / SIZE**2, rel=0.2)
    error = found["mse_over_variance"] * np.var(few_pictures.astype(float))
    assert found["psnr"] == pytest.approx(psnr(error))
    for number, one in enumerate((row, "one, 16")):
        own = {**found, "row": one, "bits_of_levels": {"codes": 3.0}}
        two_levels.command.write(tmp_path / f"{number}.json", own)
    lines = two_levels.table(tmp_path).splitlines()[2:]
    # In the order of the rows, not of the files.
    assert [line.split(" | ")[1] for line in lines] == ["one, 16", row]
    two_levels.plot(tmp_path, tmp_path / "plot.png")
    assert small.read_picture(tmp_path / "plot.png").std() > 1


@pytest.mark.parametrize("row", two_levels.ROWS)
def test_rows_have_as_many_grids_as_they_say(row):
    count = {"one": 1, "two": 2}[row.partition(",")[0]]
    model = two_levels.model_of(two_levels.ROWS[row](0), 32)
    assert list(model.downsamplings().values()) == [8, 4][-count:]
