"""What is found in a checkout, and what is put into a wheel."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from vqvae_tf import zoo_path
from vqvae_tf.samples.photos import sample_pictures

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_zoo_dir_has_the_recipes():
    names = {path.name for path in (zoo_path.zoo_dir() / "recipes").iterdir()}
    assert "vqvae_cifar10.py" in names


def _package(tmp_path, monkeypatch):
    package = tmp_path / "vqvae_tf"
    package.mkdir()
    monkeypatch.setattr(zoo_path, "__file__", str(package / "zoo_path.py"))
    return package


def test_zoo_dir_prefers_the_one_inside_the_package(tmp_path, monkeypatch):
    package = _package(tmp_path, monkeypatch)
    (tmp_path / "zoo" / "recipes").mkdir(parents=True)
    assert zoo_path.zoo_dir() == tmp_path / "zoo"
    (package / "zoo" / "recipes").mkdir(parents=True)
    assert zoo_path.zoo_dir() == package / "zoo"


def test_zoo_dir_missing(tmp_path, monkeypatch):
    _package(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match="The zoo of vqvae_tf is miss"):
        zoo_path.zoo_dir()


def test_sample_pictures_are_colourful_photographs():
    paths = sample_pictures()
    assert len(paths) == 12
    assert sum(path.stat().st_size for path in paths) < 600_000
    for path in paths:
        picture = Image.open(path)
        assert picture.mode == "RGB" and min(picture.size) == 208, path
        spread = np.asarray(picture, np.float32).std(axis=-1)  # 0 where grey
        assert spread.mean() > 5, path


def test_every_sample_picture_has_a_licence():
    text = (sample_pictures()[0].parent / "LICENCES.md").read_text()
    rows = [
        row.split("|")[1:-1] for row in text.splitlines() if ".jpg |" in row
    ]
    licences = {row[0].strip(): row[3].strip(" []") for row in rows}
    assert set(licences) == {path.name for path in sample_pictures()}
    assert set(licences.values()) <= {
        "public domain",
        "CC0 1.0",
        "CC BY 2.0",
        "CC BY 4.0",
    }


def _copy_sources(destination):
    # The build writes beside setup.py: not into the checkout.
    for name in ("vqvae_tf", "vqvae_tf_cli", "zoo"):
        shutil.copytree(
            ROOT / name,
            destination / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md"):
        shutil.copy(ROOT / name, destination)


def _build_wheel(source, output):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", str(output), str(source)], check=True)
    (wheel,) = output.glob("vqvae_tf-*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_holds_package_zoo_and_samples(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    _copy_sources(source)
    # A preset of every kind of file, whatever the zoo holds at the moment.
    preset = source / "zoo" / "presets" / "made_up"
    preset.mkdir(parents=True)
    for name in (
        "config.json model.weights.h5 prior.json prior.weights.h5 "
        "metadata.json README.md samples.png samples.gif samples.wav"
    ).split():
        (preset / name).write_bytes(b"x")
    wheel = _build_wheel(source, tmp_path / "wheel")

    files = sorted(p for p in source.glob("vqvae_tf/**/*") if p.is_file())
    files += sorted(p for p in source.glob("vqvae_tf_cli/*") if p.is_file())
    files += sorted(p for p in source.glob("zoo/*/**/*") if p.is_file())
    expected = set()
    for path in files:
        name = path.relative_to(source).as_posix()
        expected.add(f"vqvae_tf/{name}" if name.startswith("zoo/") else name)
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
        entry = next(
            n for n in archive.namelist() if n.endswith("entry_points.txt")
        )
        assert (
            "vqvae-tf = vqvae_tf_cli.main:main" in archive.read(entry).decode()
        )
        about = entry.replace("entry_points.txt", "METADATA")
        text = archive.read(about).decode()
        assert "Description-Content-Type: text/markdown" in text
        assert "## Use a pretrained model" in text and "![" not in text
    assert names == expected


@pytest.mark.slow
def test_installed_wheel_finds_its_zoo_and_samples(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    _copy_sources(source)
    wheel = _build_wheel(source, tmp_path / "wheel")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "from vqvae_tf.zoo_path import zoo_dir\n"
        "from vqvae_tf.samples.photos import sample_pictures\n"
        "print(zoo_dir(), len(sample_pictures()))"
    )
    # -S -E would hide the dependencies; PYTHONPATH goes before site-packages.
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    where, count = done.stdout.split()
    assert pathlib.Path(where) == site / "vqvae_tf" / "zoo"
    assert int(count) == 12
