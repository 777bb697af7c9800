"""`vqvae-tf`: reads the arguments, prints help, starts the command."""

import contextlib
import importlib.metadata
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from absl import flags

from vqvae_tf_cli import arguments as commands, quiet

FLAGS = flags.FLAGS
_HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits; the entry point of the package."""
    _print_any_name()
    try:
        with _sigterm_as_interrupt():
            code = _run(list(sys.argv if argv is None else argv))
            _flush()
            sys.exit(code)
    except BrokenPipeError:
        # As in `| head`: nobody reads the output any more.
        _leave_output()
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt as error:
        print(file=sys.stderr)  # below an unfinished progress bar
        number = getattr(error, "signal", signal.SIGINT)
        _fail(str(error) or "Interrupted.", 128 + number)


def _print_any_name():
    """Lets file names be printed that are not valid text."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")


class _Terminated(KeyboardInterrupt):
    signal = signal.SIGTERM


def _flush(text=None):
    """Prints a text and flushes stdout, while errors can still be reported."""
    try:
        if text is not None:
            print(text)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _leave_output()
        _fail(f"The output cannot be written: {error.strerror}.")


def _leave_output():
    """Redirects stdout to nowhere, since Python flushes it as it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(AttributeError, OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def _sigterm_as_interrupt():
    """Makes SIGTERM end a command like Ctrl-C, removing partial files."""

    def stop(number, frame):
        raise _Terminated("Terminated.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(argv):
    text = _information(argv[1:])
    if text is not None:
        _flush(text)
        return 0 if len(argv) > 1 else 2
    name, arguments = _parse(argv)
    arguments = _at_home(arguments)
    functions = _import_functions()
    try:
        return functions.COMMANDS[name](*arguments)
    except BrokenPipeError:
        raise
    except Exception as error:
        message = functions.explain(error)
        if message is None or FLAGS.verbosity > 0:
            raise
        _close_progress_bars()
        _fail(message)


def _at_home(arguments):
    """Expands `~` in paths; returns the arguments.

    Shells do not expand it in --output=~/x, which would make a folder `~`.
    """
    for name in ("data_dir", "output", "workdir", "against"):
        if FLAGS[name].value:
            FLAGS[name].value = _expanded(FLAGS[name].value)
    return _expanded(arguments)


def _expanded(value):
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return os.path.expanduser(value)


def _information(words):
    """Returns the help or version if asked for, None for a command to run."""
    if words[:1] == ["--version"]:
        return f"vqvae_tf {importlib.metadata.version('vqvae_tf')}"
    if words and words[0] != "help" and not set(words) & set(_HELP):
        return None
    names = [word for word in words if word in commands.COMMANDS]
    return commands.command_help(names[0]) if names else commands.general_help()


def _parse(argv):
    """Returns the command's name and its arguments; sets the flags."""
    rest, recipe, overrides = _split_config(argv)
    try:
        _, *words = FLAGS(rest)
    except flags.Error as error:
        _fail(error)
    name, *arguments = words or [""]
    if name not in commands.COMMANDS:
        names = ", ".join(commands.COMMANDS)
        _fail(f"Unknown command {name!r}. Expected: {names}.")
    if not commands.COMMANDS[name].takes(len(arguments)):
        _fail_of_usage(
            name,
            f"`vqvae-tf {name}` takes other arguments. Received: "
            f"{' '.join(arguments) or 'none'}.",
        )
    _check_flags(name, recipe or overrides)
    if name != "train":
        return name, arguments
    if recipe is None or FLAGS.workdir is None:
        _fail_of_usage(
            name,
            "train needs a recipe and a directory: --config=RECIPE "
            "--workdir=DIR.",
        )
    return name, [recipe, overrides]


def _split_config(argv):
    """Takes `--config` and `--config.KEY` out of the arguments.

    They need the recipe, which is read once the other arguments are checked.
    """
    rest, recipe, overrides = [], None, []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not re.match(r"--?(no)?config([.=]|$)", word):
            rest.append(word)
            continue
        # The value follows, except for "--config.data.flip" and before a flag.
        if "=" not in word and words and not re.match("-+[a-z]", words[0]):
            word += "=" + words.pop(0)
        name, _, value = word.partition("=")
        if name.lstrip("-") == "config":
            recipe = value
        else:
            overrides.append(word)
    return rest, recipe, overrides


def _check_flags(name, has_config):
    known = commands.COMMANDS[name].flags
    given = {f for c in commands.COMMANDS.values() for f in c.flags}
    given = [f for f in sorted(given) if f in FLAGS and FLAGS[f].present]
    wrong = [f for f in given + ["config"] * bool(has_config) if f not in known]
    if wrong:
        _fail_of_usage(name, f"`vqvae-tf {name}` has no flag --{wrong[0]}.")


def _import_functions():
    """Imports the commands themselves, and TensorFlow with them."""
    quiet.use_onednn()
    try:
        functions = quiet.import_quietly("vqvae_tf.commands.table")
    except ImportError as error:
        if FLAGS.verbosity > 0:
            raise
        _fail(error)
    quiet.set_up_logging(sys.modules["vqvae_tf"])
    return functions


def _close_progress_bars():
    # Otherwise a message would continue the line of an interrupted bar.
    tqdm = sys.modules.get("tqdm")
    for bar in list(getattr(tqdm and tqdm.tqdm, "_instances", ())):
        bar.close()


def _fail_of_usage(name, message):
    _fail(
        f"{message}\nUsage: {commands.usage(name)}\n"
        f"`vqvae-tf {name} --help` says more."
    )


def _fail(message, code=1):
    print(f"vqvae-tf: {message}", file=sys.stderr)
    sys.exit(code)
