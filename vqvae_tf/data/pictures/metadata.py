"""What a picture file holds beside the picture: only its orientation counts.

Cameras, phones and editors write EXIF, XMP and colour profiles that are
malformed in many ways. The picture is sound all the same: any failure to read
an orientation means that there is none.
"""

import struct

_ORIENTATION = 0x0112
_ALL = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_PNG = b"\x89PNG\r\n\x1a\n"


def upright(image, exif=None):
    """Decodes a picture and turns it as its orientation says.

    Args:
        image: as PIL has opened it.
        exif: bytes to read the orientation of, or None for the picture's own.

    Returns:
        A picture, decoded.

    Raises:
        Exception: of any kind, from PIL, where it cannot be decoded.
    """
    from PIL import Image, ImageOps

    known = Image.Exif()
    # PIL turns a TIFF as it decodes it, and writes the tags of others anew as
    # it turns them: it is shown none but the orientation.
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
    except Warning:  # by the program's filters; to be read without them
        raise
    # Of any kind: EXIF of cameras leads PIL to struct, Index, Syntax and other
    # errors, and all of them mean that there is no orientation.
    except Exception:
        pass


def split(content: bytes) -> tuple[bytes, bytes]:
    """Returns a JPEG or PNG file without what is beside the picture.

    Args:
        content: of the file.

    Returns:
        The file's new content, and its EXIF, which may be empty.

    Raises:
        ValueError: for other files.
        struct.error: for truncated ones.
    """
    if content.startswith(_PNG):
        return _split_png(content)
    if content.startswith(b"\xff\xd8"):
        return _split_jpeg(content)
    raise ValueError("not a JPEG or PNG file")


def _split_png(content):
    """Keeps the chunks that are critical, and the transparency."""
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
    """Keeps all segments but the applications'; Adobe's tells the colours."""
    kept, exif, place = [content[:2]], b"", 2
    while True:
        marker, size = struct.unpack_from(">HH", content, place)
        if marker == 0xFFDA:  # the scan: no more segments to look at
            break
        end = place + 2 + size
        segment = content[place:end]
        if not 0xFFE0 <= marker <= 0xFFEF or segment[4:9] == b"Adobe":
            kept.append(segment)
        elif marker == 0xFFE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
        place = end
    return b"".join([*kept, content[place:]]), exif
