"""Grey of 12, 16 and 32 bits, and floats, as levels of 8 bits.

16 bits are scaled to 8 by their upper half, as Pillow does it for colours. In
integers of 32 bits a file does not say what is white: numbers up to 255 are
levels, those up to 65535 are of 16 bits. Floats must be whole levels in 0..255.
Everything else is refused: it would become black or white, or nearly so.
"""

import numpy as np

# Formats whose grey of more than 8 bits is of 16, whatever PIL keeps it in.
_SIXTEEN = ("PNG", "PPM")
_BITS_PER_SAMPLE = 258  # a TIFF tag
_MODES = {"F": "32-bit floats", "I": "32-bit integers"}


def stored_bits(image) -> int | None:
    """Returns how many bits of an integer are used: 12, 16 or unknown.

    Args:
        image: as PIL has opened it.
    """
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        return 12 if tags.get(_BITS_PER_SAMPLE) == (12,) else 16
    return 16 if image.mode == "I" and image.format in _SIXTEEN else None


def eight_bits(image, bits, path):
    """Returns a picture with levels of 8 bits.

    Args:
        image: of PIL, decoded.
        bits: what `stored_bits` returned.
        path: of the file, for messages.

    Raises:
        ValueError: for numbers that cannot be taken for levels.
    """
    from PIL import Image

    if image.mode[0] not in "IF":
        return image
    values = np.asarray(image)
    if bits is not None:
        grey = _of_bits(values, bits)
    elif image.mode == "F":
        grey = _of_floats(values)
    else:
        grey = _of_integers(values)
    if grey is None:
        raise _refusal(image.mode, values, path)
    grey = grey.astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # one of the levels of a PNG
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _of_bits(values, bits):
    """Returns the upper 8 bits, or None where there are none but lower ones."""
    grey = np.minimum(values >> (bits - 8), 255)
    return None if values.any() and not grey.any() else grey


def _of_integers(values):
    low, high = values.min(), values.max()
    if low < 0 or high > 65535 or high == 1:
        return None
    return values if high <= 255 else values >> 8


def _of_floats(values):
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        return None
    low, high = values.min(), values.max()
    return values if 0 <= low and high <= 255 and high != 1 else None


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
        "grey of 16 bits. Scale this one so that 255 is white, and save it "
        "with 8 bits: "
        "PIL.Image.fromarray(np.uint8(np.round(scaled))).save(path). "
        f"Received: {path!r} of {what} (mode {mode}) with {found}."
    )
