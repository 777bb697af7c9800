"""Recipes of hierarchical codes, from data to a preset and its commands."""

import json

import numpy as np
import pytest

from support import small
from support.command_line import refused, run
from vqvae_tf import (
    HierarchicalVQVAE,
    LatentGenerator,
    PictureClassifier,
    ResidualFeatures,
    presets,
    recipes,
)
from vqvae_tf.encoding.reading import load_codes
from vqvae_tf.tasks import publish, run as training
from vqvae_tf.tasks.levels.training import PLANS

SIZES = dict(hidden_channels=8, num_residual_layers=0)


def level(factor, decoder=True, **quantizer):
    found = dict(
        name="CodeLevel",
        encoder=dict(
            name="Encoder",
            output_channels=None,
            num_downsamples=factor,
            **SIZES,
        ),
        quantizer=dict(
            name="VectorQuantizerEMA",
            num_embeddings=8,
            embedding_dim=4,
            **quantizer,
        ),
    )
    if decoder:
        found["decoder"] = dict(
            name="Decoder",
            output_channels=4,
            num_upsamples=factor,
            **SIZES,
        )
    return found


def recipe():
    """Of 2x2 and 4x4 codes, the latter of two codebooks."""
    config = recipes.defaults("levels")
    config.name = "small_levels"
    config.dtype_policy = "float32"
    config.data.update(
        source="npz:small.npz", image_size=small.SIZE, num_classes=2
    )
    config.model.update(
        name="HierarchicalVQVAE",
        levels=[level(1), level(2, False, num_codebooks=2)],
        level_dropout=0.25,
        seed=1,
    )
    config.decoder.update(**SIZES)
    density = dict(
        name="PixelCNN",
        hidden_channels=8,
        num_layers=1,
        first_kernel_size=3,
        head_channels=8,
    )
    config.prior.update(
        name="CodeChain", densities=[dict(density), dict(density)]
    )
    config.upper_codes.update(
        embedding_dim=4, hidden_channels=8, num_residual_layers=1
    )
    steps = dict(batch_size=4, steps_per_epoch=2, warmup_steps=1)
    config.training.update(steps=5, ema_momentum=0.9, **steps)
    config.prior_training.update(steps=3, **steps)
    config.lower_training.update(steps=4, **steps)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, and the run of the recipe with its preset."""
    path = tmp_path_factory.mktemp("levels")
    small.write_data(path)
    model = training.train(recipe(), path / "run", str(path))
    publish.publish(recipe(), model, path / "run" / "preset", str(path))
    return path


def test_what_was_trained(folder):
    metadata = presets.verify(folder / "run" / "preset")
    assert metadata["data"]["kind"] == "levels"
    assert metadata["steps"] == (
        "5 steps of 4 with averaged weights (momentum 0.9), the prior of top 3 "
        "of 4, the prior of bottom 4 of 4"
    )
    for key in ("psnr_alone_of_top", "usage_of_bottom", "prior_bits_per_code"):
        assert np.isfinite(metadata["metrics"][key])
    model = LatentGenerator.from_preset(folder / "run" / "preset")
    codes = model.encode(small.pictures(2))
    assert codes["top"].shape == (2, 2, 2)
    assert codes["bottom"].shape == (2, 4, 4, 2)
    alone = HierarchicalVQVAE.from_preset(folder / "run" / "preset")
    assert alone.level_dropout == 0.25


def test_the_card(folder):
    preset = folder / "run" / "preset"
    text = (preset / "README.md").read_text()
    assert "codes on 2 grids: top 2x2 of K=8, bottom 4x4 of K=8." in text
    assert "| usage (share of codes used): top |" in text
    sheet = small.read_picture(preset / "levels.png")
    assert sheet.shape[-1] == 3 and (preset / "samples.png").exists()


def test_its_figures_are_measured_again(folder, capsys):
    preset = folder / "run" / "preset"
    assert run("evaluate", preset, f"--data_dir={folder}") == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_the_same_command_finds_all_done(folder):
    before = LatentGenerator.from_preset(folder / "run" / "preset")
    again = training.train(recipe(), folder / "run", str(folder))
    for a, b in zip(before.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_which_keys_bind_which_stage(folder):
    config = recipe()
    config.lower_training.steps = 9
    with pytest.raises(ValueError, match="lower_training.steps"):
        training.train(config, folder / "run", str(folder))
    config = recipe()
    config.upper_codes.hidden_channels = 16
    with pytest.raises(ValueError, match="upper_codes"):
        training.train(config, folder / "run", str(folder))
    names = [plan.name for plan in PLANS if plan.is_used(recipe())]
    assert names == ["autoencoder", "prior_top", "prior_bottom"]


def test_a_run_that_is_interrupted_ends_alike(folder, tmp_path):
    """The autoencoder alone first, then the priors."""
    training.train(recipe(), tmp_path / "run", str(folder), "autoencoder")
    again = training.train(recipe(), tmp_path / "run", str(folder))
    before = LatentGenerator.from_preset(folder / "run" / "preset")
    for a, b in zip(before.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_codes_of_pictures_and_back(folder, tmp_path, capsys):
    preset = folder / "run" / "preset"
    images = small.pictures(5)
    np.savez(tmp_path / "x.npz", images=images)
    assert run("encode", preset, tmp_path / "x.npz", tmp_path / "c.npz") == 0
    model = presets.load(preset)
    codes = model.encode(images)
    with np.load(tmp_path / "c.npz") as arrays:
        for name, own in codes.items():
            np.testing.assert_array_equal(arrays[f"codes_{name}"], own)
        whole = dict(arrays)
    assert run("decode", preset, tmp_path / "c.npz", tmp_path / "o.npz") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], model.decode(codes))
    del whole["codes_bottom"]
    np.savez(tmp_path / "top.npz", **whole)
    words = ["decode", preset, tmp_path / "top.npz", tmp_path / "out"]
    assert "Expected an array `codes_bottom`" in refused(capsys, *words)
    whole["codes_bottom"] = np.zeros([2, 4, 4, 2], np.int32)
    np.savez(tmp_path / "short.npz", **whole)
    words[2] = tmp_path / "short.npz"
    assert "as many rows of each level" in refused(capsys, *words)


def test_a_data_set_of_codes(folder, tmp_path):
    preset = folder / "run" / "preset"
    words = ["encode", preset, "npz:small.npz", tmp_path / "codes"]
    assert run(*words, "--split=test", f"--data_dir={folder}") == 0
    found = load_codes(tmp_path / "codes", "test")
    model = presets.load(preset)
    codes = model.encode(small.pictures(12)[8:])
    for name, own in codes.items():
        np.testing.assert_array_equal(found[f"codes_{name}"], own)
    out = tmp_path / "out"
    assert run("decode", preset, tmp_path / "codes", out) == 0
    for i, picture in enumerate(model.decode(codes).numpy()):
        written = small.read_picture(out / "test" / f"{i}.png")
        np.testing.assert_array_equal(written, picture)


def test_samples_from_the_command_line(folder, tmp_path):
    output = tmp_path / "samples.png"
    words = ["sample", folder / "run" / "preset", f"--output={output}"]
    assert run(*words, "--num=2", "--label=1", "--temperature=0.9") == 0
    assert small.read_picture(output).shape[-1] == 3


def test_the_best_samples_by_a_classifier(folder, tmp_path):
    classifier = PictureClassifier(
        ResidualFeatures((2, 4), blocks_per_stage=1, num_groups=2), 2
    )
    classifier.save_to_preset(tmp_path / "classifier")
    output = tmp_path / "best.png"
    words = ["sample", folder / "run" / "preset", f"--output={output}"]
    words += [f"--classifier={tmp_path / 'classifier'}", "--keep=0.5"]
    assert run(*words, "--num=4") == 0
    assert small.read_picture(output).shape[-1] == 3


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(model=dict(levels=[level(1)])), "two or more levels"),
        (dict(model=dict(levels=[{"encoder": {}}])), "which has a `name`"),
        (dict(prior=dict(densities=[])), "a density for each of 2 levels"),
        (dict(data=dict(image_size=None)), "image_size must be the side"),
        (dict(data=dict(neighbour_pictures=3)), "have no use for data.neigh"),
        (dict(data=dict(class_groups=(1,))), "a number for each of"),
    ],
)
def test_recipes_that_do_not_fit(change, message):
    config = recipe()
    for section, options in change.items():
        with config[section].ignore_type():
            config[section].update(options)
    with pytest.raises(ValueError, match=message):
        recipes.check_recipe(config)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(hidden_chanels=8), "hidden_chanels"),
        (dict(name="PixelCMM"), "prior.name must be one of"),
    ],
)
def test_mistakes_in_priors_show_before_training(folder, change, message):
    config = recipe()
    config.prior.densities[1].update(change)
    with pytest.raises(ValueError, match=message):
        training.train(config, folder / "other", str(folder))
    assert not (folder / "other").exists()


def test_a_recipe_is_plain_json():
    found = json.loads(recipes.to_json(recipes.check_recipe(recipe())))
    assert found["model"]["levels"][0]["quantizer"]["num_embeddings"] == 8
