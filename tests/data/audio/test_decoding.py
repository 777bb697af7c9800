"""Headers of streams, codings that cannot be sought, damage, lengths."""

import struct
import wave

import numpy as np
import pytest

from support.audio_helpers import opened, tone, write
from support.data_helpers import noise
from vqvae_tf import data
from vqvae_tf.data.audio import decoding as audio_decoding

pytest.importorskip("soundfile")

# Who writes these where the length is not known.
SIZES = {
    "unfinished": 0,
    "sox": 0x7FFFF000,
    "arecord_of_old": 0x7FFFFF00,
    "largest": 0x7FFFFFFF,
    "largest_less_a_header": 0x7FFFFFFF - 36,
    "arecord": 0x80000000,
    "arecord_and_a_header": 0x80000024,
    "ffmpeg": 0xFFFFFFFF,
    "ffmpeg_even": 0xFFFFFFFE,
    "all_less_a_header": 0xFFFFFFFF - 36,
}
SUBTYPES = ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW", "MS_ADPCM", "GSM610"]


def load(path, rate=8000):
    return data.load_waveform(path, rate, normalize=None)


def with_size(content, size, riff=None):
    """Returns a wav file with other sizes in its header."""
    place = content.index(b"data") + 4
    content = content[:place] + struct.pack("<I", size) + content[place + 4 :]
    if riff is not None:
        content = content[:4] + struct.pack("<I", riff) + content[8:]
    return content


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_a_stream_is_read_to_its_end(tmp_path, subtype):
    path = write(tmp_path / "a.wav", tone(), subtype=subtype)
    content, whole = path.read_bytes(), load(path)
    for who, size in SIZES.items():
        for riff in (None, size, 0, 0xFFFFFFFF):
            path.write_bytes(with_size(content, size, riff))
            np.testing.assert_array_equal(load(path), whole, who)


@pytest.mark.parametrize("riff", [0, 8, 100, 0x7FFFFFFF, 0xFFFFFFFF])
def test_the_size_of_riff_does_not_matter(tmp_path, riff):
    path = write(tmp_path / "a.wav", tone())
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", riff) + content[8:])
    assert len(load(path)) == 1000


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("cut", [100, 153])
def test_a_cut_file_is_no_stream(tmp_path, subtype, cut):
    path = write(tmp_path / "a.wav", tone(1001), subtype=subtype)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match="were expected.*truncated.*a.wav"):
        load(path)


def large(path, form=b"RF64", size=None):
    """Writes RF64 or BW64, with another size of 64 bits."""
    import soundfile

    soundfile.write(path, tone(), 8000, format="RF64")
    content = form + path.read_bytes()[4:]
    if size is not None:
        place = content.index(b"ds64") + 16
        size = struct.pack("<Q", size)
        content = content[:place] + size + content[place + 8 :]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [None, 0, 2**32 - 1, 2**63 - 1, 2**64 - 1])
def test_large_files_and_streams_of_them(tmp_path, form, size):
    path = large(tmp_path / "a.wav", form, size)
    np.testing.assert_allclose(load(path), tone(), atol=1e-4)


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_a_cut_large_file_is_truncated(tmp_path, form):
    path = large(tmp_path / "a.wav", form)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="1000 samples .*truncated.* with 750"):
        load(path)
    path = large(tmp_path / "a.wav", form, 10**15)
    with pytest.raises(ValueError, match="truncated.*a.wav"):
        load(path)


def test_an_empty_file_with_notes_behind_is_empty(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(0))
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    path.write_bytes(path.read_bytes() + note)
    with pytest.raises(ValueError, match="a.wav.*is empty"):
        load(path)


def test_a_size_that_is_no_multiple_of_a_sample(tmp_path):
    path = write(tmp_path / "a.wav", tone())
    for size, count in ((2001, 1000), (1999, 999), (3, 1)):
        path.write_bytes(with_size(path.read_bytes(), size))
        if count > 1:
            assert len(load(path)) == count
        else:
            with pytest.raises(ValueError, match="a.wav"):
                load(path)  # one sample has no sound


def flac_of(path, total):
    """Writes flac whose header promises `total` samples."""
    write(path, tone())
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    path.write_bytes(content)
    return path


def test_a_flac_stream_is_read_to_its_end(tmp_path):
    path = flac_of(tmp_path / "a.flac", 0)  # unknown, says the format
    np.testing.assert_allclose(load(path), tone(), atol=1e-4)
    path = flac_of(tmp_path / "a.flac", 1001)
    with pytest.raises(ValueError, match="1001 samples.*truncated.*a.flac"):
        load(path)


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_16"])
def test_codings_that_cannot_be_sought_are_read(tmp_path, subtype):
    path = write(tmp_path / "ann" / "1.wav", tone(4000), subtype=subtype)
    write(tmp_path / "ann" / "2.wav", tone(4000))
    first, second = opened(tmp_path).dataset().as_numpy_iterator()
    assert 4000 <= len(first["waveform"]) < 5000
    start = first["waveform"][:4000], second["waveform"]
    assert np.corrcoef(*start)[0, 1] > 0.9
    (tmp_path / "ann" / "2.wav").unlink()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="truncated.*ann/1.wav"):
        opened(tmp_path)


# Lengths


def test_too_many_samples_are_refused(tmp_path, monkeypatch):
    stereo = np.stack([tone(), tone()], 1)
    paths = [
        write(tmp_path / name, stereo, subtype=subtype)
        for name, subtype in (("a.wav", "PCM_16"), ("a.ogg", "VORBIS"))
    ]
    monkeypatch.setattr(audio_decoding, "MAX_SAMPLES", 2000)
    assert [len(load(path)) for path in paths] == [1000] * 2
    monkeypatch.setattr(audio_decoding, "MAX_SAMPLES", 1999)
    for path in paths:
        with pytest.raises(ValueError, match="at most 1,999 .*MAX_SAMPLES.*/a"):
            load(path)


def test_a_promise_of_many_samples_takes_no_memory(tmp_path):
    path = flac_of(tmp_path / "a.flac", 2**36 - 1)
    with pytest.raises(ValueError, match="at most 536,870,912 .*a.flac"):
        load(path)


def test_an_unknown_length_is_bounded_as_it_is_read(tmp_path, monkeypatch):
    path = flac_of(tmp_path / "a.flac", 0)
    monkeypatch.setattr(audio_decoding, "_BLOCK", 100)
    assert len(load(path)) == 1000
    monkeypatch.setattr(audio_decoding, "MAX_SAMPLES", 500)
    with pytest.raises(ValueError, match="not of 600 or more.*a.flac"):
        load(path)


# Damage


def test_a_header_of_nothing_but_empty_chunks_ends(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(10**7))
    with pytest.raises(ValueError, match="a.wav"):
        load(path)


def test_other_content_is_named(tmp_path):
    for name, content in (
        ("a.wav", b""),
        ("b.wav", b"RIFF"),
        ("c.flac", b"fLaC"),
        ("d.wav", noise(99).tobytes()),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"cannot be decoded.*{name}"):
            load(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(audio_decoding.wav_headers, "read_header", refuse)
    with pytest.raises(ValueError, match="Permission denied.*a.wav"):
        load(path)


def fuzz(folder, count):
    """Returns how many of `count` damaged recordings are read."""
    from support.broken_files import damaged, recordings

    kinds, read = list(recordings()), 0
    for number in range(count):
        ending, content = kinds[number % len(kinds)]
        content = damaged(content, np.random.default_rng(number))
        path = folder / "ann" / f"{number}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        try:
            found = load(path)
            assert found.dtype == np.float32 and found.ndim == 1
            assert np.isfinite(found).all() and np.abs(found).max() <= 1
            read += 1
        except ValueError as error:
            assert str(path) in str(error)
    return read


def test_damaged_recordings_are_read_or_named(tmp_path):
    assert 20 < fuzz(tmp_path, 300) < 280


@pytest.mark.slow
def test_thousands_of_damaged_recordings(tmp_path):
    read = fuzz(tmp_path, 5000)
    audio = opened(tmp_path, on_corrupt="skip")
    assert 0 < audio.num_examples <= read
    print(f"{read} of 5000 damaged recordings could be read")


def test_python_s_own_wav_files(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((tone() * 2**15).astype("<i2").tobytes())
    assert len(load(tmp_path / "a.wav")) == 1000
