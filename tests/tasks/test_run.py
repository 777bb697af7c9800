"""Training: both stages, in a directory, on one device or two."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import assert_close, two_replicas
from vqvae_tf import recipes, tasks
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.recipes import building
from vqvae_tf.runtime.step import StepModel
from vqvae_tf.tasks import run as training
from vqvae_tf.tasks.pictures import training as pictures
from vqvae_tf.training import workdir
from vqvae_tf.training.history import read_history


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    small.write_data(folder)
    config = small.recipe(num_classes=2)
    config.training.steps_per_epoch = 4  # the last epoch is a short one
    model = training.train(config, folder / "work", str(folder))
    return folder, config, model


@pytest.fixture(scope="module")
def first_stage(run):
    """A work directory in which the autoencoder alone was trained."""
    folder, _, _ = run
    work = folder / "first"
    model = training.train(
        small.recipe(), work, str(folder), stage="autoencoder"
    )
    return work, model


def test_both_stages_are_trained(run):
    _, config, model = run
    assert int(model.autoencoder.optimizer.iterations) == 6
    assert int(model.prior.optimizer.iterations) == 4
    assert model.prior.global_channels == 2


def test_codes_are_the_float32_model_s(run):
    folder, config, model = run
    with np.load(folder / "work" / "codes.npz") as arrays:
        codes, labels = arrays["codes"], arrays["labels"]
    assert codes.shape == (8, 4, 4)
    assert set(labels) == {0, 1}
    assert 0 <= codes.min() <= codes.max() < 8


def test_summaries(run):
    folder, _, _ = run
    tags = {}
    for path in (folder / "work" / "logs").rglob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags.setdefault(path.parent.name, set()).add(value.tag)
    assert {"loss", "perplexity", "usage", "reconstructions"} <= tags[
        "autoencoder"
    ]
    assert {"loss", "bits_per_dim", "samples"} <= tags["prior"]


def test_the_same_command_finds_all_done(run, monkeypatch):
    folder, config, model = run
    monkeypatch.setattr(StepModel, "fit", None)
    again = training.train(config, folder / "work", str(folder))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_recipe_is_refused(run):
    folder, config, _ = run
    other = recipes.check_recipe(small.recipe(num_classes=2))
    other.training.learning_rate = 0.5
    with pytest.raises(ValueError, match="training.learning_rate"):
        training.train(other, folder / "work", str(folder))


def test_what_is_measured_may_change(run, tmp_path):
    folder, _, model = run
    config = small.recipe(num_classes=2)
    config.training.steps_per_epoch = 4
    config.data.update(
        bound_samples=7, neighbour_pictures=2, eval_split="train"
    )
    config.name = "other"
    config.card.limits = "Other words."
    shutil.copytree(folder / "work", tmp_path / "work")
    again = training.train(config, tmp_path / "work", str(folder))
    np.testing.assert_array_equal(
        model.get_weights()[0], again.get_weights()[0]
    )
    noted = json.loads((tmp_path / "work" / "recipe.json").read_text())
    assert noted["data"]["bound_samples"] == 7


def test_a_run_without_data_claims_nothing(tmp_path):
    work = tmp_path / "work"
    with pytest.raises(FileNotFoundError):
        training.train(small.recipe(), work, str(tmp_path))
    assert not work.exists()


def test_stage_autoencoder_stops_early(first_stage):
    work, model = first_stage
    assert model.prior is None
    assert not (work / "codes.npz").exists()


@pytest.mark.parametrize("passes", [1, 2])
def test_every_picture_is_encoded(passes):
    config = small.recipe(num_classes=70)  # a label for each picture
    config.data.flip = False
    config.quantizer.num_embeddings = 40_000  # more than int16 holds
    config.prior_training.encode_passes = passes
    model = building.make_autoencoder(config)
    images = np.random.default_rng(0).integers(0, 256, [70, 16, 16, 3])
    images = images.astype(np.uint8)
    names = [str(i) for i in range(70)]
    source = ArrayImages("noise", images, np.arange(70), names)
    arrays = pictures.encode(config, model, source)
    codes, labels = arrays["codes"], arrays["labels"]
    assert sorted(labels) == sorted([*range(70)] * passes)
    np.testing.assert_array_equal(codes, model.encode(images).numpy()[labels])
    assert codes.max() >= 2**15


def test_a_stage_that_has_not_begun_may_change(run, first_stage, tmp_path):
    """As after memory ran out in the prior: with a smaller batch."""
    folder, _, _ = run
    config = small.recipe()
    work = tmp_path / "w"
    shutil.copytree(first_stage[0], work)
    config.prior_training.batch_size = 2
    config.prior.hidden_channels = 4
    model = training.train(config, work, str(folder))
    assert model.prior.hidden_channels == 4
    noted = json.loads((work / "recipe.json").read_text())
    assert noted["prior_training"]["batch_size"] == 2
    config.prior_training.batch_size = 4
    with pytest.raises(ValueError, match="prior_training.batch_size"):
        training.train(config, work, str(folder))


def test_an_autoencoder_that_has_not_begun_may_change(run, tmp_path):
    folder, _, _ = run
    config = small.recipe()
    work = tmp_path / "w"
    work.mkdir()
    (work / "recipe.json").write_text(recipes.to_json(config))
    config.training.batch_size = 2
    training.train(config, work, str(folder), stage="autoencoder")
    noted = json.loads((work / "recipe.json").read_text())
    assert noted["training"]["batch_size"] == 2
    config.training.batch_size = 4
    with pytest.raises(ValueError, match="in training.batch_size"):
        training.train(config, work, str(folder))


@pytest.mark.slow
def test_mirrored(run, tmp_path):
    """Two replicas train both stages as one device does."""
    folder, config, alone = run
    model = training.train(
        config, tmp_path / "w", str(folder), strategy=two_replicas()
    )
    for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
        assert_close(a, b)
    names = ["autoencoder", "prior"]
    for name in names:
        ours, theirs = (
            read_history(work / "logs" / name / "history.jsonl")
            for work in (tmp_path / "w", folder / "work")
        )
        for row, expected in zip(ours, theirs, strict=True):
            assert row.keys() == expected.keys()
            for key, value in expected.items():
                assert_close(row[key], value, key)
    assert isinstance(model.sample(2, context=small_context(2)), tf.Tensor)


def small_context(count):
    return {"global": tf.one_hot([0] * count, 2)}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"training": {}, "data": 5}',
        '{"training": {}, "data": {}, "quantizer": []}',
        '{"training": {}, "data": {}, "dtype_policy": ["x"]}',
        '{"training": {}, "data": {}, "dtype_policy": "float99"}',
        "[]",
        "5",
    ],
)
def test_a_damaged_note_of_a_run_is_told_in_a_line(text, tmp_path):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match="or is damaged") as caught:
        training.train(small.recipe(), tmp_path)
    assert len(str(caught.value)) < 400


def test_auto_that_was_noted_by_hand_is_chosen_and_noted(tmp_path):
    config = small.recipe()
    config.dtype_policy = "auto"
    (tmp_path / "recipe.json").write_text(recipes.to_json(config))
    workdir.compare_recipe(config, tmp_path, tasks.of(config).plans)
    chosen = training._with_policy(config, tmp_path)
    assert chosen.dtype_policy in ("float32", "mixed_bfloat16")
    workdir.note_recipe(chosen, tmp_path)
    assert workdir.noted_policy(tmp_path) == chosen.dtype_policy
