"""The checks at import: one test for each message."""

import os
import subprocess
import sys
import time

import keras
import pytest

from vqvae_tf import _versions


def _run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def _set_version(monkeypatch, name, version):
    versions = {"tensorflow": "2.21.0", "keras": "3.15.1", name: version}
    monkeypatch.setattr(
        _versions.importlib.metadata, "version", versions.__getitem__
    )


def test_this_environment_passes():
    assert _versions.check() is None


def test_minimums_are_those_of_the_packaging():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(root, "setup.py")) as file:
        setup = file.read()
    for name, minimum in _versions.REQUIRED.items():
        assert f'"{name}>={_versions._dotted(minimum)},' in setup
    assert f'python_requires=">={_versions._dotted(_versions.PYTHON)}"' in setup


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_backend_of_the_environment(backend):
    # jax is not installed here: the message has to come first.
    done = _run("import vqvae_tf", KERAS_BACKEND=backend)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert last.startswith(
        "ImportError: vqvae_tf works only with Keras' TensorFlow"
    )
    assert f"Received: the backend '{backend}'" in last
    assert "KERAS_BACKEND=tensorflow before keras or vqvae_tf" in last


def test_backend_of_keras_json(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    done = _run(
        "from vqvae_tf import _versions",
        KERAS_HOME=str(tmp_path),
        KERAS_BACKEND="",
    )
    assert done.returncode != 0
    assert "Received: the backend 'jax'" in done.stderr.splitlines()[-1]


def test_backend_of_a_keras_imported_before(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="Received: the backend 'torch'"):
        _versions.check()


def test_old_python(monkeypatch):
    monkeypatch.setattr(_versions.sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(
        ImportError, match=r"needs Python 3\.11 .* Received: Python 3\.10\.4"
    ):
        _versions.check()


@pytest.mark.parametrize(
    ("name", "version", "minimum"),
    [
        ("tensorflow", "2.20.1", r"2\.21"),
        ("tensorflow", "2.9.0rc1", r"2\.21"),
        ("keras", "2.15.0", r"3\.15"),
        ("keras", "3.9.2", r"3\.15"),
    ],
)
def test_old_package(monkeypatch, name, version, minimum):
    _set_version(monkeypatch, name, version)
    message = (
        f"vqvae_tf needs {name} {minimum} or newer. Received: {name} {version}."
        f" Upgrade it: pip install '{name}>={minimum}'"
    )
    with pytest.raises(ImportError, match=message):
        _versions.check()


@pytest.mark.parametrize("version", ["2.21.0rc0", "2.22.0-dev20260101", "3.0"])
def test_new_enough_package(monkeypatch, version):
    _set_version(monkeypatch, "tensorflow", version)
    _versions.check()


def test_tensorflow_under_another_name(monkeypatch):
    def version(name):
        raise _versions.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_versions.importlib.metadata, "version", version)
    _versions.check()  # by the __version__ of the modules


def test_missing_package(monkeypatch):
    def version(name):
        raise _versions.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_versions.importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(
        ImportError, match="needs tensorflow, which is not installed. Install"
    ):
        _versions.check()


def test_check_is_quick():
    start = time.process_time()
    _versions.check()
    assert time.process_time() - start < 0.3
