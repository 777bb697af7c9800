"""Checks of constructor arguments, each with one clear error."""

import math
import numbers


def check_positive(name, value):
    """Returns value as an int; raises ValueError unless it is one, above 0."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(
            f"{name} must be a positive integer. Received: {value!r}."
        )
    return int(value)


def check_odd(name, value, at_least=1):
    """Returns value as an int; raises ValueError unless odd, large enough."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value % 2 == 0 or value < at_least:
        raise ValueError(
            f"{name} must be an odd integer of at least {at_least}. "
            f"Received: {value!r}."
        )
    return int(value)


def check_share(name, value):
    """Returns value; raises ValueError unless it is a number in [0, 1]."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(
            f"{name} must be a number in [0, 1]. Received: {name}={value!r}."
        )
    return value


def check_not_negative(name, value):
    """Returns value; raises ValueError unless it is a finite number >= 0."""
    if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
        raise ValueError(
            f"{name} must be a finite number of at least 0. "
            f"Received: {name}={value!r}."
        )
    return value
