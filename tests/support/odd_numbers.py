"""Numbers of all kinds for property tests, and what is one of them."""

import fractions
import math

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

INTEGERS = ("int8", "int16", "int32", "int64")
INTEGERS += tuple(f"u{name}" for name in INTEGERS)
FLOATS = ("float16", "float32", "float64", "longdouble")
EDGES = (0, 1, 2, 3, 7, 8, 255, 256, 2**31, 2**32, 2**32 + 3, 2**63, 2**64)


def _as(dtype, value):
    with np.errstate(all="ignore"):
        if dtype in INTEGERS:
            bounds = np.iinfo(dtype)
            value = min(max(int(value), bounds.min), bounds.max)
        return np.dtype(dtype).type(value)


plain_integers = st.one_of(
    st.sampled_from([sign * n for n in EDGES for sign in (1, -1)]),
    st.integers(-(2**70), 2**70),
    st.integers(-4, 12),
)
plain_floats = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, math.nan, math.inf, -math.inf]),
    st.sampled_from([1e20, -1e20, 1e-50, 1e39, 2.5, 0.9, 1 + 1e-12]),
    st.floats(),
)
numpy_numbers = st.one_of(
    st.builds(_as, st.sampled_from(INTEGERS), plain_integers),
    st.builds(_as, st.sampled_from(FLOATS), plain_floats),
)
one_number = st.one_of(plain_integers, plain_floats, numpy_numbers)
arrays_of_one = numpy_numbers.map(np.array)
tensors_of_one = numpy_numbers.filter(
    lambda x: x.dtype.name != np.dtype("longdouble").name
).map(tf.constant)
no_numbers = st.one_of(
    st.booleans(),
    st.sampled_from([np.True_, np.array(False), "3", b"3", 2j, [3], (1, 2)]),
    st.sampled_from([np.array([3]), np.timedelta64(3, "ns"), object()]),
    st.sampled_from([tf.constant(True), tf.constant("3"), tf.constant([3])]),
)
anything = st.one_of(
    one_number,
    arrays_of_one,
    tensors_of_one,
    no_numbers,
    st.fractions().filter(lambda x: abs(x) < 10**9),
    st.just(fractions.Fraction(1, 3)),
)


def value_of(number):
    """Returns a Python number, or None for what is none."""
    if isinstance(number, tf.Tensor):
        number = number.numpy()
    if isinstance(number, np.ndarray | np.generic):
        if number.ndim or number.dtype.kind not in "iuf":
            return None
        integer = number.dtype.kind in "iu"
        return int(number) if integer else float(number)
    if isinstance(number, bool):
        return None
    if isinstance(number, int | float):
        return number
    if isinstance(number, fractions.Fraction):
        # A whole one is an integer for `numbers`, not for an option.
        return float(number)
    return None


def arrays(low, high):
    """Arrays and tensors of one row of numbers, some in low..high."""
    inside = st.integers(low, high)

    def made(dtype, kind, values):
        array = np.array([_as(dtype, value) for value in values])
        return tf.constant(array) if kind == "tensor" else array

    numbers = st.lists(st.one_of(inside, inside, one_number), max_size=4)
    finite = st.lists(inside, min_size=1, max_size=4)
    return st.one_of(
        st.builds(
            made,
            st.sampled_from(INTEGERS),
            st.sampled_from(["array", "tensor"]),
            st.one_of(
                finite, numbers.map(lambda row: [_whole(x) for x in row])
            ),
        ),
        st.builds(
            made,
            st.sampled_from(["float16", "float32", "float64"]),
            st.sampled_from(["array", "tensor"]),
            st.one_of(finite, numbers),
        ),
        finite,
        numbers,
        st.lists(st.booleans(), min_size=1, max_size=3),
    )


def _whole(x):
    return int(x) if np.isfinite(float(x)) else 0
