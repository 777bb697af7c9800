"""A modality of one's own: the worked example of docs/design.md."""

import pytest

from support import small
from support.command_line import run
from support.spectrogram_task import TASK
from vqvae_tf import LatentGenerator, presets, recipes, tasks
from vqvae_tf.recipes import registry

pytest.importorskip("soundfile", reason="reads recordings")

RECIPE = """
from vqvae_tf.recipes import defaults

def get_config():
    config = defaults("spectrograms")
    config.name = "small_spectrograms"
    config.data.update(source="folder", num_mels=16, num_frames=16)
    config.encoder.update(output_channels=4, hidden_channels=8)
    config.quantizer.update(num_embeddings=8, embedding_dim=4)
    config.decoder.update(hidden_channels=8)
    config.training.update(steps=4, batch_size=2, steps_per_epoch=2)
    config.prior.update(
        name="PixelCNN", event_shape=(4, 4), hidden_channels=8, num_layers=1,
        first_kernel_size=3, head_channels=8,
    )
    config.prior_training.update(steps=2, batch_size=2, steps_per_epoch=2)
    return config
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with recordings, a recipe, and the run that it trained."""
    path = tmp_path_factory.mktemp("spectrograms")
    small.write_voices(path / "voices")
    (path / "recipe.py").write_text(RECIPE)
    tasks.register(TASK)
    words = [f"--config={path / 'recipe.py'}", f"--workdir={path / 'run'}"]
    assert run("train", *words, f"--data_dir={path / 'voices'}") == 0
    yield path
    del tasks.TASKS["spectrograms"], registry._KINDS["spectrograms"]


def test_it_is_trained_and_published(folder):
    metadata = presets.verify(folder / "run" / "preset")
    assert metadata["data"]["kind"] == "spectrograms"
    assert metadata["steps"] == "4 steps of 2, the prior 2 of 2"
    assert metadata["metrics"]["psnr"] > 0
    model = LatentGenerator.from_preset(folder / "run" / "preset")
    assert model.sample(2, seed=0).shape == (2, 16, 16, 1)


def test_its_card_tells_what_it_is(folder):
    text = (folder / "run" / "preset" / "README.md").read_text()
    assert "A VQ-VAE of spectrograms, 16 bands by 16 frames at 8000 Hz." in text
    assert "--config" in text and "reconstructions.png" in text


def test_its_figures_are_measured_again(folder, capsys):
    words = [folder / "run" / "preset", f"--data_dir={folder / 'voices'}"]
    assert run("evaluate", *words) == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_a_run_goes_on(folder):
    words = [f"--config={folder / 'recipe.py'}", f"--workdir={folder / 'run'}"]
    words += [f"--data_dir={folder / 'voices'}", "--stage=autoencoder"]
    assert run("train", *words) == 0


def test_its_recipes_are_checked(folder):
    config = recipes.defaults("spectrograms")
    config.data.num_mels = 30
    with pytest.raises(ValueError, match="num_mels must be a multiple"):
        recipes.check_recipe(config)
    config.data.num_mels = -2
    with pytest.raises(ValueError, match="data.num_mels must be an integer"):
        recipes.check_recipe(config)
    with pytest.raises(ValueError, match="Unknown keys .* image_size"):
        config.data.image_size = 3
        recipes.check_recipe(config)


def test_presets_of_a_task_that_nobody_registered(folder, monkeypatch, capsys):
    """As in another process, which has not imported the task's module."""
    monkeypatch.delitem(tasks.TASKS, "spectrograms")
    words = [folder / "run" / "preset", f"--data_dir={folder / 'voices'}"]
    assert run("evaluate", *words) == 1
    message = capsys.readouterr().err
    assert "Received: 'spectrograms'" in message
    assert "import the module that registers it" in message
    assert "Traceback" not in message
