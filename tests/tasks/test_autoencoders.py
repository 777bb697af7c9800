"""Autoencoders as the zoo's: trained, saved, measured, shown, commanded."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.command_line import refused_in_a_line, run
from vqvae_tf import (
    VQVAE,
    Autoencoder,
    LatentGenerator,
    data,
    presets,
    recipes,
    tasks,
)
from vqvae_tf.evaluation import figures as figure_table
from vqvae_tf.evaluation.disentanglement import mutual_information_gap
from vqvae_tf.layers import MaskingNoise
from vqvae_tf.recipes import building
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.tasks import (
    card as cards,
    card_samples,
    publish as publishing,
    run as training,
)
from vqvae_tf.tasks.pictures import figures as measured, training as pictures

CELL = 2 * (28 + 2)  # a digit and its gap, enlarged


def of_digits(bottleneck, latents, **options):
    """A recipe of grey digits, which trains in seconds."""
    config = small.family_recipe(bottleneck, latents, **options)
    config.data.update(
        source="npz:digits.npz", image_size=28, channels=1, flip=False
    )
    config.card.samples = "digits"
    return config


def vae():
    config = of_digits("DiagonalGaussian", 2 * 3)
    for section in ("encoder", "decoder"):
        config[section] = recipes.defaults()[section]
        name = f"Dense{section.capitalize()}"
        config[section].update(name=name, picture_size=28, hidden_units=(8,))
    config.encoder.output_channels = 2 * 3
    config.likelihood.name = "Bernoulli"
    config.observation.name = "Binarization"
    config.data.bound_samples = 5
    return config


def dae():
    config = of_digits("Identity", 4)
    config.corruption.update(name="MaskingNoise", rate=0.5)
    return config


RECIPES = {"vae": vae, "dae": dae}
WITH_PRIOR = {"vae": {"samples.png"}, "dae": set()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits, and the work directory of a training for each of `RECIPES`."""
    path = tmp_path_factory.mktemp("family")
    digits = sample_digits()[0]
    np.savez(
        path / "digits.npz", train_images=digits[:40], test_images=digits[40:]
    )
    for name in RECIPES:
        (path / f"{name}.py").write_text(
            "import sys\n"
            "def get_config():\n"
            f"    return sys.modules[{__name__!r}].{name}()\n"
        )
        flags = [f"--config={path / name}.py", f"--data_dir={path}"]
        assert run("train", *flags, f"--workdir={path / name}") == 0
    return path


@pytest.fixture(scope="module")
def model(folder):
    return Autoencoder.from_preset(folder / "vae")


# Presets ----------------------------------------------------------------------


def test_round_trip_is_bit_equal(tmp_path):
    original, images = small.vae(), small.pictures(3)
    original.save_to_preset(tmp_path / "a", {"seed": 3}, "# tiny\n")
    loaded = presets.load(tmp_path / "a")
    assert type(loaded) is Autoencoder
    for call in (
        lambda m: m.encode(images),
        lambda m: m.reconstruct(images),
        lambda m: m.log_prob(images, num_samples=3, seed=2),
        lambda m: m.sample(2, seed=5),
    ):
        np.testing.assert_array_equal(call(loaded), call(original))
    metadata = presets.verify(tmp_path / "a")
    assert metadata["class"] == "Autoencoder" and metadata["seed"] == 3
    assert metadata["parameters"] == original.count_params()


def test_presets_of_another_class(tmp_path):
    small.vae().save_to_preset(tmp_path / "a")
    message = "holds an Autoencoder. Received: {}.*; use Autoencoder.from_pre"
    for cls in (VQVAE, LatentGenerator):
        wanted = message.format(cls.__name__)
        with pytest.raises(presets.PresetError, match=wanted):
            cls.from_preset(tmp_path / "a")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_half_precision_is_not_saved(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    original = small.vae(corruption=MaskingNoise(0.5))
    original.save_to_preset(tmp_path / "a")
    images = small.pictures(2)
    expected = original.encode(images).numpy()
    again = presets.load(tmp_path / "a")
    assert again.encoder.compute_dtype == "bfloat16"
    np.testing.assert_array_equal(again.encode(images), expected)
    keras.config.set_dtype_policy("float32")
    loaded = presets.load(tmp_path / "a")
    assert loaded.encoder.compute_dtype == "float32"
    # bfloat16 has 8 bits.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(loaded.encode(images), expected, atol=scale / 32)


# Cards and logs ---------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_preset_of_a_training(name, folder):
    preset = folder / name / "preset"
    metadata = presets.verify(preset)
    card = (preset / "README.md").read_text()
    shown = set(re.findall(r"!\[.*?\]\((.*?)\)", card))
    wanted = {"reconstructions.png"} | WITH_PRIOR[name]
    assert shown == wanted == {p.name for p in preset.glob("*.png")}
    assert "Autoencoder.from_preset" in card
    assert "codes" not in card and "VQ-VAE" not in card
    assert metadata["steps"] == "6 steps of 4" and "6 steps of 4" in card
    for title, value in figure_table.table(metadata["metrics"]):
        assert f"| {title} | {value} |" in card


def test_figures_of_a_vae(folder):
    metrics = presets.load_metadata(folder / "vae" / "preset")["metrics"]
    rows = dict(figure_table.table(metrics))
    assert rows["S, draws of the tighter bound"] == "5"
    assert float(rows["bound of S draws, nats an example"]) == pytest.approx(
        metrics["bits_per_dim_S"] * 28 * 28 * np.log(2), abs=0.01
    )
    assert metrics["bits_per_dim_S"] < metrics["bits_per_dim"]
    assert 0 < metrics["bits_per_dim_error"] < metrics["bits_per_dim"]
    assert "bound of one draw, bits/dim" in rows
    assert not any("code" in title for title in rows)


def test_figures_of_a_denoising_model(folder):
    metrics = presets.load_metadata(folder / "dae" / "preset")["metrics"]
    assert "bits_per_dim" not in metrics
    rows = dict(figure_table.table(metrics))
    digits = sample_digits()[0][40:]
    # Half of the pixels, in the mean, are black.
    error = np.mean(0.5 * digits.astype(float) ** 2)
    expected = 10 * np.log10(255**2 / error)
    assert metrics["corrupted_psnr"] == pytest.approx(expected, abs=0.3)
    found = rows["PSNR of the corrupted input (dB)"]
    assert found == f"{metrics['corrupted_psnr']:.2f}"
    assert metrics["contraction"] > 0


@pytest.mark.slow
def test_figures_of_shapes():
    """With how well single latents stand for single factors."""
    config = small.family_recipe(latents=8)
    config.data.update(source="shapes", image_size=32, channels=1)
    model = building.make_autoencoder(config)
    figures = tasks.measure(model, cards.describe(config), progress=False)
    shapes = data.load_shapes("test")
    latents = np.concatenate(
        [model.encode(x) for x in np.split(shapes.images, 8)]
    )
    gap = mutual_information_gap(latents.reshape(4096, -1), shapes.factors)
    assert 0 < figures["mig"] < 1
    assert figures["mig"] == pytest.approx(gap.score, abs=1e-3)
    title = "mutual information gap, of latents and factors"
    assert dict(figure_table.table(figures))[title] == f"{figures['mig']:.3f}"
    assert figures["examples"] == 4096


def test_an_interval_that_old_cards_lack():
    old = {"psnr": 20.0, "usage": 1.0}
    assert figure_table.compare({**old, "bits_per_dim_error": 0.1}, old) == []
    later = {**old, "bits_per_dim_error": 0.1}
    assert len(figure_table.compare(old, later)) == 1
    (line,) = figure_table.compare({"bits_per_dim": 1.0}, {"bits_per_dim": 2.0})
    assert line.startswith("bound of one draw, bits/dim: measured 1.0000")


def test_pictures_of_digits(folder, model):
    """Enlarged twice; six columns of originals, and what was made of them."""
    sheet = small.read_picture(folder / "vae" / "preset/reconstructions.png")
    assert sheet.shape == (4 * CELL + 4, 6 * CELL + 4)
    digits = sample_digits()[0]
    again = model.reconstruct(digits).numpy()
    for row, expected in enumerate([digits[:6], again[:6], digits[6:12]]):
        found = cell(sheet, row, 5)
        np.testing.assert_array_equal(found, expected[5, ..., 0])
    sheet = small.read_picture(folder / "dae" / "preset/reconstructions.png")
    assert sheet.shape == (6 * CELL + 4, 6 * CELL + 4)
    np.testing.assert_array_equal(cell(sheet, 0, 1), digits[1, ..., 0])
    # Half of the strokes are gone.
    white, kept = (cell(sheet, row, 0) > 0 for row in (0, 1))
    assert not np.any(kept & ~white)
    assert 0.3 < kept.sum() / white.sum() < 0.7
    sheet = small.read_picture(folder / "vae" / "preset/samples.png")
    assert sheet.shape == (4 * CELL + 4, 4 * CELL + 4)
    drawn = model.sample(16, seed=0).numpy()
    np.testing.assert_array_equal(cell(sheet, 1, 2), drawn[6, ..., 0])


def cell(sheet, row, column):
    top, left = 4 + row * CELL, 4 + column * CELL
    return sheet[top : top + 56 : 2, left : left + 56 : 2]


def test_known_shapes():
    shapes = card_samples.known_images("shapes", 32, channels=1)
    assert shapes.shape == (12, 32, 32, 1)
    assert len(np.unique(shapes.reshape(12, -1), axis=0)) == 12
    assert np.all(shapes.max(axis=(1, 2, 3)) == 255)
    config = small.family_recipe()
    config.data.update(image_size=32, channels=1)
    config.card.samples = "shapes"
    text = cards.card(config, {"examples": 4, "psnr": 20.0}, "6 steps of 4")
    assert "Generated shapes, each above its\nreconstruction." in text


# A member of the family each; the words on its card, and what it logs.
MEMBERS = {
    "A plain autoencoder of": ("Identity", {}, {}),
    "A denoising autoencoder of": (
        "Identity",
        {},
        {"corruption": dict(name="SaltAndPepperNoise", rate=0.5)},
    ),
    "A contractive autoencoder of": (
        "Identity",
        {},
        {"regularizer": dict(name="Contractive", weight=0.1)},
    ),
    "A sparse autoencoder of": ("Sparse", dict(rho=0.1, weight=1.0), {}),
    "A k-sparse autoencoder of": ("KSparse", dict(k=5), {}),
    "A VAE of": ("DiagonalGaussian", {}, {}),
    "A beta-VAE of": ("DiagonalGaussian", dict(beta=4.0), {}),
    "A Gaussian autoencoder trained by VIMCO of": (
        "DiagonalGaussian",
        dict(estimator="vimco", num_samples=2),
        {},
    ),
    "A categorical autoencoder trained by VIMCO of": (
        "IndependentCategorical",
        dict(num_embeddings=2, embedding_dim=3, num_codebooks=2, num_samples=2),
        {},
    ),
}


def member(words):
    """Returns the recipe of a member of the family."""
    name, options, parts = MEMBERS[words]
    config = small.family_recipe(name, **options)
    for part, arguments in parts.items():
        config[part].update(**arguments)
    return recipes.check_recipe(config)


@pytest.mark.parametrize("words", MEMBERS)
def test_what_every_member_is_called_and_logs(words):
    config = member(words)
    assert cards.summary(config, False).startswith(f"{words} 16x16 pictures")
    model, images = building.make_autoencoder(config), small.pictures(4)
    check_logged(model, pictures.logged(model, tf.constant(images)))


@pytest.mark.slow
@pytest.mark.parametrize("words", MEMBERS)
def test_every_member_trains(words, tmp_path):
    small.write_data(tmp_path)
    config, work = member(words), tmp_path / "run"
    config.training.update(steps=1, steps_per_epoch=1)
    model = training.train(config, work, str(tmp_path))
    check_logged(model, logged_pictures(work / "logs" / "autoencoder"))
    metadata = {"data": cards.describe(config)}
    model.save_to_preset(work / "preset", metadata)
    loaded = presets.load(work)
    images = small.pictures(3)
    np.testing.assert_array_equal(
        loaded.reconstruct(images), model.reconstruct(images)
    )


def check_logged(model, logged):
    names = ["reconstructions"] + ["samples"] * model.bottleneck.has_prior
    assert sorted(logged) == names
    rows = 2 if model.corruption is None else 3
    assert logged["reconstructions"].shape[0] == rows * 18 + 2
    for picture in logged.values():
        assert picture.dtype == np.uint8 and np.ptp(picture) > 0


def test_logs_of_a_training(folder):
    for name, rows in (("vae", 2), ("dae", 3)):
        logs = logged_pictures(folder / name / "logs" / "autoencoder")
        sheet = logs["reconstructions"]
        assert sheet.shape == (rows * 30 + 2, 8 * 30 + 2, 1)
        first = sample_digits()[0][40]
        np.testing.assert_array_equal(sheet[2:30, 2:30], first)
        assert ("samples" in logs) == (name == "vae")


def logged_pictures(folder):
    """Returns the last picture of each tag, uint8."""
    found = {}
    for path in folder.glob("*events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "images":
                    content = tf.make_ndarray(value.tensor)[2]
                    found[value.tag] = tf.io.decode_image(content).numpy()
    return found


# Commands ---------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_evaluate(name, folder, capsys):
    assert run("evaluate", folder / name, f"--data_dir={folder}") == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_list(folder, capsys, monkeypatch):
    monkeypatch.setattr(presets, "BUILT_IN", {"vae_tiny": ""})
    preset = folder / "vae" / "preset"
    monkeypatch.setattr(presets, "find_preset", lambda name: preset)
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "vae_tiny  (Autoencoder, 0.0 M)" in out
    assert "A VAE of 28x28 grey pictures." in out
    assert "bound of S draws, nats an example" in out


def test_encode_and_decode(folder, model, tmp_path, capsys):
    digits = sample_digits()[0][:20]
    np.savez(tmp_path / "x.npz", images=digits)
    latents, out = tmp_path / "z.npz", tmp_path / "out"
    assert run("encode", folder / "vae", tmp_path / "x.npz", latents) == 0
    assert "Wrote the latents of 20 pictures" in capsys.readouterr().out
    with np.load(latents) as arrays:
        assert sorted(arrays) == ["latents", "names", "preset"]
        found = arrays["latents"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.encode(digits), atol=1e-6)
    assert run("decode", folder / "vae", latents, out) == 0
    again = model.decode(found).numpy()
    for i in (0, 19):
        written = small.read_picture(out / f"{i}.png")
        np.testing.assert_array_equal(written, again[i, ..., 0])
    assert run("decode", folder / "vae", latents, tmp_path / "y.npz") == 0
    with np.load(tmp_path / "y.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], again)


def test_reconstruct_sample_and_export(folder, model, tmp_path):
    photo = small.sample_pictures()[0]
    flags = [f"--output={tmp_path}"]
    assert run("reconstruct", folder / "vae", photo, *flags) == 0
    grey = data.load_picture(photo, 28, channels=1)
    pair = small.read_picture(tmp_path / f"{photo.stem}.png")
    again = model.reconstruct(grey[None]).numpy()[0]
    np.testing.assert_array_equal(pair[32:60, 2:30], again[..., 0])
    sheet = tmp_path / "s.png"
    flags = ["--num=3", "--seed=4", "--temperature=0.5", f"--output={sheet}"]
    assert run("sample", folder / "vae", *flags) == 0
    drawn = model.sample(3, 0.5, seed=4).numpy()
    found = cell(small.read_picture(sheet), 1, 0)
    np.testing.assert_array_equal(found, drawn[2, ..., 0])
    assert run("export", folder / "dae", tmp_path / "m") == 0
    saved = tf.saved_model.load(tmp_path / "m" / "1").signatures
    assert set(saved) == {"encode", "decode", "reconstruct", "serving_default"}


def test_evaluate_with_other_draws_on_another_split(folder, model, capsys):
    flags = ["--eval_split=train", "--bound_samples=3"]
    data_dir = f"--data_dir={folder}"
    assert run("evaluate", folder / "vae", data_dir, *flags) == 0
    text = capsys.readouterr().out
    assert "The card has no figures of eval_split=train, bound_samples=3." in (
        text
    )
    assert re.search(r"S, draws of the tighter bound +3$", text, re.MULTILINE)
    description = cards.describe(vae())
    description |= {"eval_split": "train", "bound_samples": 3}
    expected = measured.measure(model, description, folder, progress=False)
    nats = float(re.search(r"nats an example +([\d.]+)$", text, re.M)[1])
    assert nats == pytest.approx(expected["nats"], abs=0.01)


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """A preset of a VQ-VAE, and an npz file of its codes."""
    path = tmp_path_factory.mktemp("codes")
    small.autoencoder().save_to_preset(path / "preset")
    np.savez(path / "codes.npz", codes=np.zeros([1, 4, 4], np.int32))
    return path


def test_sample_refuses(folder, codes, tmp_path, capsys):
    for flag in ("label", "top_k", "top_p"):
        error = refused_in_a_line(
            capsys, "sample", folder / "vae", f"--{flag}=1"
        )
        assert f"--{flag} is only for priors over codes" in error
    error = refused_in_a_line(capsys, "sample", folder / "dae")
    assert "without a prior" in error and "Received: the bottleneck Id" in error
    error = refused_in_a_line(capsys, "sample", codes)
    assert "takes the preset of a LatentGenerator, or of a VAE" in error
    bottleneck = small.vq.bottlenecks.IndependentCategorical(6, 3, 2)
    small.vae(bottleneck, 12).save_to_preset(tmp_path / "vimco")
    error = refused_in_a_line(
        capsys, "sample", tmp_path / "vimco", "--temperature=2"
    )
    assert "has no temperature" in error


def test_encode_refuses_data_sets(folder, tmp_path, capsys):
    for source in ("tfds:mnist", "npz:digits.npz"):
        error = refused_in_a_line(
            capsys, "encode", folder / "vae", source, tmp_path
        )
        assert "to a file OUT.npz. Received: the preset " in error
    assert list(tmp_path.iterdir()) == []


def test_decode_refuses_other_latents(folder, codes, tmp_path, capsys):
    file, out = tmp_path / "z.npz", tmp_path / "out"
    error = refused_in_a_line(
        capsys, "decode", folder / "vae", codes / "codes.npz", out
    )
    assert "Expected an array `latents`" in error and "codes." in error
    for shape, dtype, fill in (
        ([1, 1, 1, 3], np.int32, 0),
        ([1, 1, 1, 4], np.float32, 0),
        ([1, 2, 2, 3], np.float32, 0),
        ([0, 1, 1, 3], np.float32, 0),
        ([3], np.float32, 0),
        ([1, 1, 1, 3], np.float32, np.nan),
    ):
        np.savez(file, latents=np.full(shape, fill, dtype))
        error = refused_in_a_line(capsys, "decode", folder / "vae", file, out)
        wanted = "floats [batch, 1, 1, 3]. Received"
        wanted = wanted if shape[0] else "a row for each example. Received"
        assert ("finite" if fill else wanted) in error
    error = refused_in_a_line(capsys, "decode", codes, file, out)
    assert "Expected an array `codes`" in error
    assert not out.exists()


def test_rollout_wants_a_model_of_video(folder, capsys):
    error = refused_in_a_line(capsys, "rollout", folder / "vae")
    assert "holds an Autoencoder. Received: VideoGenerator" in error


def test_publishing_needs_a_recipe_that_fits(tmp_path):
    """A prior over codes, and a bottleneck, do not go together."""
    config = small.family_recipe()
    config.prior.name = "PixelCNN"
    message = "prior .* cannot be combined with a bottleneck"
    with pytest.raises(ValueError, match=message):
        publishing.publish(config, small.vae(), tmp_path / "preset")


def test_recipe_is_noted(folder):
    noted = json.loads((folder / "dae" / "recipe.json").read_text())
    assert noted["corruption"] == {"name": "MaskingNoise", "rate": 0.5}
