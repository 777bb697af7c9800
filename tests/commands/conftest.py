"""Presets and files that the commands' tests share."""

import numpy as np
import pytest
from PIL import Image

from support import small
from vqvae_tf import recipes
from vqvae_tf.tasks import publish as publishing


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """A folder with data, photos, and a preset of an untrained model."""
    folder = tmp_path_factory.mktemp("zoo")
    small.write_data(folder)
    photos = folder / "photos"
    photos.mkdir()
    for i, picture in enumerate(small.pictures(3, 20)):
        Image.fromarray(picture).save(photos / f"p{i}.png")
    config = recipes.check_recipe(small.recipe(num_classes=2))
    config.card.summary = "A small model."
    model = small.generator(num_classes=2)
    publishing.publish(config, model, folder / "preset", str(folder))
    return folder


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A preset whose metadata say nothing of data."""
    folder = tmp_path_factory.mktemp("plain")
    small.autoencoder().save_to_preset(folder / "preset")
    return folder


@pytest.fixture
def albums(tmp_path):
    """Pictures of one name in two folders, and a text beside them."""
    for album, picture in zip("ab", small.pictures(2, 20)):
        (tmp_path / "albums" / album).mkdir(parents=True)
        path = tmp_path / "albums" / album / "1.png"
        Image.fromarray(picture[:18]).save(path)
    (tmp_path / "albums" / "LICENCES.md").write_text("free")
    return tmp_path / "albums"


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """A preset of an untrained model of video, and a clip."""
    folder = tmp_path_factory.mktemp("film")
    small.video(num_actions=5).save_to_preset(folder / "preset")
    np.savez(
        folder / "clip.npz",
        frames=small.pictures(5),
        actions=np.array([0, 4, 3, 2, 1]),
    )
    return folder
