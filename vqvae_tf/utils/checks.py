"""Checks of numeric arguments and options, each with one clear error.

Python and NumPy numbers, 0-d arrays and eager tensors are treated alike, and
checked before they are cast. `tensor_checks` does the same for arrays, and for
tensors whose values are known only when a graph runs.
"""

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MAX_INT32 = 2**31 - 1
# Beyond it, noise times temperature overflows float32.
MAX_TEMPERATURE = 1e30


def number(value: object) -> int | float | None:
    """Returns a Python int or float, or None for anything but a real number.

    A bool is not a number.
    """
    if callable(getattr(value, "numpy", None)):  # an eager tensor
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        # "V": bfloat16 and similar.
        if value.ndim or value.dtype.kind not in "iufV":
            return None
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_integer(
    name: str,
    value: object,
    low: int,
    high: int = MAX_INT32,
    expected: str | None = None,
) -> int:
    """Returns value as an int; raises ValueError unless it is in low..high.

    Args:
        name: name of the argument, for the message.
        value: value of the argument, of any type.
        low, high: smallest and largest valid value; high is 2**31 - 1 by
            default.
        expected: what is valid, in words; None (default) is the range.
    """
    found = number(value)
    if not isinstance(found, int) or not low <= found <= high:
        if expected is None or (isinstance(found, int) and found > high):
            expected = f"an integer in {low}..{high}"
        raise ValueError(f"{name} must be {expected}. Received: {value!r}.")
    return found


def check_positive(name: str, value: object) -> int:
    """Returns value as an int; raises ValueError unless an integer > 0."""
    return check_integer(name, value, 1, expected="a positive integer")


def check_choice(name: str, value: object, choices: Iterable) -> Any:
    """Returns value; raises ValueError unless it is one of the choices."""
    if value not in tuple(choices):
        raise ValueError(
            f"{name} must be one of {', '.join(map(str, choices))}. Received: "
            f"{value!r}."
        )
    return value


def check_odd(name: str, value: object, at_least: int = 1) -> int:
    """Returns value as an int; raises ValueError unless odd and >= at_least."""
    expected = f"an odd integer of at least {at_least}"
    found = check_integer(name, value, at_least, expected=expected)
    if found % 2 == 0:
        raise ValueError(f"{name} must be {expected}. Received: {value!r}.")
    return found


def check_number(
    name: str, value: object, low: float, high: float, expected: str
) -> int | float:
    """Returns value; raises ValueError unless it is a number in [low, high].

    Args:
        name, value: same as for `check_integer`.
        low, high: the interval; neither may be infinite.
        expected: the interval in words.

    Returns:
        The number as a Python int or float.
    """
    found = number(value)
    if found is None or not low <= found <= high:
        raise ValueError(
            f"{name} must be {expected}. Received: {name}={value!r}."
        )
    return found


def check_share(name: str, value: object) -> int | float:
    """Returns value; raises ValueError unless it is a number in [0, 1]."""
    return check_number(name, value, 0, 1, "a number in [0, 1]")


def check_rate(name: str, value: object) -> int | float:
    """Returns value; raises ValueError unless it is in [0, 1)."""
    found = number(value)
    if found is None or not 0 <= found < 1:
        raise ValueError(
            f"{name} must be a rate in [0, 1). Received: {value!r}."
        )
    return found


def check_not_negative(name: str, value: object) -> int | float:
    """Returns value; raises ValueError unless it is a finite number >= 0."""
    largest = float(np.finfo(np.float32).max)
    expected = "a finite number of at least 0"
    return check_number(name, value, 0, largest, expected)


# Options of samplers ----------------------------------------------------------

EXPECTED = {
    "temperature": "a finite number of at least 0 (0: the most probable)",
    "top_k": "None or an integer of at least 1",
    "top_p": "None or a number in (0, 1]",
}


def check_temperature(value: object, name: str = "temperature") -> float:
    """Returns a float; raises ValueError unless finite and at least 0."""
    expected = EXPECTED["temperature"]
    found = number(value)
    if found is not None and MAX_TEMPERATURE < found < math.inf:
        expected = f"a number in [0, {MAX_TEMPERATURE:g}]"
    return float(check_number(name, value, 0, MAX_TEMPERATURE, expected))


def check_top_k(value: object) -> int | None:
    """Returns an int or None; raises ValueError for anything else."""
    if value is None:
        return None
    return check_integer("top_k", value, 1, expected=EXPECTED["top_k"])


def check_top_p(value: object) -> float | None:
    """Returns a float or None; raises ValueError for anything else."""
    if value is None:
        return None
    # Samplers compute in float32, where small values round to 0.
    smallest = float(np.finfo(np.float32).tiny)
    found = check_number("top_p", value, smallest, 1, EXPECTED["top_p"])
    return float(np.float32(found))


def check_seed(
    value: object, low: int = -MAX_INT32 - 1, name: str = "seed"
) -> int | None:
    """Returns an int or None; raises ValueError unless it fits int32."""
    if value is None:
        return None
    expected = f"None or an integer in {low}..{MAX_INT32}"
    return check_integer(name, value, low, MAX_INT32, expected)


# Labels -----------------------------------------------------------------------


def check_labels(
    name: str, values: int | Sequence | np.ndarray, size: int
) -> np.ndarray:
    """Returns integers as an array; raises ValueError outside 0..size-1.

    Args:
        name: what messages call them, in the plural.
        values: integers of any shape.
        size: number of different labels.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be integers in 0..{size - 1}. Received: values of "
            f"dtype {found.dtype}."
        )
    if found.size and not 0 <= found.min() <= found.max() < size:
        raise ValueError(
            f"{name} must be in 0..{size - 1}. Received: {name.lower()} in "
            f"{found.min()}..{found.max()}."
        )
    return found
