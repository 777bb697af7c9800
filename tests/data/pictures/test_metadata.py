"""Pictures whose metadata are malformed are sound pictures."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from support.broken_files import damaged
from support.data_helpers import noise
from vqvae_tf import data
from vqvae_tf.data import load_picture
from vqvae_tf.data.pictures import metadata as picture_metadata

PICTURE = np.repeat(noise(10, 16)[:, :, None], 3, axis=2)
TURNED = np.rot90(PICTURE, -1)  # by orientation 6
FORMATS = {"jpg": {"quality": 100}, "png": {}, "webp": {"lossless": True}}


def exif(tag=None, kind=0, count=1, raw=b"", orientation=6, kind_of_it=3):
    """Returns EXIF of an orientation and one other tag, little endian."""
    tags = [struct.pack("<HHIHH", 0x112, kind_of_it, 1, orientation, 0)]
    if tag is not None:
        value = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", 38)
        tags.append(struct.pack("<HHI", tag, kind, count) + value)
    body = struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)
    return b"Exif\0\0II*\0" + body + (raw if len(raw) > 4 else b"")


def written(path, content):
    image = Image.fromarray(PICTURE)
    image.save(path, exif=content, **FORMATS[path.suffix[1:]])
    return path


def close(found, expected):
    if found.shape != expected.shape:
        return False
    return np.abs(found.astype(int) - expected).max() < 9  # of JPEG


# A tag's number, kind, count and content.
BROKEN = {
    "rational_without_denominator": (0x11A, 10, 1, struct.pack("<ii", -1, 0)),
    "rational_of_nothing": (0x11A, 5, 1, struct.pack("<II", 0, 0)),
    "empty_resolution": (0x11A, 2, 1, b"\0"),
    "text_as_resolution": (0x11A, 2, 4, b"abc\0"),
    "float_nan": (0x11A, 11, 1, struct.pack("<f", np.nan)),
    "unknown_kind": (0x10F, 99, 1, b"abcd"),
    "count_beyond_the_end": (0x10F, 2, 2**31, b"abcdefg"),
    "folder_of_tags_at_nowhere": (0x8769, 4, 1, struct.pack("<I", 2**31)),
    "folder_of_tags_that_is_text": (0x8769, 2, 4, b"abc\0"),
    "position_that_is_text": (0x8825, 2, 8, b"abcdefg\0"),
    "folder_of_tags_is_its_own": (0x8769, 4, 1, struct.pack("<I", 8)),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("ending", FORMATS)
def test_a_malformed_tag_leaves_the_orientation(tmp_path, ending, name):
    path = written(tmp_path / f"a.{ending}", exif(*BROKEN[name]))
    assert close(load_picture(path), TURNED)  # warnings are errors in tests
    found = data.open_images("folder", "train", str(tmp_path), progress=False)
    assert found.num_examples == 1


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "content",
    [
        exif(orientation=0),
        exif(orientation=9),
        exif(kind_of_it=2),
        exif(kind_of_it=10),
        exif()[:20],
        b"Exif\0\0",
        b"Exif\0\0no header at all",
        exif()[:14] + b"\xff\xff" + exif()[16:],
    ],
)
def test_an_unreadable_orientation_is_none(tmp_path, ending, content):
    path = written(tmp_path / f"a.{ending}", content)
    found = load_picture(path)
    assert close(found, PICTURE) or close(found, TURNED)


@pytest.mark.parametrize("ending", FORMATS)
def test_damaged_exif_never_stops_a_picture(tmp_path, ending):
    for number in range(40):
        generator = np.random.default_rng(number)
        content = b"Exif\0\0" + damaged(
            exif(0x10F, 2, 9, b"my maker")[6:], generator
        )
        path = written(tmp_path / f"a.{ending}", content)
        expected = (10, 16, 3), (16, 10, 3)
        assert load_picture(path).shape in expected, number


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_every_orientation_of_a_tiff(tmp_path, orientation, compression):
    tags = Image.Exif()
    tags[0x0112] = orientation
    for name in ("a.tif", "a.png"):
        options = {"compression": compression} if name == "a.tif" else {}
        Image.fromarray(PICTURE).save(tmp_path / name, exif=tags, **options)
    found = load_picture(tmp_path / "a.tif")
    assert (found == load_picture(tmp_path / "a.png")).all()


def test_a_tiff_with_broken_tags_is_turned(tmp_path):
    tags = Image.Exif()
    tags[0x0112], tags[0x013B] = 6, "the artist"
    path = tmp_path / "a.tif"
    Image.fromarray(PICTURE).save(path, exif=tags)
    content = path.read_bytes()
    place = content.index(struct.pack("<HH", 0x13B, 2))
    broken = struct.pack("<HHII", 0x8769, 4, 1, 2**32 - 1)  # leads nowhere
    path.write_bytes(content[:place] + broken + content[place + 12 :])
    assert (load_picture(path) == TURNED).all()


def test_many_segments_of_exif(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(PICTURE).save(path, quality=100)
    content = path.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 65000) + exif().ljust(65000)
    path.write_bytes(content[:2] + segment * 40 + content[2:])
    assert close(load_picture(path), TURNED)


@pytest.mark.parametrize("ending", FORMATS)
def test_broken_profiles(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    options = {"icc_profile": b"no profile", "xmp": b"<x:xmpmeta"}
    if ending == "png":
        del options["xmp"]
    Image.fromarray(PICTURE).save(path, **options, **FORMATS[ending])
    assert close(load_picture(path), PICTURE)


def chunk(name, content, crc=None):
    crc = zlib.crc32(name + content) if crc is None else crc
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", crc)
    )


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"name\0\0not compressed"),
        chunk(b"iCCP", b"name"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not compressed"),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))),
        chunk(b"tEXt", b"a\0" + bytes(2**16)),
        chunk(b"tEXt", b"a\0b", crc=7),
        chunk(b"pHYs", b""),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"abc"),
        chunk(b"sRGB", b""),
        chunk(b"acTL", b"a"),
    ],
    ids=lambda extra: extra[4:8].decode(),
)
def test_a_malformed_chunk_leaves_the_picture(tmp_path, extra):
    path = written(tmp_path / "a.png", exif())
    content = path.read_bytes()
    path.write_bytes(content[:33] + extra + content[33:])
    assert (load_picture(path) == TURNED).all()


def test_the_picture_is_split_from_the_rest():
    for ending in ("jpg", "png"):
        stream = io.BytesIO()
        form = {"jpg": "jpeg"}.get(ending, ending)
        image = Image.fromarray(PICTURE)
        image.save(stream, form, exif=exif(), icc_profile=b"none")
        bare, found = picture_metadata.split(stream.getvalue())
        assert exif()[6:] in found and exif()[6:] not in bare
        assert b"none" not in bare
        again = Image.open(io.BytesIO(bare))
        assert (np.asarray(again) == np.asarray(Image.open(stream))).all()


def test_filters_of_warnings_stay_as_they_were(tmp_path):
    content = exif(*BROKEN["count_beyond_the_end"])
    path = written(tmp_path / "a.jpg", content)
    before = list(warnings.filters)
    load_picture(path)
    assert warnings.filters == before
