"""The documentation site: every public name, links, and no warnings."""

import importlib
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest

import vqvae_tf
from vqvae_tf import zoo_path

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import site_links  # noqa: E402
import site_reference  # noqa: E402
import site_zoo  # noqa: E402


def test_subpackages_with_public_names_are_in_the_reference():
    names = {
        f"vqvae_tf.{found.name}"
        for found in pkgutil.iter_modules(vqvae_tf.__path__)
        if found.ispkg
    }
    public = {
        name
        for name in names
        if hasattr(importlib.import_module(name), "__all__")
    }
    assert set(site_reference.TITLES) >= public


def test_public_names_have_a_page_each(tmp_path):
    folder = tmp_path / "reference"
    site_reference.write_pages(folder)
    for namespace in site_reference.TITLES:
        text = (folder / f"{namespace}.rst").read_text()
        for name, value in site_reference.public_names(namespace).items():
            (place,) = [
                line.strip()
                for line in text.splitlines()
                if line.endswith(f".{name}")
            ]
            module, _, last = place.rpartition(".")
            assert getattr(importlib.import_module(module), last) is value


def test_a_name_of_several_subpackages_has_one_page():
    layer = vqvae_tf.VectorQuantizer
    for namespace in ("vqvae_tf", "vqvae_tf.layers", "vqvae_tf.quantizers"):
        home = site_reference.home_of("VectorQuantizer", layer, namespace)
        assert home == "vqvae_tf.quantizers"


@pytest.mark.parametrize(
    "link, expected",
    [
        ("[a](docs/speed.md#x)", "[a](speed.md#x)"),
        ("[a](BUILD.md)", "[a](building.md)"),
        ("[a](../README.md#y)", "[a](index.md#y)"),
        ("![a](docs/photos.jpg)", "![a](photos.jpg)"),
        ("[a](../zoo/presets/x/y.png)", "[a](../zoo/presets/x/y.png)"),
    ],
)
def test_links_lead_to_pages_of_the_site(link, expected):
    assert site_links.relinked(link) == expected


def test_the_gallery_has_all_presets_and_what_they_show(tmp_path):
    (tmp_path / "gallery").mkdir()
    site_zoo.copy_media(tmp_path)
    page = site_zoo.gallery()
    names = {p.name for p in (zoo_path.zoo_dir() / "presets").iterdir()}
    found = re.findall(r"from_preset\(&quot;(\w+)&quot;\)", page)
    assert set(found) == names
    cards = "".join(site_zoo.card(folder) for folder in site_zoo.presets())
    sources = re.findall(r'src="([^"]+)"', page + cards)
    assert len(sources) > len(names)
    for source in sources:
        assert (tmp_path / "gallery" / source).resolve().stat().st_size > 0
    for kind in site_zoo.KINDS:
        assert f'<article class="preset" data-kind="{kind}"' in page


@pytest.mark.slow
def test_the_site_is_made_without_warnings(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    made = subprocess.run(
        [*command, "-E", "-b", "html", ROOT / "docs", tmp_path / "site"],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    page = tmp_path / "site" / "reference" / "names"
    text = (page / "vqvae_tf.quantizers.VectorQuantizer.html").read_text()
    assert "commitment_cost" in text and "set_codebook" in text
    # Nothing is fetched from elsewhere: scripts, styles, fonts, pictures.
    fetched = re.findall(
        r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', text
    )
    assert any("mathjax" in place for place in fetched)
    assert not [place for place in fetched if "//" in place]
