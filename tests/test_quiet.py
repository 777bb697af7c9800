"""What the command sets before TensorFlow is imported."""

import os
import subprocess
import sys

import pytest

from vqvae_tf_cli import quiet

NAME = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.parametrize(
    "machine, given, expected",
    [
        ("x86_64", None, "1"),
        ("AMD64", None, "1"),
        ("x86_64", "0", "0"),
        ("x86_64", "1", "1"),
        ("arm64", None, None),
        ("aarch64", None, None),
    ],
)
def test_onednn_is_used_unless_the_user_said(
    monkeypatch, machine, given, expected
):
    monkeypatch.setattr(quiet.platform, "machine", lambda: machine)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(os, "environ", {} if given is None else {NAME: given})
    quiet.use_onednn()
    assert os.environ.get(NAME) == expected


def test_nothing_is_set_once_tensorflow_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    monkeypatch.setattr(os, "environ", {})
    quiet.use_onednn()
    assert os.environ == {}


def test_onednn_is_set_before_tensorflow_is_imported():
    program = f"""
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            print(os.environ.get({NAME!r}))
            os._exit(0)
sys.meta_path.insert(0, Finder())
from vqvae_tf_cli.main import main
main(["vqvae-tf", "list"])
"""
    environment = {k: v for k, v in os.environ.items() if k != NAME}
    result = subprocess.run(
        [sys.executable, "-uc", program],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    expected = "1" if quiet.platform.machine() == "x86_64" else "None"
    assert result.stdout == expected + "\n"
