"""How many codes each codebook has: as an argument, and in checks of codes."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf.utils import code_sizes, tensor_checks

SIZES = (8, 4, 16)
Invalid = tf.errors.InvalidArgumentError


@pytest.mark.parametrize(
    "given", [SIZES, list(SIZES), np.array(SIZES), tf.constant(SIZES)]
)
def test_one_number_for_each_codebook(given):
    found = code_sizes.check_code_sizes(given, 3)
    assert found == SIZES and {type(size) for size in found} == {int}


@pytest.mark.parametrize("given", [8, np.int64(8), tf.constant(8)])
def test_one_number_for_all(given):
    found = code_sizes.check_code_sizes(given, 2)
    assert found == (8, 8) and {type(size) for size in found} == {int}
    assert code_sizes.as_argument(found) == 8


@pytest.mark.parametrize(
    "given, count, message",
    [
        (0, 1, "num_embeddings must be a positive integer. Received: 0"),
        ("8", 1, "num_embeddings must be a positive integer. Received: '8'"),
        ([8, 0], 2, "Each of num_embeddings must be a positive .* 0"),
        ([8, 4.5], 2, "Each of num_embeddings must be a positive .* 4.5"),
        ([8, 4], 3, r"num_codebooks=3. Received: num_embeddings=\[8, 4\]"),
        ([], 1, r"Received: num_embeddings=\[\]"),
        (8, 0, "num_codebooks must be a positive integer"),
    ],
)
def test_what_is_refused(given, count, message):
    with pytest.raises(ValueError, match=message):
        code_sizes.check_code_sizes(given, count)


# Codes ------------------------------------------------------------------------


def every_largest():
    """The largest code of each codebook."""
    return np.array([[size - 1 for size in SIZES]] * 2)


def whole(values, **options):
    return tensor_checks.whole_numbers(values, SIZES, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_codes_of_each_codebook_are_taken(dtype):
    codes = every_largest().astype(dtype)
    for given in (codes, codes.tolist(), tf.constant(codes)):
        found = whole(given)
        assert found.dtype == tf.int32
        np.testing.assert_array_equal(found, codes)
    empty = np.zeros([0, 3], dtype)
    assert whole(empty).shape == (0, 3)
    np.testing.assert_array_equal(whole(codes / 1.0, floats=True), codes)


@pytest.mark.parametrize("book", range(3))
@pytest.mark.parametrize("wrong", ["one more", -1])
def test_the_message_names_the_codebook(book, wrong):
    codes = every_largest()
    codes[1, book] = SIZES[book] if wrong == "one more" else wrong
    message = (
        rf"Codes of codebook {book} must be in 0\.\.{SIZES[book] - 1}\. "
        rf"Received: codes in .*{codes[1, book]}.*The codebooks have "
        r"\[8, 4, 16\] codes, in the order of the last axis; check"
    )
    with pytest.raises(ValueError, match=message):
        whole(codes)


def test_graphs_refuse_the_same_and_xla_clamps():
    spec = [tf.TensorSpec([None, 3], tf.int32)]
    graph = tf.function(whole, input_signature=spec, autograph=False)
    compiled = tf.function(whole, jit_compile=True, autograph=False)
    codes = every_largest().astype(np.int32)
    np.testing.assert_array_equal(graph(codes), codes)
    for book in range(3):
        more = codes.copy()
        more[0, book] += 1
        with pytest.raises(Invalid, match=r"0\.\.\[7, 3, 15\]"):
            graph(more)
        np.testing.assert_array_equal(compiled(tf.constant(more)), codes)
