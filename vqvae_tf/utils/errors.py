"""The base of this package's own errors, and what a user is told of any."""

import errno

import tensorflow as tf

from vqvae_tf.utils.messages import first_line


class ExplainedError(Exception):
    """An error whose message is all that a user needs to mend its cause.

    The command prints it as one line. What is no such error, no ValueError and
    no OSError is a mistake of the program, and keeps its traceback.
    """


def explain(error: BaseException) -> str | None:
    """Returns what to tell a user of an error in data, files or arguments.

    None is for other errors: those of the program, which need a traceback.
    """
    if isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)):
        return _memory_message(first_line(error))
    if isinstance(error, tf.errors.OpError):
        return f"{first_line(error)} (--verbosity=1 shows where)"
    # Errors of this package have no number, and say it all themselves.
    if isinstance(error, OSError) and error.errno is not None:
        return _system_message(error)
    if isinstance(error, ImportError) and _is_own(error):
        return None
    if isinstance(error, (OSError, ImportError, ValueError, ExplainedError)):
        traced = str(error).lstrip().startswith("in user code:")
        text = first_line(error) if traced else str(error)
        return text or type(error).__name__
    return None


_REMEDIES = {
    errno.ENOSPC: "The disk is full. Make room and call this again",
    errno.EDQUOT: "The quota of the disk is used up. Make room and call this "
    "again",
    errno.EROFS: "Nothing can be written there. Choose another place",
    errno.EACCES: "Choose another place, or change its permissions",
    errno.EPERM: "Choose another place, or change its permissions",
    errno.ENAMETOOLONG: "Choose a shorter name",
}


def _system_message(error):
    """Returns what the system refused, of which file, and a remedy."""
    names = [n for n in (error.filename, error.filename2) if n is not None]
    place = " -> ".join(map(str, names))
    said = f"{error.strerror}: {place}" if place else f"{error.strerror}"
    remedy = _REMEDIES.get(error.errno)
    return f"{said}. {remedy}." if remedy else f"{said}."


def _is_own(error):
    """Returns whether a part of this package is missing."""
    own = ("vqvae_tf", "vqvae_tf_cli")
    return (error.name or "").partition(".")[0] in own


def _memory_message(line):
    if "No space left" in line:  # TensorFlow takes it for the same error
        return f"The disk is full ({line}). Make room and call this again."
    return (
        f"Out of memory ({line}). Training: give a smaller batch "
        "(--config.training.batch_size, --config.prior_training.batch_size, "
        "of speech also --config.code_training.batch_size and "
        "--config.fast_training.batch_size; "
        "a stage that has no checkpoint yet may be changed), or a smaller "
        "model; checkpoints are kept. Encoding: give a smaller --batch_size; "
        "finished shards are kept."
    )
