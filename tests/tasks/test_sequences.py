"""Recipes of sequences, from data to a preset and its commands."""

import signal

import numpy as np
import pytest

from support import small
from support.command_line import refused, run
from support.tfds_sets import write_clips
from vqvae_tf import presets, recipes
from vqvae_tf.evaluation.sequences import moving as moving_figures
from vqvae_tf.models import TDVAE, CodedSequenceModel, StateSpaceModel
from vqvae_tf.tasks import publish, run as training
from vqvae_tf.training import fitting
from vqvae_tf.training.interruption import Interrupted


def recipe(form):
    config = recipes.defaults("sequences")
    config.name = f"small_{form}"
    config.dtype_policy = "float32"
    config.data.update(form=form, max_sequences=10)
    config.recurrent.update(name="GRU", units=5)
    config.model.update(name="TDVAE", latent_sizes=(2, 3), hidden_units=6)
    config.training.update(
        steps=5, batch_size=4, steps_per_epoch=2, warmup_steps=1
    )
    return config


def moving():
    config = recipe("moving")
    config.data.update(source="npz:small.npz", length=10)
    config.model.event_shape = (small.SIZE, small.SIZE, 3)
    sizes = dict(picture_size=small.SIZE, hidden_units=(8,))
    config.encoder.update(name="DenseEncoder", output_channels=6, **sizes)
    config.likelihood.name = "Bernoulli"
    config.decoder.update(name="DenseDecoder", **sizes)
    return config


def oscillator():
    config = recipe("oscillator")
    config.data.update(source="generated", max_sequences=6)
    config.model.update(
        name="StateSpaceModel", event_shape=(1,), posterior="mean_field"
    )
    config.preprocess.name = config.encoder.name = "keras.layers:Identity"
    config.decoder.update(name="LayeredGaussian", sizes=(1,), hidden_units=6)
    return config


def coded(folder):
    config = recipe("episodes")
    config.base = str(folder / "base")
    config.data.update(source="tfds:clips", length=8, max_sequences=4)
    config.model.update(event_shape=(4, 4), gaps=((1, 3),))
    config.preprocess.update(
        name="CodeEmbedding", num_embeddings=8, embedding_dim=4
    )
    config.encoder.name = "keras.layers:Flatten"
    config.decoder.update(
        name="PixelCNN",
        num_embeddings=8,
        event_shape=(4, 4),
        hidden_channels=4,
        num_layers=1,
        local_upsampling=4,
    )
    return config


def trained(config, folder):
    """Trains and publishes a recipe; returns the preset's folder."""
    model = training.train(config, folder / "run", str(folder))
    target = folder / "run" / "preset"
    publish.publish(config, model, target, str(folder))
    return target


@pytest.fixture(scope="module", autouse=True)
def short_judge():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving_figures, "STEPS", 5)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving")
    small.write_data(folder)
    return folder, trained(moving(), folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, "clips", small.SIZE)
    small.autoencoder().save_to_preset(folder / "base")
    return folder, trained(coded(folder), folder)


def test_moving_pictures(pictures):
    _, preset = pictures
    metadata = presets.verify(preset)
    assert metadata["data"]["kind"] == "sequences"
    figures = metadata["metrics"]
    gaps = {f"bits_ahead_{gap}" for gap in (1, 2, 3, 4)}
    kept = {"direction_kept", "digit_kept"}
    far = {f"{name}_far" for name in kept}
    assert set(figures) == {"examples", "judge_accuracy", *gaps, *kept, *far}
    text = (preset / "README.md").read_text()
    assert "rollouts.gif" in text and "| The frame 1 step ahead" in text
    assert (preset / "rollouts.gif").stat().st_size > 1000
    model = TDVAE.from_preset(preset)
    assert model.gaps == ((1, 4),)


def test_figures_are_measured_again(pictures, capsys):
    folder, preset = pictures
    assert run("evaluate", preset, f"--data_dir={folder}") == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_oscillators(tmp_path):
    preset = trained(oscillator(), tmp_path)
    figures = presets.verify(preset)["metrics"]
    assert figures["examples"] == 6
    assert {"phase_error_20", "frequency_error_100"} <= set(figures)
    assert StateSpaceModel.from_preset(preset).posterior == "mean_field"
    assert not (preset / "rollouts.gif").exists()


def test_codes_of_episodes(clips):
    folder, preset = clips
    figures = presets.verify(preset)["metrics"]
    assert set(figures) == {"examples", *(f"bits_ahead_{g}" for g in (1, 2, 3))}
    # No more than a uniform distribution of untrained codes could cost.
    assert 0 < figures["bits_ahead_1"] < 2 * 16 * 3
    model = CodedSequenceModel.from_preset(preset)
    base = presets.load(folder / "base")
    x = small.pictures(3)[None]
    np.testing.assert_array_equal(
        model.encode(x)[0], base.encode(small.pictures(3))
    )
    assert model.rollout(x, times=[1, 3], seed=0).shape[:2] == (1, 2)


def test_training_goes_on_from_a_checkpoint(clips, tmp_path, monkeypatch):
    """To the same weights as without a stop."""
    folder, preset = clips
    keep = fitting.Keeper._keep

    def stopped(self):
        self.request.signal = signal.SIGTERM if self.step == 3 else None
        keep(self)

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Keeper, "_keep", stopped)
        with pytest.raises(Interrupted, match="Stopped at step 3 of 5"):
            training.train(coded(folder), tmp_path / "run", str(folder))
    found = training.train(coded(folder), tmp_path / "run", str(folder))
    whole = CodedSequenceModel.from_preset(preset)
    for a, b in zip(found.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.parametrize(
    "change, expected",
    [
        (dict(form="still"), "data.form must be one of"),
        (dict(length=1), "data.length must be"),
        (dict(max_sequences=0), "data.max_sequences must be"),
    ],
)
def test_bad_values(change, expected):
    config = moving()
    config.data.update(change)
    with pytest.raises(ValueError, match=expected):
        recipes.check_recipe(config)


def test_what_does_not_fit_is_refused(tmp_path):
    config = moving()
    config.model.name = None
    with pytest.raises(ValueError, match='model.name, such as "TDVAE"'):
        recipes.check_recipe(config)
    config = moving()
    config.base = "vqvae_cifar10"
    with pytest.raises(ValueError, match="A base encodes the frames"):
        recipes.check_recipe(config)
    config = moving()
    config.model.gaps = ((2, 4), (3, 9))
    with pytest.raises(ValueError, match="must begin at 1"):
        recipes.check_recipe(config)
    config = oscillator()
    config.recurrent.name = "Dense"
    with pytest.raises(ValueError, match="recurrent.name must be one of"):
        recipes.check_recipe(config)
    small.write_data(tmp_path)
    config = moving()
    config.data.length = 4
    with pytest.raises(ValueError, match="longer than the longest gap"):
        training.train(config, tmp_path / "run", str(tmp_path))
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_a_preset_without_data(pictures, capsys):
    folder, preset = pictures
    place = f"--data_dir={folder / 'nowhere'}"
    assert "nowhere" in refused(capsys, "evaluate", preset, place)
