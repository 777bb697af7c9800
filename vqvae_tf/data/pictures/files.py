"""Picture files as 8-bit arrays.

All picture files are decoded here, by PIL, so that a file passed on the command
line and the same file in a training folder give equal arrays.
"""

import io
import os
import threading
import warnings

import numpy as np

from vqvae_tf.data.pictures import metadata as picture_metadata
from vqvae_tf.data.pictures.levels import eight_bits, stored_bits

# Largest width times height of a decoded picture. Equals the default of
# Pillow's MAX_IMAGE_PIXELS; Pillow itself refuses more than twice as many.
MAX_PIXELS = 178_956_970

_quiet = threading.Lock()


def check_channels(channels: int) -> None:
    """Raises ValueError unless `channels` is 1 or 3."""
    if channels not in (1, 3) or isinstance(channels, bool):
        raise ValueError(f"channels must be 1 or 3. Received: {channels!r}.")


def decode_picture(path: str | os.PathLike, channels: int = 3) -> np.ndarray:
    """Reads one picture file.

    A readable EXIF orientation is applied, transparency is composited over
    white, palettes are resolved, 16-bit grey is scaled to 8 bits (see
    `pictures.levels`), and animations give their first frame.

    Args:
        path: a file that PIL can read (jpg, png, bmp, gif, webp, ...).
        channels: 3 for RGB (default), 1 for grey (ITU-R 601 luma).

    Returns:
        A uint8 array [height, width, channels] in 0..255.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a picture, is damaged, holds values that
            are not grey levels, or has more than `MAX_PIXELS` pixels.
    """
    check_channels(channels)
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such picture file. Received: {path!r}.")
    try:
        image, bits = _read(path)
    except Warning:  # the program's filters turn PIL's warnings into errors
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
    """Same as `_decoded`, with errors that name the file."""
    try:
        return _decoded(path)
    except Warning:
        raise
    except _TooLarge as error:
        raise ValueError(f"{error} Received: {path!r}.") from error
    # Damaged files make PIL's plug-ins raise errors of any kind.
    except Exception as error:
        return _read_without_metadata(path, error)


def _read_without_metadata(path, error):
    """Reads a picture without the metadata, which may be what PIL fails at."""
    try:
        with open(path, "rb") as file:
            picture, exif = picture_metadata.split(file.read())
        return _decoded(io.BytesIO(picture), exif)
    except Warning:
        raise
    # Of any kind, as above; the first error is the one to report.
    except Exception:
        reason = str(error) or type(error).__name__
        raise ValueError(
            "A picture file (jpg, png, bmp, gif, webp) was expected, but this "
            f"one cannot be decoded ({reason}). Received: {path!r}."
        ) from error


class _TooLarge(Exception):
    """A picture has too many pixels; the message does not name the file."""


def _decoded(file, exif=None):
    """Returns a picture, decoded and upright, and its `stored_bits`.

    Args:
        file: path or stream.
        exif: EXIF bytes; None for those in the file.

    Raises:
        _TooLarge: more than `MAX_PIXELS` pixels.
        Exception: of any kind, from PIL.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _TooLarge(
                    f"A picture of at most {MAX_PIXELS:,} pixels was expected, "
                    f"not of {width} x {height}. Downscale it, or raise "
                    f"{__name__}.MAX_PIXELS."
                )
            if image.format == "EPS":
                raise OSError("PostScript is a program, not a picture")
            bits = stored_bits(image)
            return picture_metadata.upright(image, exif), bits
    except Image.DecompressionBombError as error:
        raise _TooLarge(
            "A picture with fewer pixels was expected. Downscale it, or raise "
            f"both PIL.Image.MAX_IMAGE_PIXELS and {__name__}.MAX_PIXELS "
            f"({str(error).split(',')[0]})."
        ) from error


def _to_array(image, channels):
    from PIL import Image

    if image.mode == "La":  # premultiplied alpha, which PIL converts only so
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    if channels == 1:
        return np.array(image.convert("L"))[:, :, None]
    return np.array(image)
