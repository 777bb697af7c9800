"""Recipes of classifiers, and models measured in their features."""

import numpy as np
import pytest

from support import small
from support.command_line import refused, run
from vqvae_tf import PictureClassifier, presets, recipes, tasks
from vqvae_tf.models.feature_networks import identity
from vqvae_tf.tasks import card as cards, publish, run as training


def recipe():
    config = recipes.defaults("classifier")
    config.name = "small_classifier"
    config.dtype_policy = "float32"
    config.data.update(
        source="npz:small.npz", image_size=small.SIZE, num_classes=2
    )
    config.network.update(
        stage_channels=(2, 4), blocks_per_stage=1, num_groups=2, seed=1
    )
    config.classifier.update(name="PictureClassifier")
    config.training.update(
        steps=5, batch_size=4, steps_per_epoch=2, warmup_steps=1
    )
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier")
    small.write_data(path)
    model = training.train(recipe(), path / "run", str(path))
    publish.publish(recipe(), model, path / "run" / "preset", str(path))
    return path


def test_what_was_trained(folder):
    metadata = presets.verify(folder / "run" / "preset")
    assert metadata["data"]["kind"] == "classifier"
    assert metadata["metrics"]["examples"] == 4
    model = PictureClassifier.from_preset(folder / "run" / "preset")
    x = small.pictures(12)[8:]
    named = model.probabilities(x).numpy().argmax(-1)
    right = np.mean(named == np.arange(8, 12) % 2)
    assert metadata["metrics"]["accuracy"] == pytest.approx(right)
    text = (folder / "run" / "preset" / "README.md").read_text()
    assert "| classes named rightly |" in text
    assert "A classifier of 16x16 pictures into 2 classes" in text


def test_classes_without_a_group_are_refused():
    config = recipe()
    config.data.class_groups = [0, 1, 1]
    with pytest.raises(ValueError, match="class_groups must have a number"):
        recipes.check_recipe(config)


def test_its_figures_are_measured_again(folder, capsys):
    words = [folder / "run" / "preset", f"--data_dir={folder}"]
    assert run("evaluate", *words) == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def judged_by(folder):
    """Returns a recipe of a generative model."""
    config = small.recipe(num_classes=2)
    config.data.feature_network = str(folder / "run" / "preset")
    config.data.update(drawn_samples=6, drawn_temperature=0.9)
    return recipes.check_recipe(config)


def test_figures_belong_to_one_network(folder, tmp_path):
    config, model = judged_by(folder), small.generator(num_classes=2)
    publish.publish(config, model, tmp_path / "preset", str(folder))
    data = presets.verify(tmp_path / "preset")["data"]
    network = config.data.feature_network
    assert data["feature_network_sha256"] == identity(network)
    assert identity("inception_v3") is None
    data["feature_network_sha256"] = "0" * 64
    with pytest.raises(presets.PresetError, match="cannot be compared with"):
        tasks.measure(model, data, str(folder), False)


def test_samples_are_measured_in_its_features(folder):
    config = judged_by(folder)
    model = small.generator(num_classes=2)
    found = tasks.measure(model, cards.describe(config), str(folder), False)
    assert found["samples"] == 6
    assert np.isfinite(found["sample_kernel_distance"])
    text = cards.card(config, found, "6 steps")
    assert "6 samples at temperature 0.9" in text
    assert "| kernel distance of samples |" in text


def test_it_has_no_codes(folder, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", images=small.pictures(2))
    words = ["encode", folder / "run" / "preset", tmp_path / "x.npz"]
    error = refused(capsys, *words, tmp_path / "c.npz")
    assert "A classifier has neither codes nor pictures" in error
    words = ["sample", folder / "run" / "preset"]
    assert "a PictureClassifier" in refused(capsys, *words)


def test_recipes_that_do_not_fit():
    config = recipe()
    config.data.num_classes = None
    with pytest.raises(ValueError, match="A classifier needs"):
        recipes.check_recipe(config)
