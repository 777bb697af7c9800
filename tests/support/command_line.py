"""The command `vqvae-tf`, called in the tests' own process."""

from absl import flags
from absl.testing import flagsaver

from vqvae_tf_cli.main import main


def run(*argv):
    """Runs the command in this process; returns its exit code."""
    saved = flagsaver.save_flag_values()
    try:
        flags.FLAGS.unparse_flags()
        main(["vqvae-tf", *map(str, argv)])
    except SystemExit as end:
        return end.code or 0
    finally:
        flagsaver.restore_flag_values(saved)


def refused(capsys, *argv):
    """Returns what a command that must fail says, without a traceback."""
    assert run(*argv) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("vqvae-tf: ")
    return error


def refused_in_a_line(capsys, *argv):
    """The same of mistakes that need no words on how the command is used."""
    error = refused(capsys, *argv)
    assert "\n" not in error
    return error
