"""Whether XLA compiles what is being traced."""

import tensorflow as tf


def is_compiled() -> bool:
    """Returns whether the code runs inside `tf.function(jit_compile=True)`.

    Also on TPUs. Compiled graphs need sizes that do not change in a loop.
    """
    return tf.__internal__.get_enclosing_xla_context() is not None
