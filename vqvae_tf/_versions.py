"""The version, and a check of the versions of Python, TensorFlow and Keras.

Imports no part of the package, so that its messages precede any error that an
old version would cause.
"""

import importlib
import importlib.metadata
import os
import re
import sys

# Read by setup.py.
__version__ = "0.1.0"
PYTHON = (3, 11)
# The oldest versions that are tested; see setup.py.
REQUIRED = {"tensorflow": (2, 21), "keras": (3, 15)}


def check() -> None:
    """Raises ImportError, with a remedy, if the package cannot work."""
    _check_python(sys.version_info)
    # Before importing Keras, since the chosen backend may not be installed.
    _check_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")
    for name, minimum in REQUIRED.items():
        _check_version(name, minimum)
    _check_backend(_keras_backend())


def _check_python(version):
    if tuple(version[:2]) < PYTHON:
        raise ImportError(
            f"vqvae_tf needs Python {_dotted(PYTHON)} or newer. "
            f"Received: Python {_dotted(version[:3])}. Install it in an "
            "environment with a newer Python."
        )


def _check_version(name, minimum):
    version = _version(name)
    if _numbers(version) < minimum:
        wanted = f"{name}>={_dotted(minimum)}"
        raise ImportError(
            f"vqvae_tf needs {name} {_dotted(minimum)} or newer. "
            f"Received: {name} {version}. "
            f"Upgrade it: pip install '{wanted}'"
        )


def _check_backend(backend):
    if backend != "tensorflow":
        raise ImportError(
            "vqvae_tf works only with Keras' TensorFlow backend. "
            f"Received: the backend {backend!r}. Set the environment variable "
            "KERAS_BACKEND=tensorflow before keras or vqvae_tf is imported."
        )


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # TensorFlow is also distributed under other names, such as tf-nightly.
        return _import(name).__version__


def _import(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            f"vqvae_tf needs {name}, which is not installed. "
            f"Install it: pip install '{name}>={_dotted(REQUIRED[name])}'"
        ) from None


def _keras_backend():
    # Keras may have been imported before, or configured in its keras.json.
    try:
        return importlib.import_module("keras").config.backend()
    except ModuleNotFoundError as error:
        # keras.json names a backend that is not installed.
        return error.name


def _numbers(version):
    # Of versions such as "2.21.0rc1" and "2.22.0-dev20260101".
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def _dotted(numbers):
    return ".".join(str(number) for number in numbers)
