"""Model cards: tables, comparisons, and what the text promises."""

import math

import numpy as np
import pytest
from PIL import Image

from support import small
from vqvae_tf import data, presets, recipes, tasks
from vqvae_tf.data.decoding import RESIZE_FILTER
from vqvae_tf.evaluation import figures as figure_table
from vqvae_tf.media import sheets
from vqvae_tf.tasks import card as cards
from vqvae_tf.tasks.pictures import sheets as previews
from vqvae_tf.tasks.pictures.card import samples_text
from vqvae_tf.tasks.pictures.sheets import sample_sheet

FIGURES = {"examples": 4, "psnr": 26.0, "usage": 1.0, "mse": 163.3}
PRIOR = {"prior_bits_per_code": 5.25, "bits_per_dim": 4.0}


def test_table():
    rows = figure_table.table({**FIGURES, **PRIOR})
    values = [value for _, value in rows]
    assert values == ["26.00", "163.3", "1.000", "5.250", "4.0000"]
    assert rows[0][0] == "PSNR, pooled over pixels (dB)"


def test_compare_within_tolerance():
    assert figure_table.compare({**FIGURES, "psnr": 26.01}, FIGURES) == []
    (line,) = figure_table.compare({**FIGURES, "psnr": 25.0}, FIGURES)
    assert line.endswith("measured 25.00, the card says 26.00")


@pytest.mark.parametrize("name", figure_table.FIGURES)
def test_compare_by_the_listed_tolerance_alone(name):
    tolerance = figure_table.FIGURES[name].tolerance
    for value in (0.0, 10.0, 1000.0):
        near, far = value + 0.9 * tolerance, value + 1.1 * tolerance
        assert figure_table.compare({name: near}, {name: value}) == []
        assert len(figure_table.compare({name: far}, {name: value})) == 1


def test_compare_reports_what_one_lacks():
    (line,) = figure_table.compare({"psnr": 26.0}, {"psnr": 26.0, "ssim": 0.9})
    assert line.endswith("measured nothing, the card says 0.9000")
    (line,) = figure_table.compare({"psnr": 26.0, "ssim": 0.9}, {"psnr": 26.0})
    assert line.endswith("measured 0.9000, the card says nothing")


def test_compare_infinite_and_undefined():
    perfect = {"psnr": math.inf}
    assert figure_table.compare(perfect, perfect) == []
    assert len(figure_table.compare({"psnr": 40.0}, perfect)) == 1
    assert len(figure_table.compare({"psnr": math.nan}, {"psnr": 40.0})) == 1


def test_card_with_prior():
    config = small.recipe(num_classes=2)
    config.card.summary = "A small model."
    text = cards.card(config, {**FIGURES, **PRIOR}, "6 steps of 4")
    assert text.startswith("# small\n\nA small model.\n")
    assert "![samples](samples.png)" in text
    assert "one column per class." in text
    assert 'LatentGenerator.from_preset("small")' in text
    assert "| the prior, bits/code | 5.250 |" in text
    assert "Seed 0, 6 steps of 4, dtype policy float32." in text


def test_card_without_prior():
    # The recipe names a prior; the model that was measured has none.
    text = cards.card(small.recipe(), FIGURES, "6 steps of 4")
    assert "samples.png" not in text and "Samples" not in text
    assert "LatentGenerator" not in text and "prior" not in text
    assert 'VQVAE.from_preset("small")' in text
    assert "| PSNR, pooled over pixels (dB) | 26.00 |" in text
    assert "reconstruction.\n\n## Use\n" in text
    assert "resized to 16 (bilinear, antialiased)." in text


def test_figures_name_the_filter_that_resized():
    """One constant, which is what the resizing code does."""
    description = cards.describe(small.recipe())
    assert RESIZE_FILTER in cards.resizing(description)
    assert cards.resizing({"kind": "speech", "image_size": None}) is None
    picture = np.random.default_rng(0).integers(0, 256, [50, 40, 3], np.uint8)
    expected = Image.fromarray(picture).resize((16, 20), Image.BILINEAR)
    found = data.resize_and_crop(picture, 16).numpy().astype(int)
    assert np.abs(found - np.asarray(expected)[2:18]).max() <= 2


@pytest.mark.parametrize("name", presets.BUILT_IN)
def test_card_of_the_zoo(name):
    folder = presets.find_preset(name)
    metadata = presets.load_metadata(folder)
    text = cards.card(
        recipes.load_recipe(name),
        metadata["metrics"],
        metadata["steps"],
        "elsewhere/preset",
        f"vqvae-tf train --config={name}",
        metadata.get("dtype_policy"),
    )
    assert text == (folder / "README.md").read_text()


def test_card_of_a_changed_recipe_makes_no_claims():
    config = recipes.load_recipe("vqvae_photo128")
    config.training.steps = 7
    config.card.limits = "My words."
    command = "vqvae-tf train --config=vqvae_photo128 --config.training.steps=7"
    text = cards.card(
        config,
        FIGURES,
        "7 steps of 8",
        "my run/preset",
        command,
        "mixed_bfloat16",
    )
    words = ("857", "two CPU cores", "ImageNet", "42.6", "not part of the data")
    assert [word for word in words if word in text] == []
    assert text.startswith(
        "# vqvae_photo128, changed\n\nA VQ-VAE of 128x128 pictures"
    )
    assert "My words." in text and f"`{command} --workdir=DIR`" in text
    assert "7 steps of 8, dtype policy mixed_bfloat16.\n" in text
    assert 'VQVAE.from_preset("my run/preset")' in text
    assert "`vqvae-tf evaluate 'my run/preset' --data_dir=DIR`" in text


def test_describe_is_plain():
    config = small.recipe(num_classes=2)
    config.data.resize_range = (16, 20)
    description = cards.describe(config)
    assert description["resize_range"] == [16, 20]
    assert set(tasks.of(config).data_keys) <= set(description)


def test_sample_sheet_has_a_column_for_each_class():
    generator = small.generator(num_classes=2)
    sheet = sample_sheet(generator, seed=1)
    # Pictures of 16x16, each pixel 4x4.
    assert sheet.shape == (4 * (4 * 18 + 2), 4 * (2 * 18 + 2), 3)
    again = sample_sheet(generator, seed=1)
    np.testing.assert_array_equal(sheet, again)


def test_sample_sheet_of_many_classes(monkeypatch):
    monkeypatch.setattr(previews, "COLUMNS", 2)
    generator = small.generator(num_classes=15)
    sheet = sample_sheet(generator, seed=1)
    # Of 15 classes ten, two a row.
    labels = [0, 1, 3, 4, 6, 7, 9, 10, 12, 13]
    context = {"global": np.eye(15, dtype=np.float32)[labels]}
    draws = generator.sample(10, context=context, seed=1)
    expected = sheets.enlarge(sheets.grid(draws, 2), 4)
    np.testing.assert_array_equal(sheet, expected)


def test_cards_say_how_samples_were_drawn():
    assert "prior and decoded.\n" in samples_text()
    assert "decoded, one column per class." in samples_text(10)
    assert "at temperature 0.9 and decoded, by class" in samples_text(50, 0.9)


def test_sample_sheet_of_one_class():
    generator = small.generator(num_classes=2)
    sheet = sample_sheet(generator, 4, seed=1, label=1)
    context = {"global": np.eye(2, dtype=np.float32)[[1] * 4]}
    draws = generator.sample(4, context=context, seed=1)
    expected = sheets.enlarge(sheets.grid(draws), 4)
    np.testing.assert_array_equal(sheet, expected)
