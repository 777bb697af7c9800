"""Checks of tensors: eager, in graphs, and what is left of them under XLA."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings

from support import odd_numbers
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks

SIZE = 8
Invalid = tf.errors.InvalidArgumentError
INTEGERS = [getattr(tf, name) for name in odd_numbers.INTEGERS]


def in_graph(function, dtype, shape=(None,)):
    """A graph that knows nothing of values."""
    return tf.function(
        function,
        autograph=False,
        input_signature=[tf.TensorSpec(shape, dtype)],
    )


GRAPHS = {
    dtype: in_graph(lambda x: tensor_checks.whole_numbers(x, SIZE), dtype)
    for dtype in INTEGERS
}
FLOAT_GRAPHS = {
    dtype: in_graph(
        lambda x: tensor_checks.whole_numbers(x, SIZE, floats=True), dtype
    )
    for dtype in (tf.float16, tf.float32, tf.float64)
}


def expected_codes(values, floats):
    """Returns the values as Python integers, None where one is no code."""
    found = values.numpy() if tf.is_tensor(values) else np.asarray(values)
    kinds = "iuf" if floats else "iu"
    if found.dtype.kind not in kinds:
        return None
    found = [x.item() for x in found.ravel()]
    whole = all(x == x and x in range(SIZE) for x in found)
    return [int(x) for x in found] if whole else None


@given(odd_numbers.arrays(0, SIZE - 1))
@example(np.array([2**32 + 3]))
@example(np.array([2**63], np.uint64))
@example([2**70])
@settings(deadline=None, max_examples=500)
@pytest.mark.parametrize("floats", [False, True])
def test_codes_are_taken_as_they_are_or_refused(floats, values):
    expected = expected_codes(values, floats)
    if expected is None:
        with pytest.raises(ValueError, match="Codes .*Received: "):
            tensor_checks.whole_numbers(values, SIZE, floats=floats)
        return
    found = tensor_checks.whole_numbers(values, SIZE, floats=floats)
    assert found.dtype == tf.int32
    assert found.numpy().ravel().tolist() == expected


@given(odd_numbers.arrays(0, SIZE - 1))
@settings(deadline=None, max_examples=500)
def test_graphs_take_and_refuse_the_same(values):
    if not isinstance(values, np.ndarray | tf.Tensor) or not len(values):
        return
    values = tf.convert_to_tensor(values)
    floats = values.dtype.is_floating
    graph = (FLOAT_GRAPHS if floats else GRAPHS)[values.dtype]
    expected = expected_codes(values, floats)
    if expected is None:
        with pytest.raises(Invalid, match=r"Codes must be .* in 0\.\.7"):
            graph(values)
    else:
        assert graph(values).numpy().tolist() == expected


def test_constants_of_a_graph_are_an_error_when_it_is_made():
    graph = tf.function(lambda: tensor_checks.whole_numbers([1, 8], SIZE))
    with pytest.raises(ValueError, match=r"Codes must be in 0\.\.7"):
        graph()


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.uint8])
def test_xla_compiles_and_clamps(dtype):
    compiled = tf.function(
        lambda x: tensor_checks.whole_numbers(x, SIZE), jit_compile=True
    )
    values = tf.constant([0, 7, 8, 200], dtype)
    np.testing.assert_array_equal(compiled(values), [0, 7, 7, 7])
    if dtype != tf.uint8:
        values = tf.constant([-1, 2**31 - 1], dtype)
        np.testing.assert_array_equal(compiled(values), [0, 7])


# Scalars ----------------------------------------------------------------------

SCALARS = {
    "temperature": (tensor_checks.temperature, tf.float32),
    "top_p": (tensor_checks.top_p, tf.float32),
    "top_k": (tensor_checks.top_k, tf.int64),
    "count": (lambda x: tensor_checks.count("count", x), tf.int64),
    "seed": (random.make_seed, tf.int64),
}
REFUSED = {
    "temperature": [-1.0, np.nan, np.inf, 1e38],
    "top_p": [-0.5, 0.0, 1.5, np.nan, np.inf],
    "top_k": [0, -3, 2**32 + 3],
    "count": [0, -3, 2**32 + 3],
    "seed": [2**31, 2**32, -(2**31) - 1],
}


@pytest.mark.parametrize("name", SCALARS)
def test_scalars_of_a_graph_are_asserted(name):
    check, dtype = SCALARS[name]
    graph = in_graph(check, dtype, [])
    assert np.ravel(graph(tf.constant(1, dtype)))[0] == 1
    for value in REFUSED[name]:
        with pytest.raises(Invalid, match=f"{name} must be"):
            graph(tf.constant(value, dtype))
        with pytest.raises(ValueError, match=f"{name}.*Received: "):
            check(tf.constant(value, dtype))


@pytest.mark.parametrize("name", SCALARS)
def test_other_dtypes_and_shapes_are_an_error_when_a_graph_is_made(name):
    check, dtype = SCALARS[name]
    wrong = [(tf.bool, []), (tf.string, []), (dtype, [3]), (dtype, [1])]
    if dtype.is_integer:
        wrong.append((tf.float32, []))
    for other, shape in wrong:
        with pytest.raises(ValueError, match=f"{name}.* Received: a "):
            in_graph(check, other, shape).get_concrete_function()


@given(odd_numbers.anything)
@example(2**32)
@example(0.9)
@settings(deadline=None, max_examples=500)
def test_a_seed_is_its_own_or_refused(number):
    value = odd_numbers.value_of(number)
    array = isinstance(number, np.ndarray | tf.Tensor | list | tuple)
    if array and np.shape(number) == (2,):
        return
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        assert random.make_seed(number).numpy().tolist() == [value, 0]
        return
    with pytest.raises(ValueError, match="seed .*Received: "):
        random.make_seed(number)


# Values -----------------------------------------------------------------------


def test_finite():
    graph = in_graph(lambda x: tensor_checks.finite("Latents", x), tf.float32)
    for value in (np.nan, np.inf, -np.inf):
        bad = tf.constant([1.0, value])
        with pytest.raises(ValueError, match="Latents must .* 1 NaN or inf"):
            tensor_checks.finite("Latents", bad)
        with pytest.raises(ValueError, match="Latents must be finite"):
            tensor_checks.check_finite("Latents", bad.numpy())
        with pytest.raises(Invalid, match="Latents must be finite"):
            graph(bad)
    np.testing.assert_array_equal(graph(tf.constant([1.0, 2.0])), [1, 2])


@given(odd_numbers.arrays(0, 255))
@settings(deadline=None, max_examples=300)
def test_levels_are_whole_and_in_range_or_refused(values):
    found = values.numpy() if tf.is_tensor(values) else np.asarray(values)
    valid = found.dtype.kind in "iuf" and all(
        x.item() in range(256) for x in found.astype(np.float64).ravel()
    )
    if valid or not found.size:
        assert tensor_checks.check_levels(values) is None
        return
    with pytest.raises(ValueError, match=r"0\.\.255|numbers"):
        tensor_checks.check_levels(values)


def test_bytes_are_not_looked_at():
    class Bytes:
        dtype = np.dtype("uint8")

        def __array__(self, *args, **kwargs):
            raise AssertionError("was read")

    tensor_checks.check_levels(Bytes())
    with pytest.raises(AssertionError, match="was read"):
        tensor_checks.check_levels(Bytes(), num_levels=10)
