"""The command as a process of its own: help, versions and signals."""

import os
import signal
import subprocess
import sys

import pytest

import vqvae_tf
from support.command_line import run
from vqvae_tf.commands import table as cli
from vqvae_tf_cli import arguments as commands

# What a process prints that has imported nothing before.
_PROCESS = """
import sys
from vqvae_tf_cli.main import main
try:
    main()
finally:
    print("tensorflow" in sys.modules)
"""


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
