"""The version, and whether this Python, TensorFlow and Keras will do.

Imports no part of the package, so that its messages come before any error
that an old version would cause.
"""

import importlib
import importlib.metadata
import os
import re
import sys

# setup.py reads it here.
__version__ = "0.1.0"
PYTHON = (3, 11)
# The oldest versions that the package is tested with; see setup.py.
REQUIRED = {"tensorflow": (2, 21), "keras": (3, 15)}


def check():
    """Raises ImportError, saying what to do, where the package cannot work."""
    _check_python(sys.version_info)
    # A backend asked for by name need not be installed: look before importing.
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
            "vqvae_tf works with Keras's TensorFlow backend only. "
            f"Received: the backend {backend!r}. Set the environment variable "
            "KERAS_BACKEND=tensorflow before keras or vqvae_tf is imported."
        )


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # TensorFlow also comes under other names (tf-nightly and others).
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
        # keras.json names a backend that is not even installed.
        return error.name


def _numbers(version):
    # "2.21.0rc1" and "2.22.0-dev20260101" count by their first two numbers.
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def _dotted(numbers):
    return ".".join(str(number) for number in numbers)
