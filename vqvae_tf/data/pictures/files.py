"""Picture files as arrays of 8 bits.

Every picture file is decoded by PIL, wherever it is used, so that a file given
on the command line and the same file in a training folder are equal.
"""

import io
import os
import threading
import warnings

import numpy as np

from vqvae_tf.data.pictures import metadata as picture_metadata
from vqvae_tf.data.pictures.levels import eight_bits, stored_bits

# Width times height of a picture that is decoded, at most. Pillow itself
# refuses more than twice its own MAX_IMAGE_PIXELS, which is this.
MAX_PIXELS = 178_956_970

_quiet = threading.Lock()


def check_channels(channels: int) -> None:
    """Raises ValueError unless pictures can have this many channels."""
    if channels not in (1, 3) or isinstance(channels, bool):
        raise ValueError(f"channels must be 1 or 3. Received: {channels!r}.")


def decode_picture(path: str, channels: int = 3) -> np.ndarray:
    """Reads one picture file.

    The EXIF orientation is applied where there is a readable one, transparency
    is laid over white, palettes are resolved, 16-bit grey is scaled to 8 bits
    (see `picture_levels`), and of an animation the first frame is taken.

    Args:
        path: a file that PIL can read (jpg, png, bmp, gif, webp, ...).
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).

    Returns:
        A uint8 array [height, width, channels] in 0..255.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, is damaged, holds numbers that
            are no levels, or has more than `MAX_PIXELS` pixels.
    """
    check_channels(channels)
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such picture file. Received: {path!r}.")
    try:
        image, bits = _read(path)
    except Warning:  # the program's filters make errors of PIL's warnings
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image, bits = _read(path)
    try:
        return _to_array(eight_bits(image, bits, path), channels)
    except MemoryError as error:
        raise ValueError(
            "A picture that fits into memory was expected. "
            f"Received: {path!r} of {image.width} x {image.height} pixels."
        ) from error


def _read(path):
    """Returns a picture, decoded and upright, and its `stored_bits`."""
    try:
        return _decoded(path)
    except Warning:
        raise
    except _TooLarge as error:
        raise ValueError(f"{error} Received: {path!r}.") from error
    # Of any kind: PIL's plug-ins meet damage with whatever it leads to.
    except Exception as error:
        return _read_without_metadata(path, error)


def _read_without_metadata(path, error):
    """Reads the picture alone, since with what is beside it PIL fails."""
    try:
        with open(path, "rb") as file:
            picture, exif = picture_metadata.split(file.read())
        return _decoded(io.BytesIO(picture), exif)
    except Warning:
        raise
    # Of any kind, as above; the first error is the one to tell.
    except Exception:
        reason = str(error) or type(error).__name__
        raise ValueError(
            "A picture file (jpg, png, bmp, gif, webp) was expected, but this "
            f"one cannot be decoded ({reason}). Received: {path!r}."
        ) from error


class _TooLarge(Exception):
    """A picture of too many pixels; its message lacks the file."""


def _decoded(file, exif=None):
    """Returns a picture, decoded and upright, and its `stored_bits`.

    Args:
        file: its path, or a stream.
        exif: bytes, unless the file has them.

    Raises:
        _TooLarge: more than `MAX_PIXELS` pixels.
        Exception: of any kind, from PIL.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            _check_size(image)
            if image.format == "EPS":
                raise OSError("PostScript is a program, not a picture")
            bits = stored_bits(image)
            return picture_metadata.upright(image, exif), bits
    except Image.DecompressionBombError as error:
        raise _TooLarge(
            "A picture of fewer pixels was expected. Make it smaller, or "
            f"raise both PIL.Image.MAX_IMAGE_PIXELS and {__name__}.MAX_PIXELS "
            f"({str(error).split(',')[0]})."
        ) from error


def _check_size(image):
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _TooLarge(
            f"A picture of at most {MAX_PIXELS:,} pixels was expected, not of "
            f"{width} x {height}. Make it smaller, or raise "
            f"{__name__}.MAX_PIXELS."
        )


def _to_array(image, channels: int) -> np.ndarray:
    from PIL import Image

    if image.mode == "La":  # premultiplied; PIL knows one way back
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    if channels == 1:
        return np.array(image.convert("L"))[:, :, None]
    return np.array(image)
