"""Conversion of 12-, 16- and 32-bit and float grey to 8-bit levels.

16-bit values keep their upper byte, as Pillow does for colours. A file with
32-bit integers does not say what white is: values up to 255 are taken as 8-bit
levels, values up to 65535 as 16-bit ones. Floats must be whole levels in
0..255. Everything else is refused, since it would become (almost) all black or
all white.
"""

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Formats that store more than 8 bits as 16, whatever mode PIL reads them in.
_SIXTEEN = ("PNG", "PPM")
_BITS_PER_SAMPLE = 258  # a TIFF tag
_MODES = {"F": "32-bit floats", "I": "32-bit integers"}


def stored_bits(image: "Image.Image") -> int | None:
    """Returns how many bits of an integer are used: 12, 16, or None (unknown).

    Args:
        image: as opened by PIL, before decoding.
    """
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        return 12 if tags.get(_BITS_PER_SAMPLE) == (12,) else 16
    return 16 if image.mode == "I" and image.format in _SIXTEEN else None


def eight_bits(
    image: "Image.Image", bits: int | None, path: str | os.PathLike
) -> "Image.Image":
    """Returns a picture with 8-bit levels.

    Args:
        image: decoded picture.
        bits: result of `stored_bits`.
        path: path of the file, for messages.

    Raises:
        ValueError: the values cannot be grey levels.
    """
    from PIL import Image

    if image.mode[0] not in "IF":
        return image
    values = np.asarray(image)
    grey = _levels(values, bits)
    if grey is None:
        raise _refusal(image.mode, values, path)
    grey = grey.astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # one of the levels of a PNG
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _levels(values, bits):
    """Returns values in 0..255, or None if these cannot be levels."""
    if bits is not None:
        grey = np.minimum(values >> (bits - 8), 255)
        return None if values.any() and not grey.any() else grey
    most = 65535
    if values.dtype.kind == "f":
        most = 255
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            return None
    low, high = values.min(), values.max()
    if low < 0 or high > most or high == 1:
        return None
    return values if high <= 255 else values >> 8


def _refusal(mode, values, path):
    finite = values[np.isfinite(values)]
    found = "no finite number"
    if finite.size:
        found = f"values in {finite.min():.6g}..{finite.max():.6g}"
    if finite.size < values.size:
        found += " and NaN or infinite ones"
    what = _MODES.get(mode, "16-bit integers")
    return ValueError(
        "A picture with levels in 0..255 was expected, or in 0..65535 for "
        "16-bit grey. Scale it so that 255 is white, and save it with 8 bits: "
        "PIL.Image.fromarray(np.uint8(np.round(scaled))).save(path). "
        f"Received: {path!r} of {what} (mode {mode}) with {found}."
    )
