"""Imports the package without the lines that TensorFlow's C++ prints."""

import contextlib
import importlib
import logging as python_logging
import os
import pathlib
import platform
import sys
import tempfile
import types

from absl import flags, logging

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def use_onednn() -> None:
    """Enables oneDNN on every x86 processor, unless the user decided.

    TensorFlow enables it by default only with AVX512. It reads the variable
    when it is imported, so that afterwards this does nothing.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if x86 and "tensorflow" not in sys.modules:
        os.environ.setdefault(_ONEDNN, "1")


def import_quietly(name: str) -> types.ModuleType:
    """Imports a module; shows what it prints to stderr only if it fails.

    If the user has set TF_CPP_MIN_LOG_LEVEL, nothing is hidden.
    """
    if _LEVEL in os.environ:
        return importlib.import_module(name)
    os.environ[_LEVEL] = "3"
    # The first lines come before TensorFlow reads its log level.
    with _stderr_held_back():
        return importlib.import_module(name)


@contextlib.contextmanager
def _stderr_held_back():
    """Redirects file descriptor 2, which C++ writes to, to a file."""
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))


def set_up_logging(package: types.ModuleType) -> None:
    """Shows log lines of `package` from INFO on, others from WARNING on.

    `--verbosity` takes precedence.
    """
    logging.use_absl_handler()
    if flags.FLAGS["verbosity"].present:
        return
    logging.set_verbosity(logging.INFO)
    # TensorFlow's Python half has a logger and a handler of its own.
    python_logging.getLogger("tensorflow").setLevel(python_logging.WARNING)
    folder = str(pathlib.Path(package.__file__).parent)
    handler = logging.get_absl_handler()
    for old in handler.filters[:]:
        if isinstance(old, _OwnLines):
            handler.removeFilter(old)
    handler.addFilter(_OwnLines(folder))


class _OwnLines(python_logging.Filter):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder + os.sep

    def filter(self, record):
        important = record.levelno >= python_logging.WARNING
        return important or record.pathname.startswith(self.folder)
