"""Checks of single numbers: nothing is cast before it is looked at."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from support import odd_numbers
from vqvae_tf.utils import checks

# Each check, and which numbers it takes: of what is an integer, or any.
WHOLE = {
    "top_k": (checks.check_top_k, 1, checks.MAX_INT32),
    "seed": (checks.check_seed, -(2**31), checks.MAX_INT32),
    "count": (
        lambda x: checks.check_positive("count", x),
        1,
        checks.MAX_INT32,
    ),
}
REAL = {
    "temperature": (checks.check_temperature, 0, checks.MAX_TEMPERATURE),
    "top_p": (checks.check_top_p, 1e-37, 1),
    "weight": (lambda x: checks.check_not_negative("weight", x), 0, 3e38),
    "share": (lambda x: checks.check_share("share", x), 0, 1),
}


def check_or_refuse(name, check, number, valid):
    if not valid:
        with pytest.raises(ValueError, match=name) as error:
            check(number)
        assert "Received: " in str(error.value)
        return None
    found = check(number)
    assert type(found) in (int, float)
    return found


@given(odd_numbers.anything)
@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("name", WHOLE)
def test_integers_are_taken_as_they_are_or_refused(name, number):
    check, low, high = WHOLE[name]
    value = odd_numbers.value_of(number)
    valid = isinstance(value, int) and low <= value <= high
    found = check_or_refuse(name, check, number, valid)
    assert found is None or (found == value and type(found) is int)


@given(odd_numbers.anything)
@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("name", REAL)
def test_numbers_are_finite_and_in_range_or_refused(name, number):
    check, low, high = REAL[name]
    value = odd_numbers.value_of(number)
    valid = value is not None and math.isfinite(value) and low <= value <= high
    if name in ("top_p", "weight") and value and 0 < abs(value) < 2e-38:
        return  # around the smallest numbers of float32
    if name == "weight" and value is not None and value > high:
        return
    found = check_or_refuse(name, check, number, valid)
    assert found is None or math.isclose(found, value, rel_tol=1e-7)


@pytest.mark.parametrize(
    "number", [3, np.int64(3), np.array(3), tf.constant(3)]
)
def test_odd_and_positive_integers_of_all_kinds(number):
    assert type(checks.check_odd("size", number)) is int
    assert checks.check_positive("size", number) == 3
    with pytest.raises(ValueError, match="size must be an odd integer"):
        checks.check_odd("size", number + 1)
    with pytest.raises(ValueError, match="at least 5. Received: "):
        checks.check_odd("size", number, at_least=5)


def test_options_may_be_none():
    assert checks.check_top_k(None) is None
    assert checks.check_top_p(None) is None
    assert checks.check_seed(None) is None


@pytest.mark.parametrize("temperature", [1e31, np.float64(1e300), 10**400])
def test_a_temperature_whose_noise_is_infinite_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature must be .* Received"):
        checks.check_temperature(temperature)


def test_labels():
    np.testing.assert_array_equal(checks.check_labels("x", [2, 0], 3), [2, 0])
    for labels in ([0, 3], [-1], [2**40], [0.0], [True], ["a"]):
        with pytest.raises(ValueError, match=r"x must be .*0\.\.2.* Received"):
            checks.check_labels("x", labels, 3)
