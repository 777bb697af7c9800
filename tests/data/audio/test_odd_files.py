"""Odd recordings: refused by name, left out, or told of."""

import struct

import numpy as np
import pytest

from support.audio_helpers import examples, opened, tone, write
from vqvae_tf import data

pytest.importorskip("soundfile")


def test_channels_are_averaged_with_one_warning(tmp_path, caplog):
    left, right = tone(hertz=200), tone(hertz=900, peak=0.1)
    for name in "abc":
        write(tmp_path / "ann" / f"{name}.wav", np.stack([left, right], 1))
    write(tmp_path / "ann" / "d.wav", left)
    found = examples(opened(tmp_path, normalize=None))
    expected = (left + right) / 2
    np.testing.assert_allclose(found[1]["waveform"], expected, atol=1e-4)
    (message,) = caplog.messages
    assert "3 of 4 recordings have several channels" in message
    assert "ann/a.wav" in message


def test_a_single_file_s_channels_are_told_of(tmp_path, caplog):
    path = tmp_path / "ann.wav"
    write(path, np.stack([tone(), 0 * tone()], 1))
    waveform = data.load_waveform(path, 8000, normalize=None)
    np.testing.assert_allclose(waveform, tone() / 2, atol=1e-4)
    (message,) = caplog.messages
    assert message.startswith(f"{path} is one of the recordings that have sev")


def test_clipped_recordings_are_told_of(tmp_path, caplog):
    write(tmp_path / "ann" / "1.wav", np.clip(tone(peak=2), -1, 1))
    write(tmp_path / "ann" / "2.wav", tone(peak=0.99))
    assert opened(tmp_path).num_examples == 2
    (message,) = caplog.messages
    assert "1 of 2 recordings are clipped" in message and "1.wav" in message


def empty(path):
    write(path, np.zeros(0))


def silent(path):
    write(path, np.zeros(500))


def constant(path):
    write(path, np.full(500, 0.25))


def not_finite(path):
    samples = tone()
    samples[3:5] = np.nan
    write(path, samples, subtype="FLOAT")


def too_large(path):
    write(path, tone(peak=3.5), subtype="FLOAT")


def text(path):
    path.write_text("no recording, though it is called one")


def truncated(path):
    write(path, tone())
    path.write_bytes(path.read_bytes()[:-500])


def truncated_odd_chunks(path):
    write(path, tone())
    head, body = path.read_bytes()[:12], path.read_bytes()[12:]
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(head + extra + body[:-700])


def low_rate(path):
    write(path, tone(1000, 4000), 4000)


ODD = {
    empty: "at least one sample was expected.*{name}.*is empty",
    silent: "with sound was expected.*{name}.*every sample is 0",
    constant: "with sound was expected.*{name}.*every sample is 0.25",
    not_finite: "Finite samples.*{name}.* with 2 NaN or infinite ones of 1000",
    too_large: r"in \[-1, 1\] were expected.*{name}.* samples up to 3.5",
    text: "wav, flac.*cannot be decoded.*{name}",
    truncated: "1000 samples were expected.*truncated.*{name}.* with 750",
    truncated_odd_chunks: "1000 samples were expected.*{name}.* with 650",
    low_rate: "more than 4000 Hz was expected.*{name}.* at 4000",
}


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_odd_files(tmp_path, caplog, make):
    write(tmp_path / "ann" / "fine.wav", tone())
    write(tmp_path / "bob" / "fine.wav", tone())
    make(tmp_path / "ann" / "odd.wav")
    message = ODD[make].format(name="ann/odd.wav")
    with pytest.raises(ValueError, match=message) as raised:
        opened(tmp_path)
    assert 'Repair or remove it, or use on_corrupt="skip"' in str(raised.value)
    with pytest.raises(ValueError, match=message):
        data.load_waveform(tmp_path / "ann" / "odd.wav", 8000)
    caplog.clear()
    audio = opened(tmp_path, on_corrupt="skip")
    assert [e["speaker"] for e in examples(audio)] == [0, 1]
    (line,) = caplog.messages
    assert line.startswith("Skipped: ") and "odd.wav" in line


def test_truncated_flac(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 40_000)
    path = write(tmp_path / "ann" / "1.flac", noise)
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(ValueError, match="(truncated|decoded).*ann/1.flac"):
        opened(tmp_path)


def test_a_wav_file_from_a_pipe_has_no_size(tmp_path):
    path = write(tmp_path / "ann" / "1.wav", tone())
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + b"\xff" * 4 + content[place + 4 :])
    assert opened(tmp_path).lengths.tolist() == [1000]


def test_only_odd_files(tmp_path):
    silent(tmp_path / "ann" / "1.wav")
    with pytest.raises(ValueError, match="at least one readable recording"):
        opened(tmp_path, on_corrupt="skip")
