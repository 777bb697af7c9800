"""Modules of version 0.1.0 can still be imported under their old names."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import vqvae_tf
from vqvae_tf import _moved
from vqvae_tf.evaluation import statistics
from vqvae_tf.tasks import run
from vqvae_tf.utils import npz_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLE = dict(
    re.findall(
        r"^\| `([\w.]+)` \| `([\w.]+)` \|$",
        (ROOT / "CHANGELOG.md").read_text(),
        re.M,
    )
)


@pytest.fixture
def fresh():
    """Forgets, before and after a test, that old names were imported."""
    old = [f"vqvae_tf.{name}" for name in _moved.MODULES]
    for name in old:
        sys.modules.pop(name, None)
    yield
    for name in old:
        sys.modules.pop(name, None)


def public(module):
    return {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }


@pytest.mark.parametrize("old", sorted(_moved.MODULES))
def test_a_module_of_before_has_what_it_had_and_warns(old, fresh):
    if old == "code_beam":
        pytest.importorskip("apache_beam")
    successors = _moved.MODULES[old].split()
    with pytest.warns(DeprecationWarning) as caught:
        found = importlib.import_module(f"vqvae_tf.{old}")
    assert len(caught) == 1
    for successor in successors:
        assert f"vqvae_tf.{successor}" in str(caught[0].message)
    first = public(importlib.import_module(f"vqvae_tf.{successors[0]}"))
    assert first.items() <= vars(found).items()


@pytest.mark.parametrize("old", sorted(_moved.PACKAGES))
def test_a_package_under_an_old_name_has_what_the_module_had(old):
    package = importlib.import_module(f"vqvae_tf.{old}")
    successor = _moved.PACKAGES[old].split()[0]
    names = public(importlib.import_module(f"vqvae_tf.{successor}"))
    moved = [name for name in names if name not in vars(package)]
    for name in moved:
        with pytest.warns(
            DeprecationWarning, match=f"from vqvae_tf.{successor}"
        ):
            assert getattr(package, name) is names[name]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_every_module_of_the_changelog_has_its_old_name():
    known = _moved.MODULES | _moved.PACKAGES
    for old, new in TABLE.items():
        assert new == known[old].split()[0]


def test_functions_that_went_elsewhere_are_found_too(fresh):
    with pytest.warns(DeprecationWarning):
        from vqvae_tf.evaluation import psnr
        from vqvae_tf.files import read_npz
        from vqvae_tf.training import train
    assert read_npz is npz_files.read_npz
    assert psnr is statistics.psnr
    assert train is run.train


def test_old_names_hide_nothing():
    package = pathlib.Path(vqvae_tf.__file__).parent
    for old in _moved.MODULES:
        place = package / old.replace(".", "/")
        assert not place.exists(), old
        assert not place.with_suffix(".py").exists(), old


def test_the_warning_points_at_the_line_that_imports(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import vqvae_tf\nfrom vqvae_tf.wav import *\n"
        "from vqvae_tf.training import train\nprint(save_wav, train)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"script.py:(\d+): DeprecationWarning", done.stderr)
    assert lines == ["2", "3"]
