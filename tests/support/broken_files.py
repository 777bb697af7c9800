"""Small sound files, and ways to damage them, for random tests."""

import io
import struct

import numpy as np
from PIL import Image

from support.data_helpers import noise


def pictures():
    """Returns (ending, content) of small pictures of many kinds."""
    colour, grey = Image.fromarray(noise(9, 12, 3)), noise(9, 12)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    deep = Image.fromarray(noise(9, 12).astype(np.uint16) * 257)
    kinds = [
        ("png", colour, {"exif": exif}),
        ("png", Image.fromarray(noise(9, 12, 4)), {}),
        ("png", Image.fromarray(noise(9, 12, 2), "LA"), {}),
        ("png", deep, {"transparency": 257}),
        ("png", colour.convert("P"), {"transparency": 3}),
        ("png", Image.fromarray(grey > 99), {}),
        ("jpg", colour, {"exif": exif}),
        ("jpg", colour, {"progressive": True, "dpi": (72, 72)}),
        ("jpg", colour.convert("CMYK"), {}),
        ("gif", colour, {}),
        ("gif", colour, {"save_all": True, "append_images": [colour]}),
        ("bmp", colour, {}),
        ("bmp", Image.fromarray(grey), {}),
        ("webp", colour, {"exif": exif, "lossless": True}),
        ("tiff", colour, {"exif": exif}),
        ("tiff", colour, {"compression": "tiff_lzw"}),
        ("tiff", deep, {}),
        ("tiff", Image.fromarray(grey.astype(np.int32)), {}),
        ("tiff", Image.fromarray(grey.astype(np.float32)), {}),
    ]
    for ending, image, options in kinds:
        stream = io.BytesIO()
        form = {"jpg": "jpeg"}.get(ending, ending)
        image.save(stream, form, **options)
        yield ending, stream.getvalue()


def recordings():
    """Returns (ending, content) of small recordings of many kinds."""
    import soundfile

    samples = np.sin(np.arange(1500) / 5) / 2
    stereo = np.stack([samples, samples], 1)
    for form, subtype, content in [
        ("WAV", "PCM_16", samples),
        ("WAV", "PCM_24", stereo),
        ("WAV", "FLOAT", samples),
        ("WAV", "MS_ADPCM", samples),
        ("WAV", "IMA_ADPCM", samples),
        ("WAV", "GSM610", samples),
        ("WAVEX", "ULAW", samples),
        ("RF64", "PCM_16", samples),
        ("FLAC", "PCM_16", samples),
        ("FLAC", "PCM_24", stereo),
        ("OGG", "VORBIS", samples),
        ("AIFF", "PCM_16", samples),
    ]:
        stream = io.BytesIO()
        soundfile.write(stream, content, 8000, subtype, format=form)
        yield "flac" if form == "FLAC" else "wav", stream.getvalue()


_WORDS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def damaged(content: bytes, generator) -> bytes:
    """Returns a file with some damage, most of it near its beginning."""
    found = bytearray(content)
    for _ in range(generator.integers(1, 4)):
        size = max(len(found), 1)
        near = min(size, int(generator.choice([40, 120, size])))
        place = int(generator.integers(near))
        how = generator.integers(7)
        if how <= 1:
            found[place : place + 1] = generator.bytes(1)
        elif how == 2:
            form = str(generator.choice(["<H", ">H", "<I", ">I"]))
            mask = 0xFFFF if form[1] == "H" else 0xFFFFFFFF
            word = struct.pack(form, int(generator.choice(_WORDS)) & mask)
            found[place : place + len(word)] = word
        elif how == 3:
            del found[int(generator.integers(size)) :]
        elif how == 4:
            del found[place : place + int(generator.integers(1, 9))]
        elif how == 5:
            found[place:place] = generator.bytes(int(generator.integers(1, 9)))
        else:
            piece = found[place : place + int(generator.integers(1, 40))]
            other = int(generator.integers(size))
            found[other : other + len(piece)] = piece
    return bytes(found)
