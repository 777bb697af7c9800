"""Photographs under free licences, for demo, cards and tests.

LICENCES.md in this folder gives authors and licences.
"""

import pathlib

_FOLDER = pathlib.Path(__file__).resolve().parent


def sample_pictures() -> list[pathlib.Path]:
    """Returns the paths of the photographs, sorted by name.

    They are colour JPEGs of various shapes, with a shorter side of 208 pixels.
    """
    return sorted(_FOLDER.glob("*.jpg"))
