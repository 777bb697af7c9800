"""Processes as on processors with AVX512 and without.

TensorFlow uses oneDNN by itself only on the former; a variable, read when it
is imported, has it do so on any processor, or on none.
"""

import os
import subprocess
import sys

from support.runs import OF_TESTS

ONEDNN = ("0", "1")


def run_python(*words, onednn) -> str:
    """Runs Python with oneDNN off ("0") or on ("1").

    Returns:
        What it wrote to stdout.
    """
    process = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=environment(onednn),
    )
    assert process.returncode == 0, (process.stdout + process.stderr)[-4000:]
    return process.stdout


def environment(onednn) -> dict:
    """Returns the variables of a process with oneDNN off or on.

    It is none of pytest-xdist's workers, even if this one is.
    """
    own = {k: v for k, v in os.environ.items() if "XDIST" not in k}
    return {**own, **OF_TESTS, "TF_ENABLE_ONEDNN_OPTS": onednn}
