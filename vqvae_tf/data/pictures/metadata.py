"""Metadata of picture files, of which only the orientation is used.

Cameras, phones and editors write EXIF, XMP and colour profiles that are
malformed in many ways, although the picture is sound. An orientation that
cannot be read is therefore ignored.
"""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112
_ALL = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_PNG = b"\x89PNG\r\n\x1a\n"


def upright(image: "Image.Image", exif: bytes | None = None) -> "Image.Image":
    """Decodes a picture and rotates it according to its orientation.

    Args:
        image: as opened by PIL, before decoding.
        exif: EXIF bytes with the orientation; None (default) for those of the
            picture.

    Returns:
        The decoded picture.

    Raises:
        Exception: of any kind, from PIL, if it cannot be decoded.
    """
    from PIL import Image, ImageOps

    known = Image.Exif()
    # PIL rotates a TIFF while decoding it, and rewrites the tags of other
    # formats when it rotates them, so it must see only the orientation.
    if hasattr(image, "tag_v2"):
        _keep(known, lambda: image.tag_v2.get(_ORIENTATION))
        image.getexif = lambda: known
    image.load()
    if not hasattr(image, "tag_v2"):
        _keep(known, lambda: _orientation(image, exif))
        image.getexif = lambda: known
    for key in _ALL:
        image.info.pop(key, None)
    return ImageOps.exif_transpose(image)


def _orientation(image, content):
    from PIL import Image

    if content is None:
        exif = image.getexif()
    else:
        exif = Image.Exif()
        exif.load(content)
    return exif.get(_ORIENTATION)


def _keep(known, read):
    """Adds to `known` the orientation that `read` finds, if any."""
    try:
        found = read()
        if found in range(2, 9):
            known[_ORIENTATION] = int(found)
    except Warning:  # by the program's filters; `files` retries without them
        raise
    # Malformed EXIF makes PIL raise struct.error, IndexError, SyntaxError and
    # others; all mean that there is no orientation.
    except Exception:
        pass


def split(content: bytes) -> tuple[bytes, bytes]:
    """Removes the metadata of a JPEG or PNG file.

    Args:
        content: content of the file.

    Returns:
        The content without metadata, and the EXIF bytes, which may be empty.

    Raises:
        ValueError: the file is neither JPEG nor PNG.
        struct.error: the file is truncated.
    """
    if content.startswith(_PNG):
        return _split_png(content)
    if content.startswith(b"\xff\xd8"):
        return _split_jpeg(content)
    raise ValueError("not a JPEG or PNG file")


def _split_png(content):
    """Keeps the critical chunks and the transparency."""
    kept, exif, place = [_PNG], b"", len(_PNG)
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if name[:1].isupper() or name == b"tRNS":
            kept.append(content[place:end])
        elif name == b"eXIf":
            exif = content[place + 8 : end - 4]
        place = end
        if name == b"IEND":
            break
    return b"".join(kept), exif


def _split_jpeg(content):
    """Drops the APPn segments except Adobe's, which gives the colour space."""
    kept, exif, place = [content[:2]], b"", 2
    while True:
        marker, size = struct.unpack_from(">HH", content, place)
        if marker == 0xFFDA:  # start of scan: no metadata follows
            break
        end = place + 2 + size
        segment = content[place:end]
        if not 0xFFE0 <= marker <= 0xFFEF or segment[4:9] == b"Adobe":
            kept.append(segment)
        elif marker == 0xFFE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
        place = end
    return b"".join([*kept, content[place:]]), exif
