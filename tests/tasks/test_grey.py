"""Grey pictures, and held-out parts of a training set, from end to end."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from support import small, tfds_sets
from support.command_line import run
from support.export_harness import call, run_export_test
from vqvae_tf import VideoGenerator, data, presets, recipes
from vqvae_tf.commands.inputs import clips as clip_inputs
from vqvae_tf.media import sheets
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.tasks import (
    base_model as codes,
    card as cards,
    card_samples,
    run as training,
)
from vqvae_tf.tasks.pictures import recipe as pictures

TRAINED_ON = 37  # of sixty, so that the split is inside of a file
CLASSES = 10


def recipe():
    """A recipe that trains in seconds on a part of `digits`."""
    config = small.recipe(num_classes=CLASSES)
    config.data.update(
        source="tfds:digits",
        train_split=f"train[:{TRAINED_ON}]",
        eval_split=f"train[{TRAINED_ON}:]",
        image_size=28,
        channels=1,
        flip=False,
    )
    config.quantizer.initialize_from_data = True
    config.prior.event_shape = (7, 7)
    config.card.samples = "digits"
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The digits of the package as a tfds set, and `work`, trained on it."""
    path = tmp_path_factory.mktemp("grey")
    tfds = tfds_sets.tfds
    features = {
        "image": tfds.features.Image(shape=(28, 28, 1)),
        "label": tfds.features.ClassLabel(num_classes=CLASSES),
    }
    rows = [{"image": x, "label": y} for x, y in zip(*sample_digits())]
    tfds_sets.prepare(path, "digits", features, {"train": rows})
    (path / "recipe.py").write_text(
        "import sys\n"
        f"def get_config():\n    return sys.modules[{__name__!r}].recipe()\n"
    )
    flags = [f"--config={path / 'recipe.py'}", f"--data_dir={path}"]
    assert run("train", *flags, f"--workdir={path / 'work'}") == 0
    return path


@pytest.fixture(scope="module")
def model(folder):
    return presets.load(folder / "work")


def held_out():
    return sample_digits()[0][TRAINED_ON:]


def test_figures_are_of_the_part_that_was_held_out(folder, model, capsys):
    assert run("evaluate", folder / "work", f"--data_dir={folder}") == 0
    assert "All figures agree" in capsys.readouterr().out
    metadata = presets.load_metadata(folder / "work" / "preset")
    assert metadata["data"]["channels"] == 1
    figures, digits = metadata["metrics"], held_out()
    assert figures["examples"] == len(digits)
    local = model.autoencoder.quantizer.decode(model.encode(digits))
    log_px = model.autoencoder.decoder.log_prob(digits, {"local": local})
    # One value a pixel, not three.
    bits = -np.mean(log_px) / math.log(2) / 28**2
    found = figures["reconstruction_bits_per_dim"]
    np.testing.assert_allclose(found, bits, rtol=1e-4)
    error = digits.astype(float) - model.reconstruct(digits).numpy()
    np.testing.assert_allclose(figures["mse"], np.mean(error**2), rtol=1e-4)


def test_only_its_part_is_trained_on(folder, model):
    digits, labels = sample_digits()
    with np.load(folder / "work" / "codes.npz") as arrays:
        coded, found = arrays["codes"], arrays["labels"]
    expected = model.encode(digits[:TRAINED_ON]).numpy()
    rows = [
        sorted(zip(part.reshape(len(part), -1).tolist(), names.tolist()))
        for part, names in ((coded, found), (expected, labels[:TRAINED_ON]))
    ]
    assert rows[0] == rows[1]
    assert len({tuple(row) for row, _ in rows[0]}) > 1


def test_card(folder):
    preset = folder / "work" / "preset"
    text = (preset / "README.md").read_text()
    assert "A VQ-VAE of 28x28 grey pictures with K=8 codes" in text
    assert f"Trained on split `train[:{TRAINED_ON}]` of" in text
    assert f"figures are for\n`train[{TRAINED_ON}:]`" in text
    assert "(23 examples)" in text
    assert "Digits of MNIST's test split (CC BY-SA 3.0," in text
    sheet = small.read_picture(preset / "reconstructions.png")
    # Two rows of six pairs, each pixel 2x2; the first is the first digit.
    assert sheet.shape == (2 * (4 * 30 + 2), 2 * (6 * 30 + 2))
    digit = sample_digits()[0][0]
    np.testing.assert_array_equal(sheet[4:60:2, 4:60:2], digit[..., 0])
    samples = small.read_picture(preset / "samples.png")
    assert samples.shape == (2 * (4 * 30 + 2), 2 * (10 * 30 + 2))


def test_photos_become_grey(folder, model, tmp_path):
    photo = small.sample_pictures()[0]
    target, work = tmp_path / "c.npz", folder / "work"
    assert run("encode", work, photo, target) == 0
    grey = data.load_picture(photo, 28, channels=1)
    assert grey.shape == (28, 28, 1)
    with np.load(target) as arrays:
        expected = model.encode(grey[None])
        np.testing.assert_array_equal(arrays["codes"], expected)
    assert run("decode", work, target, tmp_path) == 0
    again = model.reconstruct(grey[None]).numpy()[0]
    found = small.read_picture(tmp_path / f"{photo.stem}.png")
    np.testing.assert_array_equal(found, again[..., 0])
    flags = [f"--output={tmp_path / 'pairs'}"]
    assert run("reconstruct", work, photo, *flags) == 0
    pair = small.read_picture(tmp_path / "pairs" / f"{photo.stem}.png")
    expected = sheets.pairs(grey[None], again[None])[..., 0]
    np.testing.assert_array_equal(pair, expected)


def test_sample(folder, model, tmp_path):
    path = tmp_path / "s.png"
    flags = ["--num=3", "--label=7", "--seed=5", f"--output={path}"]
    assert run("sample", folder / "work", *flags) == 0
    context = {"global": tf.one_hot([7] * 3, CLASSES)}
    draws = model.sample(3, context=context, seed=5)
    expected = sheets.enlarge(sheets.grid(draws), 2)[..., 0]
    np.testing.assert_array_equal(small.read_picture(path), expected)


def test_encode_a_part_of_a_data_set(folder, model, tmp_path):
    work, target = folder / "work", tmp_path / "codes"
    flags = [f"--split=train[{TRAINED_ON}:]", f"--data_dir={folder}"]
    assert run("encode", work, "tfds:digits", target, *flags) == 0
    assert run("decode", work, target, tmp_path / "out") == 0
    found = [small.read_picture(p) for p in (tmp_path / "out").rglob("*.png")]
    expected = model.reconstruct(held_out()).numpy()[..., 0]
    assert sorted(x.tobytes() for x in found) == sorted(
        x.tobytes() for x in expected
    )


@pytest.mark.slow
def test_export(model, tmp_path):
    digits = sample_digits()[0]
    path = run_export_test(
        model, tmp_path / "grey", [digits[:3], digits[:1]], [[0, 1, 2], [4]]
    )
    signatures = tf.saved_model.load(path).signatures
    colour = {"images": np.zeros([1, 28, 28, 3], np.uint8)}
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError, TypeError)):
        call(signatures, "encode", colour)


def test_a_preset_that_names_no_channels_is_of_colour(folder):
    description = cards.describe(recipe())
    opened = pictures.open_split(description, "train", str(folder))
    assert opened.shape == (28, 28, 1)
    del description["channels"]
    opened = pictures.open_split(description, "train", str(folder))
    assert opened.shape == (28, 28, 3)


def test_a_run_that_was_begun_without_the_key(folder, tmp_path):
    small.write_data(tmp_path)
    config, work = small.recipe(), tmp_path / "work"
    config.training.steps = 1
    training.train(config, work, str(tmp_path), stage="autoencoder")
    noted = json.loads((work / "recipe.json").read_text())
    del noted["data"]["channels"]
    (work / "recipe.json").write_text(json.dumps(noted))
    training.train(config, work, str(tmp_path), stage="autoencoder")
    config.data.channels = 1
    with pytest.raises(ValueError, match=r"data.channels \(3, now 1\)"):
        training.train(config, work, str(tmp_path))


def test_a_base_of_other_channels(tmp_path):
    base = small.autoencoder(channels=1)
    base.save_to_preset(tmp_path / "base")
    config = recipes.defaults()
    config.base = str(tmp_path / "base")
    message = "data.channels=1. Received: .*data.channels=3"
    with pytest.raises(ValueError, match=message):
        codes.load_base(config)
    config.data.channels = 1
    assert codes.load_base(config).event_shape == base.event_shape


def test_video(tmp_path):
    video = VideoGenerator(small.autoencoder(channels=1), small.video().prior)
    video.build()
    np.savez(tmp_path / "clip.npz", frames=small.pictures(4))
    frames, _ = clip_inputs.read_clip(str(tmp_path / "clip.npz"), video)
    expected = [
        data.load_picture(p, small.SIZE, channels=1)
        for p in small.sample_pictures()[:4]
    ]
    # Resized before they became grey, and not after.
    difference = frames.astype(int) - np.stack(expected)
    assert difference.shape == (4, 16, 16, 1) and abs(difference).max() <= 1
    drawn = video.rollout(frames[None, :2], [[1, 2, 3]], seed=0).numpy()
    film = clip_inputs.film(frames, drawn, video.num_past)
    assert film.shape[-1] == 1
    sheets.save_animation(tmp_path / "film.gif", film)
    shown = small.read_picture(tmp_path / "film.gif")
    assert shown.shape[:2] == film.shape[1:3]


def test_clips_of_deepmind_lab_are_in_colour():
    config = recipes.load_recipe("video_dmlab84")
    assert card_samples.shows_dmlab(config)
    config.data.channels = 1
    assert not card_samples.shows_dmlab(config)
