"""Photographs under free licences, for demo, cards and tests.

Authors and licences are in LICENCES.md beside them.
"""

import pathlib

_FOLDER = pathlib.Path(__file__).resolve().parent


def sample_pictures() -> list[pathlib.Path]:
    """Returns the paths of the photographs, sorted by name.

    JPEG files in colour of various shapes, the shorter side 208 pixels.
    """
    return sorted(_FOLDER.glob("*.jpg"))
