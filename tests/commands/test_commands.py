"""The command: what it writes, and one line for each mistake."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import vqvae_tf
from support import runs, small, tfds_sets
from support.command_line import run
from vqvae_tf import VQVAE, presets, recipes, tasks
from vqvae_tf.commands import table as cli
from vqvae_tf.tasks import publish as publishing
from vqvae_tf_cli import arguments as commands


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


def refused(capsys, *argv):
    """Returns the one line of a command that must fail."""
    assert run(*argv) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("vqvae-tf: ")
    return error


def test_training_says_first_that_its_preset_cannot_be_saved(tmp_path, capsys):
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / "notes.txt").write_text("mine")
    words = ["train", "--config=vqvae_cifar10", f"--workdir={tmp_path}"]
    assert "holds 'notes.txt'" in refused(capsys, *words)
    assert os.listdir(tmp_path) == ["preset"]


def test_evaluate_agrees(zoo, capsys):
    assert run("evaluate", zoo, f"--data_dir={zoo}") == 0
    assert "All figures agree with the card." in capsys.readouterr().out


def test_evaluate_disagrees(zoo, tmp_path, capsys):
    model = presets.load(zoo)
    metadata = presets.load_metadata(zoo / "preset")
    metadata["metrics"]["psnr"] += 1
    metadata.pop("files")
    presets.save(model, tmp_path / "other", metadata)
    assert run("evaluate", tmp_path / "other", f"--data_dir={zoo}") == 1
    out = capsys.readouterr().out
    expected = metadata["metrics"]["psnr"]
    assert f"the card says {expected:.2f}" in out


@pytest.fixture
def measured_once(monkeypatch):
    """Has presets of the same data, all of one model here, measured once."""
    measure, found = tasks.measure, {}

    def measure_once(model, description, *args, rows):
        key = json.dumps(description, sort_keys=True)
        if key not in found:
            figures = measure(model, description, *args, rows=rows)
            found[key] = figures, dict(rows)
        figures, kept = found[key]
        rows.update(kept)
        return dict(figures)

    monkeypatch.setattr(tasks, "measure", measure_once)


@pytest.mark.usefixtures("measured_once")
def test_evaluate_compares_example_by_example(zoo, capsys):
    words = ["evaluate", zoo, f"--data_dir={zoo}", f"--against={zoo}"]
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert out.count("All figures agree with the card.") == 2
    assert f"{zoo} less {zoo}, example by example, bits/dim:" in out
    metrics = presets.load_metadata(zoo / "preset")["metrics"]
    mean = (
        f"{metrics['bits_per_dim']:.4f} ± {metrics['bits_per_dim_error']:.4f}"
    )
    assert re.search(f"  bound with the prior +{mean}\n", out)
    same = "bound with the prior less bound with the prior"
    assert re.search(f"{same} +[+-]0.0000 ± 0.0000", out)


@pytest.mark.usefixtures("measured_once")
def test_evaluate_compares_runs(zoo, capsys):
    words = ["evaluate", zoo, zoo, f"--data_dir={zoo}"]
    assert run(*words) == 0
    out = capsys.readouterr().out
    _, intervals = out.split("Mean, and half of its 95 % interval:\n")
    psnr = presets.load_metadata(zoo / "preset")["metrics"]["psnr"]
    assert re.search(rf"PSNR.* {psnr:.2f} ± 0.00\n", intervals)
    assert run(*words, f"--against={zoo},{zoo}") == 0
    _, difference = capsys.readouterr().out.split("Difference, pair by pair")
    assert re.search(r"PSNR.* -?0.00 ± 0.00\n", difference)


def test_evaluate_refuses_what_is_no_pair(zoo, tmp_path, capsys):
    error = refused(capsys, "evaluate", zoo, f"--against={zoo},{zoo}")
    assert "as many presets as are measured: pairs. Received: 1 and 2" in error
    metadata = presets.load_metadata(zoo / "preset")
    metadata.pop("files")
    metadata["data"]["eval_split"] = "train"
    presets.save(presets.load(zoo), tmp_path / "other", metadata)
    against = f"--against={tmp_path / 'other'}"
    words = ["evaluate", zoo, f"--data_dir={zoo}", against]
    error = refused(capsys, *words)
    assert "must be of the same data" in error
    assert "eval_split='test'" in error and "other with 'train'." in error


def test_encode_and_decode(zoo, tmp_path):
    assert run("encode", zoo, zoo / "photos", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as arrays:
        codes, names = arrays["codes"], arrays["names"]
    assert codes.shape == (3, 4, 4)
    assert list(names) == ["p0.png", "p1.png", "p2.png"]
    assert run("decode", zoo, tmp_path / "c.npz", tmp_path / "out") == 0
    model = presets.load(zoo)
    for i, picture in enumerate(model.decode(codes).numpy()):
        written = small.read_picture(tmp_path / "out" / f"p{i}.png")
        np.testing.assert_array_equal(written, picture)
    assert run("decode", zoo, tmp_path / "c.npz", tmp_path / "o.npz") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], model.decode(codes))


def test_encode_npz(zoo, tmp_path):
    images = small.pictures(5)
    np.savez(tmp_path / "x.npz", images=images)
    assert run("encode", zoo, tmp_path / "x.npz", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as arrays:
        expected = presets.load(zoo).encode(images)
        np.testing.assert_array_equal(arrays["codes"], expected)


def test_encode_and_decode_a_data_set(zoo, plain, tmp_path, capsys):
    words = ["encode", zoo, "npz:small.npz", tmp_path / "codes"]
    words += ["--num_shards=2", "--split=test", f"--data_dir={zoo}"]
    assert run(*words) == 0
    assert "codes of 4 pictures" in capsys.readouterr().out
    assert run(*words) == 0
    assert "0 shards made, 2 were there" in capsys.readouterr().out
    out = tmp_path / "out"
    assert run("decode", zoo, tmp_path / "codes", out) == 0
    model = presets.load(zoo)
    pictures = model.reconstruct(small.pictures(12)[8:]).numpy()
    for i, picture in enumerate(pictures):
        written = small.read_picture(out / "test" / f"{i}.png")
        np.testing.assert_array_equal(written, picture)
    some = ["decode", zoo, tmp_path / "codes", tmp_path / "two"]
    assert run(*some, "--split=test[1:3]") == 0
    written = sorted(p.name for p in (tmp_path / "two").rglob("*.png"))
    assert written == ["1.png", "2.png"]
    error = refused(capsys, "decode", plain, tmp_path / "codes", out)
    assert "with the model that made them" in error
    npz = tmp_path / "x.npz"
    error = refused(capsys, "decode", zoo, tmp_path / "codes", npz)
    assert "are written to a folder" in error


def test_decode_says_what_it_cannot_take(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=np.zeros([1, 4, 4], np.int32))
    words = ["decode", zoo, tmp_path / "c.npz", tmp_path / "out"]
    error = refused(capsys, *words, "--split=train")
    assert "--split is for data sets of codes" in error
    assert not (tmp_path / "out").exists()
    assert run(*words) == 0
    # A data set of tfds, but of pictures.
    features = {"image": tfds_sets.tfds.features.Image(shape=(None, None, 3))}
    rows = [{"image": picture} for picture in small.pictures(2)]
    tfds_sets.prepare(tmp_path, "album", features, {"train": rows})
    album = tmp_path / "album" / "1.0.0"
    error = refused(capsys, "decode", zoo, album, tmp_path / "out")
    assert "Expected a folder written by `vqvae-tf encode`. Received:" in error


def test_out_of_memory_names_the_flag_of_encode():
    message = cli.explain(MemoryError("too much"))
    assert "Encoding: use a smaller --batch_size" in message


def test_reconstruct(zoo, tmp_path, capsys):
    photo = zoo / "photos" / "p1.png"
    assert run("reconstruct", zoo, photo, f"--output={tmp_path}") == 0
    sheet = small.read_picture(tmp_path / "p1.png")
    assert sheet.shape == (2 * 18 + 2, 16 + 4, 3)
    assert "p1.png: " in capsys.readouterr().out
    arguments = [photo, f"--output={tmp_path}", "--size=native"]
    assert run("reconstruct", zoo, *arguments) == 0
    sheet = small.read_picture(tmp_path / "p1.png")
    assert sheet.shape == (2 * 22 + 2, 20 + 4, 3)


def test_folders_inside_folders_are_kept(zoo, albums, tmp_path):
    codes, out = tmp_path / "c.npz", tmp_path / "out"
    assert run("encode", zoo, albums, codes) == 0
    with np.load(codes) as arrays:
        assert list(arrays["names"]) == ["a/1.png", "b/1.png"]
    assert run("decode", zoo, codes, out / "decoded") == 0
    assert run("reconstruct", zoo, albums, f"--output={out / 'pairs'}") == 0
    written = {str(p.relative_to(out)) for p in out.rglob("*.png")}
    assert written == {
        "decoded/a/1.png",
        "decoded/b/1.png",
        "pairs/a/1.png",
        "pairs/b/1.png",
    }


def test_preset_without_data(plain, zoo, tmp_path):
    codes, photos = tmp_path / "c.npz", zoo / "photos"
    assert run("encode", plain, photos, codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 4, 4)
    assert run("reconstruct", plain, photos, f"--output={tmp_path}") == 0
    assert small.read_picture(tmp_path / "p1.png").shape == (38, 20, 3)


def test_preset_of_any_size(plain, albums, tmp_path):
    parts = presets.load(plain)
    model = VQVAE(parts.encoder, parts.quantizer, parts.decoder)
    model.save_to_preset(tmp_path / "open")
    codes = tmp_path / "c.npz"
    assert run("encode", tmp_path / "open", albums, codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (2, 16 // 4, 20 // 4)
    images = small.pictures(2, 18)
    np.savez(tmp_path / "x.npz", images=images)
    assert run("encode", tmp_path / "open", tmp_path / "x.npz", codes) == 0
    with np.load(codes) as arrays:
        expected = model.encode(images[:, 1:17, 1:17])
        np.testing.assert_array_equal(arrays["codes"], expected)


def test_sample(zoo, tmp_path):
    sheets = []
    for i, extra in enumerate(([], [], ["--seed=7"], ["--label=1"])):
        path = tmp_path / f"{i}.png"
        assert run("sample", zoo, f"--output={path}", "--num=4", *extra) == 0
        sheets.append(small.read_picture(path))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


@pytest.fixture(scope="module")
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


def test_rollout(film, tmp_path, capsys):
    clip, gif, npz = film / "clip.npz", tmp_path / "a.gif", tmp_path / "a.npz"
    assert run("rollout", film, clip, f"--output={gif}") == 0
    assert "1 futures of 3 frames" in capsys.readouterr().out
    with Image.open(gif) as animation:
        # Two frames are given; what came beside what was drawn.
        assert animation.n_frames == 2 + 3
        assert animation.size == (2 * 18 + 2, 18 + 2)
    flags_ = ["--actions=1,2", "--num_futures=2", f"--output={npz}"]
    assert run("rollout", film, clip, *flags_, "--seed=3") == 0
    video = presets.load(film)
    with np.load(clip) as arrays:
        past = arrays["frames"][None, :2]
    expected = video.rollout(past, [[1, 2]], num_futures=2, seed=3)
    with np.load(npz) as arrays:
        np.testing.assert_array_equal(arrays["frames"], expected)


def test_rollout_refuses(film, zoo, tmp_path, capsys):
    clip = film / "clip.npz"
    wrong = refused(capsys, "rollout", film, clip, "--actions=1,9")
    assert "0..4" in wrong and "9" in wrong
    wrong = refused(capsys, "rollout", film, clip, "--output=a.png")
    assert ".gif" in wrong
    assert "LatentGenerator" in refused(capsys, "rollout", zoo, clip)


def test_pictures_of_a_preset_of_video(film, zoo, tmp_path):
    codes = tmp_path / "codes.npz"
    assert run("encode", film, zoo / "photos", codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 4, 4)
    assert run("decode", film, codes, tmp_path / "again") == 0
    assert len(list((tmp_path / "again").glob("*.png"))) == 3


def test_export(zoo, tmp_path):
    assert run("export", zoo, tmp_path / "m", "--model_version=3") == 0
    assert (tmp_path / "m" / "3" / "saved_model.pb").is_file()


def test_list(zoo, capsys, monkeypatch):
    monkeypatch.setattr(presets, "BUILT_IN", {"tiny": ""})
    monkeypatch.setattr(presets, "find_preset", lambda name: zoo / "preset")
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "tiny  (LatentGenerator" in out and "A small model." in out
    assert "PSNR" in out


def test_train(zoo, tmp_path, capsys):
    recipe = tmp_path / "r.py"
    recipe.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(runs.TESTS)!r})\n"
        "from support import small\n"
        "def get_config():\n    return small.recipe()\n"
    )
    work = tmp_path / "work"
    flags_ = [f"--config={recipe}", f"--workdir={work}", f"--data_dir={zoo}"]
    flags_ += ["--config.training.steps=3", "--config.training.clip_norm=9"]
    assert run("train", *flags_) == 0
    metadata = presets.verify(work / "preset")
    assert metadata["steps"] == "3 steps of 4, the prior 4 of 4"
    card = (work / "preset" / "README.md").read_text()
    assert f"{metadata['metrics']['psnr']:.2f}" in card
    saved = json.loads((work / "recipe.json").read_text())
    assert saved["training"]["steps"] == 3
    assert saved["training"]["clip_norm"] == 9
    assert f'from_preset("{work}/preset")' in card
    command = f"vqvae-tf train --config={recipe} --config.training.steps=3"
    assert f"`{command} --config.training.clip_norm=9 --workdir=DIR`" in card


# Mistakes -------------------------------------------------------------------


def test_unknown_command(capsys):
    assert "Unknown command 'fly'" in refused(capsys, "fly")


def test_wrong_number_of_arguments(capsys):
    error = refused(capsys, "encode", "a")
    assert "takes other arguments. Received: a." in error
    assert commands.usage("encode") in error


def test_unknown_preset(capsys):
    assert "There is no preset 'none'" in refused(capsys, "evaluate", "none")


def test_unknown_flag(capsys):
    assert "dataa_dir" in refused(capsys, "list", "--dataa_dir=x")


def test_unknown_recipe_key(zoo, capsys, tmp_path):
    error = refused(
        capsys,
        "train",
        "--config=vqvae_cifar10",
        "--config.encoder.widht=3",
        f"--workdir={tmp_path}",
    )
    assert "The recipe has no key encoder.widht. " in error


def test_train_without_recipe(capsys):
    assert "train needs a recipe" in refused(capsys, "train")


def test_corrupt_picture(zoo, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(b"no picture")
    Image.fromarray(small.pictures(1)[0]).save(folder / "good.png")
    target = tmp_path / "c.npz"
    error = refused(capsys, "encode", zoo, folder, target)
    assert "bad.jpg" in error and error.endswith("use --on_corrupt=skip.")
    assert not target.exists()
    assert run("encode", zoo, folder, target, "--on_corrupt=skip") == 0
    with np.load(target) as arrays:
        assert arrays["codes"].shape == (1, 4, 4)


def test_codes_out_of_range(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=np.full([1, 4, 4], 8))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Codes must be in 0..7" in error and "8..8" in error


def test_files_of_one_name(zoo, albums, tmp_path, capsys):
    files, out = [albums / "a" / "1.png", albums / "b" / "1.png"], tmp_path
    error = refused(capsys, "reconstruct", zoo, *files, f"--output={out}")
    assert f"{files[0]} and {files[1]} would both be written to 1.png" in error
    assert not (tmp_path / "1.png").exists()


def test_reconstruction_beside_its_picture(zoo, albums, capsys):
    path = albums / "a" / "1.png"
    before = path.read_bytes()
    error = refused(capsys, "reconstruct", zoo, albums, f"--output={albums}")
    assert f"the input {albums}." in error
    assert path.read_bytes() == before


def test_no_command_writes_over_what_it_did_not_make(
    zoo, film, tmp_path, capsys
):
    photos, codes = tmp_path / "photos", tmp_path / "codes.npz"
    shutil.copytree(zoo / "photos", photos)
    np.savez(tmp_path / "x.npz", images=small.pictures(2))
    assert run("encode", zoo, photos, codes) == 0
    shutil.copy(film / "clip.npz", tmp_path)
    clip, given = tmp_path / "clip.npz", tmp_path / "x.npz"
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    os.symlink(given, tmp_path / "link.npz")
    for words in (
        ["encode", zoo, given, given],
        ["encode", zoo, given, tmp_path / "link.npz"],
        ["encode", zoo, photos, given],
        ["encode", zoo, photos, photos],
        ["decode", zoo, codes, codes],
        ["decode", zoo, codes, given],
        ["decode", zoo, codes, photos],
        ["sample", zoo, f"--output={photos / 'p0.png'}"],
        ["reconstruct", zoo, photos, f"--output={photos}"],
        ["reconstruct", zoo, photos / "p0.png", f"--output={photos}"],
        ["rollout", film, clip, f"--output={clip}"],
        ["rollout", film, clip, f"--output={codes}"],
        ["rollout", film, photos, f"--output={photos / 'a.gif'}"],
    ):
        error = refused(capsys, *words)
        assert any(
            said in error
            for said in ("would be replaced", "did not make it")
            + ("would be among the input", "Expected a new or empty folder")
        ), error
    for path, content in before.items():
        assert path.read_bytes() == content
    assert run("encode", zoo, photos, codes) == 0  # again


def test_codes_of_another_preset_are_refused(zoo, plain, tmp_path, capsys):
    codes, out = tmp_path / "c.npz", tmp_path / "out"
    assert run("encode", zoo, zoo / "photos", codes) == 0
    error = refused(capsys, "decode", plain, codes, out)
    assert f"{codes} holds codes of {zoo}, whose weights" in error
    assert not out.exists()
    with np.load(codes) as arrays:
        found = dict(arrays)
    for preset, words in (
        ("noise", "does not say which preset"),
        ('{"name": 3}', "does not say which preset"),
    ):
        np.savez(codes, **{**found, "preset": preset})
        assert words in refused(capsys, "decode", zoo, codes, out)


def test_codes_of_older_versions_are_decoded_with_a_warning(
    zoo, tmp_path, caplog
):
    codes = tmp_path / "c.npz"
    np.savez(codes, codes=np.zeros([1, 4, 4], np.int32))
    assert run("decode", zoo, codes, tmp_path / "out") == 0
    assert "does not say which preset made it" in caplog.text


def test_a_preset_that_is_published_again_still_decodes(zoo, tmp_path):
    """Other figures on the card, the same weights."""
    codes, again = tmp_path / "c.npz", tmp_path / "again"
    assert run("encode", zoo, zoo / "photos", codes) == 0
    shutil.copytree(zoo / "preset", again)
    metadata = {**presets.load_metadata(again), "summary": "Another."}
    (again / "metadata.json").write_text(json.dumps(metadata))
    assert run("decode", again, codes, tmp_path / "out") == 0


def test_endings_in_capitals(zoo, film, tmp_path):
    given, codes = tmp_path / "X.NPZ", tmp_path / "C.NPZ"
    with open(given, "wb") as file:
        np.savez(file, images=small.pictures(2))
    assert run("encode", zoo, given, codes) == 0
    assert run("decode", zoo, codes, tmp_path / "IMAGES.NPZ") == 0
    with np.load(tmp_path / "IMAGES.NPZ") as arrays:
        assert arrays["images"].shape == (2, 16, 16, 3)
    assert run("encode", zoo, given, tmp_path / "folder") == 0
    clip, output = film / "clip.npz", tmp_path / "FILM.GIF"
    assert run("rollout", film, clip, f"--output={output}") == 0
    with Image.open(output) as animation:
        assert animation.n_frames == 5


def test_arrays_of_codes_that_are_no_rows(zoo, tmp_path, capsys):
    codes = tmp_path / "c.npz"
    good = np.zeros([2, 4, 4], np.int32)
    for arrays in (
        dict(codes=np.int32(3)),
        dict(codes=good[:0]),
        dict(codes=good[:, :0]),
        dict(codes=good, names="a"),
        dict(codes=good, names=[["a", "b"]]),
        dict(codes=good, names=["a", "/b"]),
    ):
        np.savez(codes, **arrays)
        error = refused(capsys, "decode", zoo, codes, tmp_path / "o")
        assert "Expected" in error or "relative paths" in error


def test_evaluate_without_data(plain, capsys):
    error = refused(capsys, "evaluate", plain)
    assert "does not say what to measure it on" in error
    assert "lacks source, train_split" in error


@pytest.mark.parametrize(
    "mistake, words",
    [
        (lambda: tf.io.read_file("/none"), "/none; No such file or directory"),
        (
            lambda: tf.function(tf.strings.to_number)(tf.constant("a")),
            "StringToNumberOp could not correctly convert string: a",
        ),
    ],
    ids=["eager", "graph"],
)
def test_error_of_an_operation(capsys, monkeypatch, mistake, words):
    monkeypatch.setitem(cli.COMMANDS, "demo", mistake)
    error = refused(capsys, "demo")
    assert error == f"vqvae-tf: {words} (--verbosity=1 shows where)"


def test_error_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "demo", lambda: {}["key"])
    with pytest.raises(KeyError):
        run("demo")


def test_npz_with_too_few_names(zoo, tmp_path, capsys):
    codes = np.zeros([2, 4, 4], np.int32)
    np.savez(tmp_path / "c.npz", codes=codes, names=["a"])
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Received: 1 and 2" in error


def test_npz_without_codes(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", other=np.zeros(1))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Expected an array `codes`" in error


def test_label_out_of_range(zoo, capsys, tmp_path):
    error = refused(
        capsys, "sample", zoo, "--label=2", f"--output={tmp_path / 'a.png'}"
    )
    assert "--label must be in 0..1" in error


def test_missing_data(zoo, tmp_path, capsys):
    error = refused(capsys, "evaluate", zoo, f"--data_dir={tmp_path}")
    assert "small.npz" in error


def test_decode_without_a_codes_file(zoo, tmp_path, capsys):
    photo = zoo / "photos" / "p1.png"
    error = refused(capsys, "decode", zoo, photo, tmp_path / "o")
    assert "written by `vqvae-tf encode`). Received: " in error
    np.savez(tmp_path / "c.npz", codes=np.array([{}]))
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Expected a codes file" in error


def test_endings_of_outputs(zoo, tmp_path, capsys):
    photos, target = zoo / "photos", tmp_path / "codes.npz"
    error = refused(capsys, "encode", zoo, photos, target, "--num_shards=2")
    assert "--num_shards is for data sets" in error
    photo = photos / "p1.png"
    error = refused(capsys, "encode", zoo, photo, tmp_path / "codes")
    assert 'Expected "tfds:NAME", a folder of pictures or an npz' in error
    error = refused(capsys, "sample", zoo, f"--output={tmp_path / 'dir'}")
    assert "must be a picture file (.jpg, " in error


@pytest.mark.parametrize("source", ["npz:small.npz", "folder"])
def test_no_data_dir(source, zoo, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    recipe, work = "--config=vqvae_photo128", tmp_path / "work"
    source_flag = f"--config.data.source={source}"
    error = refused(capsys, "train", recipe, source_flag, f"--workdir={work}")
    inside = "small.npz" if "npz" in source else "train/ and test/"
    assert f"train needs --data_dir=FOLDER with {inside} inside" in error
    assert not work.exists()
    if "npz" in source:
        error = refused(capsys, "evaluate", zoo)
        assert "evaluate needs --data_dir=FOLDER with small.npz" in error


def test_flag_of_another_command(capsys):
    error = refused(capsys, "list", "--num=3")
    assert "`vqvae-tf list` has no flag --num." in error


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help(name, capsys):
    assert set(commands.COMMANDS) == set(cli.COMMANDS)
    assert run(name, "--help") == 0
    output = capsys.readouterr()
    assert output.err == "" and output.out.startswith(f"Usage: vqvae-tf {name}")
    assert f"Example:\n  vqvae-tf {name}" in output.out
    for flag in commands.COMMANDS[name].flags:
        assert f"--{flag} " in output.out


def test_general_help(capsys):
    assert run("--help") == 0
    output = capsys.readouterr().out
    for name in [*commands.COMMANDS, "--temperature", "--config.KEY"]:
        assert f"  {name}" in output


# What a process prints that has imported nothing before.
_PROCESS = """
import sys
from vqvae_tf_cli.main import main
try:
    main()
finally:
    print("tensorflow" in sys.modules)
"""


def process(*argv):
    environment = {**os.environ}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-c", _PROCESS, *map(str, argv)],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize(
    "argv, code",
    [("fly", 1), ("list --nope", 1), ("train", 1), ("encode -h", 0)],
)
def test_without_tensorflow(argv, code):
    """One real process: the exit code and stderr, at once."""
    result = process(*argv.split())
    assert result.returncode == code, result.stderr
    assert result.stdout.endswith("False\n")
    assert result.stderr.startswith("vqvae-tf: " if code else "")


def test_version():
    result = process("--version")
    assert result.stdout == f"vqvae_tf {vqvae_tf.__version__}\nFalse\n"


def test_only_its_own_lines():
    """What TensorFlow prints when it is imported is held back."""
    result = process("evaluate", "none")
    assert result.returncode == 1 and result.stdout == "True\n"
    assert result.stderr.startswith("vqvae-tf: There is no preset 'none'")


@pytest.mark.parametrize(
    "number, message",
    [(signal.SIGINT, "Interrupted."), (signal.SIGTERM, "Terminated.")],
)
def test_signals_end_any_command(monkeypatch, capsys, number, message):
    before = signal.getsignal(number)
    monkeypatch.setitem(
        cli.COMMANDS, "list", lambda: os.kill(os.getpid(), number)
    )
    assert run("list") == 128 + number
    assert capsys.readouterr().err.strip() == f"vqvae-tf: {message}"
    assert signal.getsignal(number) is before
