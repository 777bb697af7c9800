"""The line of an error that is worth telling."""

import pytest
import tensorflow as tf

from vqvae_tf.utils.errors import explain
from vqvae_tf.utils.messages import first_line


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("a\nb"), "a"),
        (ValueError(), "ValueError"),
        (
            ValueError(
                "Exception encountered when calling Dense.call().\n\n"
                "\x1b[1mNo axis\x1b[0m\n\nArguments received"
            ),
            "No axis",
        ),
        (tf.errors.DataLossError(None, None, "{{node a}} cut [Op:X]"), "cut"),
        (
            tf.errors.UnknownError(
                None,
                None,
                "<stack traces unavailable>\n2 root error(s) found.\n"
                'Detected at node x\n  File "y", line 3\nno such picture',
            ),
            "no such picture",
        ),
    ],
)
def test_first_line(error, line):
    assert first_line(error) == line


def test_of_a_real_operation():
    @tf.function(input_signature=[tf.TensorSpec([None])])
    def check(x):
        tf.debugging.assert_equal(tf.size(x), 2, "odd")

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        check(tf.ones([3]))
    line = first_line(caught.value)
    assert "{{" not in line and "odd" in line


def test_what_arises_in_traced_code_is_one_line():
    @tf.function
    def graph(x):
        if tf.reduce_any(x > 0):  # AutoGraph's own
            raise ValueError("size must be a positive integer. Received: -1.")
        return x

    with pytest.raises(ValueError) as raised:
        graph(tf.zeros([2]))
    assert "in user code" in str(raised.value)
    expected = "size must be a positive integer. Received: -1."
    assert first_line(raised.value) == expected
    assert explain(raised.value) == expected
