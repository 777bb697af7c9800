"""The package knows what XLA compiles."""

import pytest
import tensorflow as tf

from vqvae_tf.runtime.compilation import is_compiled


@pytest.mark.parametrize("jit_compile", [False, True])
def test_functions_in_loops_in_functions(jit_compile):
    found = []

    def body(t):
        found.append(is_compiled())
        return t + 1

    @tf.function(autograph=False)
    def inner(t):
        return tf.while_loop(lambda t: t < 3, body, [t])[0]

    @tf.function(jit_compile=jit_compile, autograph=False)
    def outer(t):
        return inner(t)

    assert not is_compiled()
    assert outer(tf.constant(0)) == 3
    assert found == [jit_compile]
