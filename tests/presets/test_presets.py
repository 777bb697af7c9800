"""Presets: round trips, and one message for each thing that can be wrong."""

import json
import os
import pathlib
import shutil
import threading

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import vqvae_tf as vq
from support import preset_files, small
from vqvae_tf import presets, recipes
from vqvae_tf.commands.inputs import recordings as audio_inputs
from vqvae_tf.presets import finding
from vqvae_tf.presets.files import check_preset_alone
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.samples.voices import sample_voices
from vqvae_tf.tasks import card_samples
from vqvae_tf.tasks.speech import card as speech_cards
from vqvae_tf.utils import folders, scratch

SPEAKERS = ["george", "jackson", "nicolas", "theo", "yweweler"]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    model = small.generator()
    digest = model.save_to_preset(folder, {"seed": 3}, "# tiny\n")
    assert digest == presets.sha256(folder / "metadata.json")
    return folder, model


@pytest.fixture
def copy(preset, tmp_path):
    return shutil.copytree(preset[0], tmp_path / "copy")


def test_round_trip_is_bit_equal(preset):
    folder, model = preset
    loaded = vq.LatentGenerator.from_preset(folder)
    images = small.pictures(4)
    codes = model.encode(images)
    np.testing.assert_array_equal(loaded.encode(images), codes)
    np.testing.assert_array_equal(loaded.decode(codes), model.decode(codes))
    np.testing.assert_array_equal(
        loaded.log_prob(images), model.log_prob(images)
    )
    np.testing.assert_array_equal(
        loaded.sample(2, seed=5), model.sample(2, seed=5)
    )


class Joint(vq.LatentGenerator):
    pass


@pytest.mark.parametrize(
    "name, expected",
    [
        ("Joint", Joint),
        # Older metadata has none, and somebody's class is not ours.
        (None, vq.LatentGenerator),
        ("Unknown", vq.LatentGenerator),
        ("VQVAE", vq.LatentGenerator),
        ("Gaussian", vq.LatentGenerator),
    ],
)
def test_metadata_names_the_class(copy, name, expected):
    metadata = preset_files.read(copy, "metadata.json")
    del metadata["class"]
    metadata |= {} if name is None else {"class": name}
    preset_files.write(copy, "metadata.json", metadata)
    with keras.saving.custom_object_scope({"vqvae_tf>Joint": Joint}):
        assert type(presets.load(copy)) is expected


def test_autoencoder_alone_can_be_loaded(preset):
    folder, model = preset
    loaded = vq.VQVAE.from_preset(str(folder))
    assert type(loaded) is vq.VQVAE
    images = small.pictures(2)
    np.testing.assert_array_equal(
        loaded.reconstruct(images), model.reconstruct(images)
    )


def test_model_without_prior(tmp_path):
    small.autoencoder(3).save_to_preset(tmp_path / "a")
    loaded = presets.load(tmp_path / "a")
    assert type(loaded) is vq.VQVAE
    assert loaded.quantizer.num_codebooks == 3


def test_functional_encoder(tmp_path):
    inputs = keras.Input((None, None, 3))
    latents = keras.layers.Conv2D(4, 4, strides=4, padding="same")(inputs)
    likelihood = vq.Gaussian()
    model = vq.VQVAE(
        keras.Model(inputs, latents),
        vq.VectorQuantizer(8, 4),
        vq.FactorizedDensity(vq.Decoder(3, hidden_channels=8), likelihood),
    )
    model.save_to_preset(tmp_path / "a")
    images = small.pictures(2)
    np.testing.assert_array_equal(
        presets.load(tmp_path / "a").reconstruct(images),
        model.reconstruct(images),
    )


def test_density_alone(tmp_path):
    """Its network's variables are made from the configuration alone."""
    keras.utils.set_random_seed(0)
    likelihood = vq.Gaussian()
    network = vq.Decoder(likelihood.num_parameters(3), 8)
    density = vq.FactorizedDensity(network, likelihood)
    images = small.pictures(2)
    context = {"local": np.ones([2, 4, 4, 5], np.float32)}
    expected = density.log_prob(images, context)
    density.save_to_preset(tmp_path / "density")
    loaded = vq.FactorizedDensity.from_preset(tmp_path / "density")
    np.testing.assert_array_equal(loaded.log_prob(images, context), expected)


def test_parts_that_build_leaves_out_are_noticed(copy):
    metadata = json.loads((copy / "metadata.json").read_text())
    metadata["parameters"] += 1
    (copy / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(presets.PresetError, match="not built by build"):
        presets.load(copy)


def test_other_bothare_not_replaced(tmp_path):
    (tmp_path / "run" / "prior").mkdir(parents=True)
    for path in (tmp_path / "run", __file__):
        with pytest.raises(presets.PresetError, match="Choose a new folder"):
            small.autoencoder().save_to_preset(path)
    assert (tmp_path / "run" / "prior").is_dir()
    (tmp_path / "empty").mkdir()
    small.autoencoder().save_to_preset(tmp_path / "empty")
    assert (tmp_path / "empty" / "metadata.json").is_file()


LISTS_ALL = '{"files": {"%s": {"sha256": "", "size": 1}}}'


@pytest.mark.parametrize("name", [".git/HEAD", "notes.txt", "codes/a.npz"])
def test_saving_never_deletes_a_strangers_file(preset, copy, tmp_path, name):
    """Neither in a preset's folder nor in one that looks like one."""
    photos = tmp_path / "photos"
    for folder in (copy, photos):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    first = name.split("/")[0]
    for metadata in ("{}", "[1]", "no json", LISTS_ALL % first):
        (photos / "metadata.json").write_text(metadata)
        for folder in (copy, photos):
            with pytest.raises(presets.PresetError, match="Choose a new fold"):
                presets.check_replaceable(folder)
            with pytest.raises(presets.PresetError, match="Choose a new fold"):
                preset[1].save_to_preset(folder)
            assert (folder / name).read_text() == "precious"
    with pytest.raises(presets.PresetError, match=f"holds '{first}'"):
        presets.check_replaceable(copy)
    presets.verify(copy)


def test_all_that_a_preset_holds_is_replaced(copy):
    (copy / "README.md").write_text("a card")
    (copy / "samples.png").write_bytes(b"shown")
    presets.write_metadata(copy, {})
    leave_scratch(copy)  # of writing its metadata, killed
    presets.check_replaceable(copy)


def leave_scratch(folder):
    """Leaves what a writer to a folder leaves that was killed."""
    work = folder / f"{scratch.PREFIX}{os.getuid()}" / "abcd_123"
    (work / "new").mkdir(parents=True)
    (work / "new" / "metadata.json").write_text("half")
    (work / "lock").touch()
    return work


MINE = f"{scratch.PREFIX}{os.getuid()}"


@pytest.mark.parametrize(
    "name",
    [
        f"{scratch.PREFIX}notes",
        f"{scratch.PREFIX}x/a.jpg",
        MINE,
        f"{MINE}/a.jpg",
        f"{MINE}/photos/a.jpg",
        f"{MINE}/abcdefgh/a.jpg",
        f"{MINE}/abcdefgh/old-abcdefgh/kept/a.jpg",
    ],
)
def test_a_name_alone_makes_no_scratch_folder(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text("precious")
    with pytest.raises(presets.PresetError, match="Choose a new folder"):
        presets.check_replaceable(copy)
    assert (copy / name).read_text() == "precious"


def test_an_empty_scratch_folder_leaves_a_folder_empty(tmp_path):
    leave_scratch(tmp_path / "p")
    presets.check_replaceable(tmp_path / "p")


@pytest.mark.parametrize("unlisted", [True, False])
def test_files_that_share_a_name_with_a_presets_are_kept(copy, unlisted):
    """Those that it does not list, and those that were changed since."""
    metadata = json.loads((copy / "metadata.json").read_text())
    entry = metadata["files"]["prior.json"]
    if unlisted:
        del metadata["files"]["prior.json"]
        (copy / "metadata.json").write_text(json.dumps(metadata))
        contents = ["mine"]
    else:
        contents = ["mine", "x" * entry["size"], ""]
    for text in contents:
        (copy / "prior.json").write_text(text)
        with pytest.raises(presets.PresetError, match="'prior.json'.*move it"):
            presets.check_replaceable(copy)
    (copy / "prior.json").unlink()
    presets.check_replaceable(copy)


def test_a_preset_is_found_where_a_killed_save_has_left_it(copy, tmp_path):
    """And none is lost where folders cannot be exchanged, as of old."""
    expected = presets.verify(copy)
    home = tmp_path / f"{scratch.PREFIX}{os.getuid()}"
    for place in (tmp_path / ".copy.old", home / "x" / "old-y" / "copy"):
        place.parent.mkdir(parents=True, exist_ok=True)
        copy.rename(place)
        found = presets.find_preset(copy)
        assert found == place.resolve() and presets.verify(found) == expected
        place.rename(copy)
    home.rename(tmp_path / "gone")
    shutil.rmtree(copy)
    with pytest.raises(presets.PresetError, match="There is no preset"):
        presets.find_preset(copy)


def test_readers_beside_a_writer_see_one_preset(preset, tmp_path):
    """They neither fail nor mix what is replaced with what replaces it."""
    both = [shutil.copytree(preset[0], tmp_path / n) for n in "ab"]
    for number, folder in enumerate(both):
        (folder / "README.md").write_text(f"# {number}")
        presets.write_metadata(folder, {"seed": number})
    path, stop = tmp_path / "p", threading.Event()
    shutil.copytree(both[0], path)

    def write():
        while not stop.is_set():
            for folder in both:
                with folders.new_folder(path, check_preset_alone) as new:
                    shutil.copytree(folder, new)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(40):
            card = presets.verify(path)["files"]["README.md"]["sha256"]
            assert card in [
                presets.sha256(folder / "README.md") for folder in both
            ]
        presets.load(path)
    finally:
        stop.set()
        writer.join()


def test_saving_follows_links_and_keeps_them(copy, tmp_path, monkeypatch):
    (tmp_path / "latest").symlink_to("copy")
    small.autoencoder().save_to_preset(tmp_path / "latest", {"seed": 7})
    assert (tmp_path / "latest").is_symlink()
    assert presets.verify(copy)["seed"] == 7
    monkeypatch.chdir(copy)
    small.autoencoder().save_to_preset(".", {"seed": 8})
    assert presets.verify(copy)["seed"] == presets.verify(".")["seed"] == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "latest"]


def test_a_tilde_in_a_presets_path_is_the_home_folder(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    monkeypatch.chdir(copy)
    presets.load("~/copy")
    assert presets.verify("~/copy") == presets.verify(copy)
    small.autoencoder().save_to_preset("~/other")
    assert not (copy / "~").exists()
    presets.load("~/other")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(
    tmp_path, value
):
    model = small.autoencoder()
    model.save_to_preset(tmp_path / "a")
    variable = model.decoder.trainable_variables[0]
    values = variable.numpy()
    values.flat[-1] = value
    variable.assign(values)
    message = f"{variable.path} with 1 of {values.size:,} values NaN or inf"
    for path in ("a", "b"):
        with pytest.raises(presets.PresetError, match=message):
            model.save_to_preset(tmp_path / path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    presets.load(tmp_path / "a")
    # As one was saved that nobody checked.
    model.save_weights(tmp_path / "a" / "model.weights.h5")
    presets.write_metadata(tmp_path / "a", {})
    with pytest.raises(presets.PresetError, match="model.weights.h5: .* 1 of"):
        presets.load(tmp_path / "a")


def test_work_directory_is_a_preset(preset, tmp_path):
    shutil.copytree(preset[0], tmp_path / "run" / "preset")
    assert presets.find_preset(tmp_path / "run").name == "preset"


def test_metadata_describes_every_file(preset):
    metadata = presets.verify(preset[0])
    assert metadata["seed"] == 3
    assert metadata["class"] == "LatentGenerator"
    assert metadata["parameters"] == preset[1].autoencoder.count_params()
    assert metadata["prior_parameters"] == preset[1].prior.count_params()
    assert metadata["keras_version"] == keras.__version__
    names = {p.name for p in preset[0].iterdir()}
    assert set(metadata["files"]) == names - {"metadata.json"}


def test_saving_replaces_an_older_preset(copy):
    small.autoencoder().save_to_preset(copy)
    assert {p.name for p in copy.iterdir()} == {
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_optimizers_are_not_saved(tmp_path):
    """Their moments are two thirds of what a trained model holds."""
    model, images = small.vae(), small.pictures(4)
    model.save_to_preset(tmp_path / "before")
    model.compile(Adam(0.01))
    model.decoder.compile(Adam(0.01))
    model.fit(images, epochs=2, verbose=0)
    model.save_to_preset(tmp_path / "after")
    files = [tmp_path / n / "model.weights.h5" for n in ("before", "after")]
    assert abs(files[0].stat().st_size - files[1].stat().st_size) < 1000
    np.testing.assert_array_equal(
        presets.load(tmp_path / "after").encode(images), model.encode(images)
    )
    # The model goes on as if nothing had been saved.
    assert int(model.optimizer.iterations) == 2
    model.fit(images, verbose=0)
    assert int(model.optimizer.iterations) == 3
    saved = tf.train.Checkpoint(model).save(str(tmp_path / "ckpt"))
    names = [name for name, _ in tf.train.list_variables(saved)]
    assert any("optimizer" in name for name in names)


@pytest.mark.parametrize("make", [small.autoencoder, small.vae])
def test_weights_in_float16(make, tmp_path):
    """Half the bytes: float32 in use, rounded to 11 bits."""
    original, images = make(), small.pictures(2)
    folder = tmp_path / "a"
    original.save_to_preset(folder)
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        halve_weights(file)
    presets.write_metadata(folder, {"parameters": original.count_params()})
    loaded = presets.load(folder)
    for a, b in zip(loaded.get_weights(), original.get_weights()):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2**-11, atol=1e-7)
    error = (
        loaded.reconstruct(images).numpy()
        - 1.0 * original.reconstruct(images).numpy()
    )
    assert np.abs(error).mean() < 1


def halve_weights(group):
    """Turns the float32 arrays of an HDF5 group into float16."""
    for name, item in list(group.items()):
        if isinstance(item, h5py.Group):
            halve_weights(item)
        elif item.dtype == np.float32:
            values = item[()].astype(np.float16)
            del group[name]
            group[name] = values


def test_dtype_policy_is_the_present_one(copy):
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert presets.load(copy).autoencoder.encoder.compute_dtype == "bfloat16"


def test_policy_of_training_is_not_saved(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    small.autoencoder().save_to_preset(tmp_path / "a")
    keras.config.set_dtype_policy("float32")
    loaded = presets.load(tmp_path / "a")
    assert loaded.encoder.compute_dtype == "float32"


@pytest.mark.parametrize("name", ["model.weights.h5", "prior.json"])
def test_flipped_byte(copy, name):
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(presets.PresetError, match=f"{name} was altered"):
        presets.load(copy)


def test_missing_file(copy):
    (copy / "prior.weights.h5").unlink()
    with pytest.raises(presets.PresetError, match="has no prior.weights.h5"):
        presets.load(copy)


def test_truncated_file(copy):
    path = copy / "model.weights.h5"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    expected = f"expected {len(content)}: it is truncated"
    with pytest.raises(presets.PresetError, match=expected):
        presets.load(copy)


def test_unknown_name(monkeypatch):
    monkeypatch.setattr(finding, "BUILT_IN", {"known": ""})
    with pytest.raises(presets.PresetError, match="no preset 'no-such'.*known"):
        presets.load("no-such")


def test_a_folder_does_not_shadow_a_built_in_preset(
    copy, tmp_path, monkeypatch, caplog
):
    """Whoever unpacks a download where a program runs changes no model."""
    copy.rename(tmp_path / "vae_mnist")
    monkeypatch.chdir(tmp_path)
    built_in = finding.built_in_dir() / "vae_mnist"
    assert presets.find_preset("vae_mnist") == built_in
    (warning,) = [r.getMessage() for r in caplog.records]
    assert f"not the folder {tmp_path}/vae_mnist" in warning
    assert "pass ./vae_mnist" in warning
    for name in (
        "./vae_mnist",
        pathlib.Path("vae_mnist"),
        tmp_path / "vae_mnist",
    ):
        assert presets.find_preset(name).samefile(tmp_path / "vae_mnist")
    # Without such a folder the name is all that a path can mean.
    monkeypatch.chdir("/")
    assert presets.find_preset(pathlib.Path("vae_mnist")) == built_in
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "", "hf:/x", "é" * 200])
def test_odd_names_are_no_presets(name):
    with pytest.raises(ValueError):
        presets.find_preset(name)


def test_wrong_class(tmp_path):
    small.autoencoder().save_to_preset(tmp_path / "a")
    with pytest.raises(presets.PresetError, match="use VQVAE.from_preset"):
        vq.LatentGenerator.from_preset(tmp_path / "a")


def test_metadata_that_is_no_json(copy):
    (copy / "metadata.json").write_text("{")
    with pytest.raises(presets.PresetError, match="not valid JSON"):
        presets.load(copy)


def test_altered_metadata_of_a_built_in_preset(copy, monkeypatch):
    monkeypatch.setattr(finding, "zoo_dir", lambda: copy.parent)
    (copy.parent / "presets").mkdir()
    shutil.move(copy, copy.parent / "presets" / "tiny")
    monkeypatch.setattr(finding, "BUILT_IN", {"tiny": "0" * 64})
    with pytest.raises(presets.PresetError, match="metadata.json was altered"):
        presets.load("tiny")


def test_foreign_classes_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["config"]["encoder"] = {
        "module": "os",
        "class_name": "system",
        "registered_name": None,
        "config": {},
    }
    (copy / "config.json").write_text(json.dumps(config))
    presets.write_metadata(copy, {})
    with pytest.raises(presets.PresetError, match="'system' of 'os'"):
        presets.load(copy)


def test_weights_of_another_model(copy, tmp_path):
    small.autoencoder(3).save_to_preset(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.weights.h5", copy)
    presets.write_metadata(copy, {})
    with pytest.raises(presets.PresetError, match="does not match the model"):
        presets.load(copy)


def test_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(presets.PresetError, match=r"vqvae_tf\[hub\]"):
        presets.load("hf://someone/something")


@pytest.mark.parametrize("name", sorted(presets.BUILT_IN))
def test_built_in_presets_are_whole(name):
    folder = presets.find_preset(name)
    metadata = presets.verify(folder)
    assert presets.sha256(folder / "metadata.json") == presets.BUILT_IN[name]
    # The oldest presets are all of pictures, and do not say so.
    kind = metadata["data"].get("kind", "pictures")
    figures = metadata["metrics"]
    files = {"README.md", "samples.png", "reconstructions.png"}
    if metadata["class"] == "Autoencoder":
        files -= {"samples.png"} - set(metadata["files"])
        assert figures["psnr"] > 14
    elif kind == "video":
        files = {"README.md", "rollouts.gif", "rollouts.png", "long.gif"}
        bits = ["", "_unknown", "_wrong"]
        bits = [figures[f"next_frame_bits{name}"] for name in bits]
        assert bits == sorted(bits)
        assert figures["greedy_psnr"] > figures["repeat_psnr"] + 1
    elif kind == "codes":
        files |= {"swaps.png"}
        assert figures["global_usage"] > 0.9
        assert figures["map_bits_swapped"] > 1.1 * figures["map_bits"]
    elif kind == "speech":
        names = ("originals", "reconstructions", "conversions", "samples")
        names += ("fast_conversions",)
        files |= {f"{name}.wav" for name in names}
        bits = ["reconstruction", "shuffled", "other_speaker"]
        bits = [figures[f"{name}_bits_per_sample"] for name in bits]
        assert bits[0] < min(bits[1:])
        assert figures["usage"] > 0.9
    else:
        assert figures["usage"] > 0.9
    assert files < set(metadata["files"])


def _known(name):
    """Pictures like those that a preset of the family was trained on."""
    config = recipes.load_recipe(name)
    data = config.data
    return card_samples.known_images(
        config.card.samples, data.image_size, data.channels
    )


def _bits(model, waveform, speaker, codes):
    """Bits per sample of a recording, given a speaker and codes."""
    local = model.quantizer.decode(codes)
    context = {**model.speaker_context(speaker), "local": local}
    x = model.pad(waveform[None])
    return (
        -float(model.decoder.log_prob(x, context)[0]) / np.log(2) / x.shape[1]
    )


NAMES = sorted(presets.BUILT_IN)
SPOKEN = [name for name in NAMES if audio_inputs.is_speech(name)]


@pytest.mark.parametrize("name", SPOKEN)
def test_built_in_presets_of_speech_listen(name):
    """To codes and speakers, of recordings that the package carries."""
    model = vq.SpeechVQVAE.from_preset(name)
    waves = speech_cards.known_voices(5)
    for voice, wave in zip(sample_voices(), waves):
        codes = model.encode(wave[None]).numpy()
        assert model.decode(codes[:, :4], speaker=0).shape == (1, 256)
        of_speakers = [_bits(model, wave, name, codes) for name in SPEAKERS]
        assert np.argmin(of_speakers) == SPEAKERS.index(voice.speaker)
        mixed = np.random.default_rng(0).permutation(codes, axis=1)
        assert _bits(model, wave, voice.speaker, mixed) > min(of_speakers)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SPOKEN)))
def test_built_in_presets_reconstruct(name):
    model = presets.load(name)
    metadata = presets.load_metadata(presets.find_preset(name))
    description = metadata["data"]
    images = small.pictures(6, description["image_size"])
    most = 0.2
    if metadata["class"] == "Autoencoder":
        # A beta-VAE keeps no more than place and size, a VAE of binary pixels
        # no grey.
        images, most = _known(name), 0.4
    if description.get("kind") == "video":
        images = images[np.newaxis]
    error = np.mean((model.reconstruct(images).numpy() - 1.0 * images) ** 2)
    # Of a constant picture of the mean it is the variance.
    assert error < most * images.var()
