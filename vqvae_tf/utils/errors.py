"""The base class of this package's errors, and messages for users."""

import errno

import tensorflow as tf

from vqvae_tf.utils.messages import first_line


class ExplainedError(Exception):
    """An error whose message is all that a user needs to fix its cause.

    The command prints it as one line. Errors other than this, ValueError and
    OSError are bugs of the program, and keep their traceback.
    """


def explain(error: BaseException) -> str | None:
    """Returns the message for users of an error in data, files or arguments.

    None for other errors, which are bugs and need a traceback.
    """
    if isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)):
        return _memory_message(first_line(error))
    if isinstance(error, tf.errors.OpError):
        return f"{first_line(error)} (--verbosity=1 shows where)"
    # OSErrors of this package have no number and a complete message.
    if isinstance(error, OSError) and error.errno is not None:
        return _system_message(error)
    own = ("vqvae_tf", "vqvae_tf_cli")
    if isinstance(error, ImportError):
        if (error.name or "").partition(".")[0] in own:
            return None
    if isinstance(error, (OSError, ImportError, ValueError, ExplainedError)):
        traced = str(error).lstrip().startswith("in user code:")
        text = first_line(error) if traced else str(error)
        return text or type(error).__name__
    return None


_REMEDIES = {
    errno.ENOSPC: "The disk is full. Free some space and try again",
    errno.EDQUOT: "The disk quota is used up. Free some space and try again",
    errno.EROFS: "Choose another place",
    errno.EACCES: "Choose another place, or change its permissions",
    errno.EPERM: "Choose another place, or change its permissions",
    errno.ENAMETOOLONG: "Choose a shorter name",
}


def _system_message(error):
    """Returns the system's message, the files concerned, and a remedy."""
    names = [n for n in (error.filename, error.filename2) if n is not None]
    place = " -> ".join(map(str, names))
    text = f"{error.strerror}: {place}" if place else f"{error.strerror}"
    remedy = _REMEDIES.get(error.errno)
    return f"{text}. {remedy}." if remedy else f"{text}."


def _memory_message(line):
    if "No space left" in line:  # TensorFlow raises the same error for disks
        return f"The disk is full ({line}). Free some space and try again."
    return (
        f"Out of memory ({line}). Training: use a smaller model or a smaller "
        "batch (--config.training.batch_size, "
        "--config.prior_training.batch_size, for speech also "
        "--config.code_training.batch_size and "
        "--config.fast_training.batch_size), which stages without a checkpoint "
        "accept; checkpoints are kept. Encoding: use a smaller --batch_size; "
        "finished shards are kept."
    )
