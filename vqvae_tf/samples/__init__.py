"""Photographs under free licences, for the demo and the tests.

Authors and licences are in LICENCES.md beside them.
"""

import pathlib


def sample_pictures() -> list[pathlib.Path]:
    """Returns the paths of the photographs, sorted by name.

    JPEG files in colour of various shapes, the shorter side 208 pixels.
    """
    return sorted(pathlib.Path(__file__).resolve().parent.glob("*.jpg"))
