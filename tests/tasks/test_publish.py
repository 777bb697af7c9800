"""Publishing: a preset whose card, pictures and metadata fit its model."""

import re

import pytest

from support import small
from vqvae_tf import VQVAE, LatentGenerator, presets, tasks
from vqvae_tf.evaluation import figures as figure_table
from vqvae_tf.tasks import publish as publishing

WITH_PRIOR = {"samples.png", "prior.json", "prior.weights.h5"}


@pytest.mark.parametrize(
    "has_prior", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_publish(tmp_path, has_prior):
    small.write_data(tmp_path)
    model = small.generator() if has_prior else small.autoencoder()
    folder = tmp_path / "preset"
    publishing.publish(small.recipe(), model, folder, str(tmp_path))
    metadata = presets.verify(folder)
    files = {path.name for path in folder.iterdir()}
    assert files & WITH_PRIOR == (WITH_PRIOR if has_prior else set())
    card = (folder / "README.md").read_text()
    assert set(re.findall(r"!\[.*?\]\((.*?)\)", card)) <= files
    cls = LatentGenerator if has_prior else VQVAE
    assert f"{cls.__name__}.from_preset" in card
    steps = "6 steps of 4" + (", the prior 4 of 4" if has_prior else "")
    assert metadata["steps"] == steps and steps in card
    assert metadata["dtype_policy"] == "float32"
    assert metadata["resize_filter"] == "bilinear, antialiased"
    loaded = presets.load(folder)
    assert type(loaded) is cls
    figures = tasks.measure(loaded, metadata["data"], str(tmp_path), False)
    assert figure_table.compare(figures, metadata["metrics"]) == []


def test_pictures_of_small_models_are_enlarged(tmp_path):
    small.write_data(tmp_path)
    folder = tmp_path / "preset"
    model = small.autoencoder()
    publishing.publish(small.recipe(), model, folder, str(tmp_path))
    sheet = small.read_picture(folder / "reconstructions.png")
    # 12 photos of 16x16, six pairs in a row, each pixel 4x4.
    assert sheet.shape == (4 * (4 * 18 + 2), 4 * (6 * 18 + 2), 3)


def test_a_folder_of_other_files_is_refused_first(tmp_path, monkeypatch):
    (tmp_path / "preset" / ".git").mkdir(parents=True)
    monkeypatch.setattr(tasks, "measure", None)
    with pytest.raises(presets.PresetError, match="holds '.git'"):
        publishing.publish(
            small.recipe(), small.autoencoder(), tmp_path / "preset"
        )
    assert (tmp_path / "preset" / ".git").is_dir()


def test_no_image_size_is_refused_first(tmp_path):
    config = small.recipe()
    config.data.image_size = None
    with pytest.raises(ValueError, match="data.image_size"):
        publishing.publish(config, small.autoencoder(), tmp_path / "preset")
    assert not (tmp_path / "preset").exists()
