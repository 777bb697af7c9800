"""The headers of wav files, and which of their sizes can be trusted.

A wav file consists of RIFF chunks: a name, a size, the content. Programs that
write to a pipe do not know the size in advance, and each marks this in its own
way; libsndfile understands only some of these.
"""

import dataclasses
import io
import os
import struct

_FORMS = (b"RIFF", b"RF64", b"BW64")
_MOST = 1000  # chunks that are inspected
# Sizes that mean "up to the end": the largest of 31, 32, 63 and 64 bits, give
# or take a header and rounding (ffmpeg, sox, arecord, ...).
_UNKNOWN = (
    range(0x7FFFF000, 0x80001000),
    range(0xFFFFF000, 0x100000000),
    range(2**63 - 4096, 2**63 + 4096),
    range(2**64 - 4096, 2**64),
)
# Encodings with a fixed number of bytes per sample: PCM, float, A-law, mu-law,
# extensible.
_FIXED = (1, 3, 6, 7, 0xFFFE)


@dataclasses.dataclass
class Header:
    """The chunks of a wav file, up to its samples.

    Attributes:
        form: b"RIFF", b"RF64" or b"BW64".
        chunks: the chunks `fmt ` and `fact`, unchanged.
        coding: format tag, the number of the encoding.
        frame: bytes of one sample of all channels, or of a compressed block.
        start: offset of the samples in the file.
        size: bytes of samples according to the header.
        present: bytes that follow in the file.
        unknown: whether the header marks the size as unknown.
    """

    form: bytes
    chunks: bytes = b""
    coding: int = 0
    frame: int = 1
    start: int = 0
    size: int = 0
    present: int = 0
    unknown: bool = False

    @property
    def content(self) -> int:
        """Number of bytes of samples in the file."""
        whole = self.unknown or self.size > self.present
        return self.present if whole else self.size

    @property
    def promised(self) -> tuple[int, int, str] | None:
        """(expected, present, unit) if samples are missing, else None."""
        if self.unknown or not self.frame:
            return None
        if self.coding in _FIXED:
            counts = self.size // self.frame, self.present // self.frame
            return (*counts, "samples") if counts[0] > counts[1] else None
        if self.size > self.present + 1:  # a byte of padding
            return self.size, self.present, "bytes"
        return None


def read_header(path: str | os.PathLike) -> Header | None:
    """Returns the header of a wav file, or None for other files.

    Also None if the header is incomplete.
    """
    with open(path, "rb") as stream:
        form, _, kind = struct.unpack("<4sI4s", stream.read(12).ljust(12))
        if form not in _FORMS or kind != b"WAVE":
            return None
        header, large = Header(form), None
        for _ in range(_MOST):
            place = stream.tell()
            head = stream.read(8)
            if len(head) < 8:
                return None
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                header.start = place + 8
                header.size = size if large is None else large
                return _measured(header, stream)
            if name == b"ds64":
                sizes = stream.read(16)
                if len(sizes) == 16:
                    large = struct.unpack("<8xQ", sizes)[0]
            if name in (b"fmt ", b"fact") and size < 2**16:
                content = stream.read(size)
                header.chunks += head + content + b"\0" * (size % 2)
                if name == b"fmt " and len(content) >= 14:
                    coding, frame = struct.unpack_from("<H10xH", content)
                    header.coding, header.frame = coding, frame
            stream.seek(place + 8 + size + size % 2)
    return None


def _measured(header, stream):
    """Sets `present` and `unknown` of a header, and returns it."""
    header.present = stream.seek(0, os.SEEK_END) - header.start
    if header.size > header.present:
        header.unknown = any(header.size in sizes for sizes in _UNKNOWN)
    elif not header.size and header.present:
        header.unknown = not _only_chunks(stream, header.start)
    return header


def _only_chunks(stream, place):
    """Whether only whole chunks with printable names follow."""
    end = stream.seek(0, os.SEEK_END)
    for _ in range(_MOST):
        if place >= end:
            return True
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            return False
        name, size = struct.unpack("<4sI", head)
        if not name.isascii() or not name.decode().isprintable():
            return False
        place += 8 + size + size % 2
        if place > end + 1:
            return False
    return False


def for_libsndfile(
    path: str | os.PathLike, header: Header | None
) -> bytes | io.BytesIO:
    """Returns what libsndfile can read: the path, or a file in memory.

    The latter has a corrected header: libsndfile takes a size of 0 literally,
    refuses an unknown size in large files (RF64, BW64), and may read compressed
    blocks beyond the end.

    Args:
        path: path of the file.
        header: result of `read_header`.
    """
    if header is None or not _needs_new_header(header):
        return os.fsencode(path)  # which need not be UTF-8
    with open(path, "rb") as stream:
        stream.seek(header.start)
        content = stream.read(header.content)
    size = struct.pack("<I", min(len(content), 2**32 - 1))
    parts = [b"RIFF\xff\xff\xff\xffWAVE", header.chunks, b"data", size, content]
    return io.BytesIO(b"".join(parts))


def _needs_new_header(header):
    if header.form == b"BW64":  # unknown to libsndfile
        return True
    simple = header.coding in _FIXED and header.size
    return header.unknown and (header.form == b"RF64" or not simple)
