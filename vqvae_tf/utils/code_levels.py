"""The names of the levels of hierarchical codes, from coarse to fine."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def level_names(count: int) -> tuple[str, ...]:
    """Returns the names of `count` levels, from the top down.

    Example:

    >>> level_names(2), level_names(4)
    (('top', 'bottom'), ('top', 'middle_1', 'middle_2', 'bottom'))
    """
    between = count - 2
    if between < 2:
        return ("top", *["middle"] * between, "bottom")
    return ("top", *(f"middle_{i + 1}" for i in range(between)), "bottom")


def by_level(parts: Sequence[T]) -> dict[str, T]:
    """Returns parts, listed from the top down, by the names of their levels.

    Example:

    >>> by_level([32, 64])
    {'top': 32, 'bottom': 64}
    """
    return dict(zip(level_names(len(parts)), parts))


def check_levels(name: str, levels: object, known: Sequence[str]) -> None:
    """Raises ValueError unless a value is a dict with some of the levels.

    Args:
        name: of the value, for the error.
        levels: the value.
        known: the names of all levels.
    """
    received = f"a {type(levels).__name__}"
    if isinstance(levels, dict):
        received = f"the levels {', '.join(map(str, levels)) or '(none)'}"
        if levels and set(levels) <= set(known):
            return
    raise ValueError(
        f"{name} must be a dict by level, with some of {', '.join(known)}. "
        f"Received: {received}."
    )


def check_all(name: str, levels: object, known: Sequence[str]) -> None:
    """Raises ValueError unless a value is a dict with all of the levels.

    Args:
        name, levels, known: as for `check_levels`.
    """
    check_levels(name, levels, known)
    missing = [level for level in known if level not in levels]
    if missing:
        raise ValueError(
            f"{name} must have all of the levels {', '.join(known)}. Received: "
            f"no {', '.join(missing)}."
        )


# Arrays in files and requests ------------------------------------------------

CODES = "codes"


def array_name(level: str) -> str:
    """Returns the name of an array of a level's codes.

    Args:
        level: its name; "codes" for codes without levels.

    Example:

    >>> array_name("codes"), array_name("top")
    ('codes', 'codes_top')
    """
    return CODES if level == CODES else f"{CODES}_{level}"


def is_array_of_codes(name: str) -> bool:
    """Returns whether an array is one of codes, or of a level's codes.

    Example:

    >>> is_array_of_codes("codes_top"), is_array_of_codes("names")
    (True, False)
    """
    return name == CODES or name.startswith(array_name(""))


def to_arrays(codes: T | dict[str, T]) -> dict[str, T]:
    """Returns codes as named arrays: `codes`, or `codes_LEVEL` of each level.

    Example:

    >>> to_arrays(3), to_arrays({"top": 1, "bottom": 2})
    ({'codes': 3}, {'codes_top': 1, 'codes_bottom': 2})
    """
    if not isinstance(codes, dict):
        return {CODES: codes}
    return {array_name(level): own for level, own in codes.items()}


def from_arrays(arrays: dict[str, T]) -> T | dict[str, T]:
    """Returns the codes among named arrays; the inverse of `to_arrays`.

    Example:

    >>> from_arrays({"codes_top": 1, "codes_bottom": 2, "labels": 3})
    {'top': 1, 'bottom': 2}
    """
    if CODES in arrays:
        return arrays[CODES]
    return {
        name.removeprefix(array_name("")): own
        for name, own in arrays.items()
        if is_array_of_codes(name)
    }
