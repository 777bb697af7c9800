"""Recordings in folders of wav and flac files."""

import os

import numpy as np
import pytest

from support.audio_helpers import examples, opened, tone, write
from vqvae_tf import data
from vqvae_tf.data.audio.source import LazyAudio, PackedAudio

pytest.importorskip("soundfile")
pytest.importorskip("soxr")


@pytest.fixture
def people(tmp_path):
    """Three speakers in two splits; neither has all of them."""
    for number, name in enumerate(
        [
            "train/bob/1.wav",
            "train/bob/2.flac",
            "train/ann/x/1.WAV",
            "train/ann/.hidden.wav",
            "train/ann/notes.txt",
            "test/eve/1.wav",
            "test/bob/3.wav",
        ]
    ):
        path = tmp_path / "people" / name
        if path.suffix == ".txt":
            path.write_text("no recording")
        else:
            write(path, tone(400 + number))
    return tmp_path


# Folders


def test_splits_have_the_same_speakers(people):
    train = opened(people, "folder:people")
    test = opened(people, "folder:people", "test")
    assert train.speaker_names == test.speaker_names == ("ann", "bob", "eve")
    assert [e["speaker"] for e in examples(train)] == [0, 1, 1]
    assert [e["speaker"] for e in examples(test)] == [1, 2]
    assert train.lengths.tolist() == [402, 400, 401]
    assert train.num_examples == 3 and train.num_speakers == 3
    assert train.sample_rate == 8000
    assert train.class_names is None and train.num_classes is None


def test_all_splits_together(people):
    write(people / "people" / "elsewhere" / "1.wav", tone())
    audio = opened(people, "folder:people", "all")
    assert audio.lengths.tolist() == [406, 405, 402, 400, 401]
    assert [e["speaker"] for e in examples(audio)] == [1, 2, 0, 1, 1]


def test_speakers_without_splits(people):
    audio = opened(people / "people" / "train")
    assert audio.speaker_names == ("ann", "bob")
    with pytest.raises(ValueError, match="no sub-folder for this split"):
        opened(people / "people" / "train", split="test")


@pytest.mark.parametrize("subtype, error", [("PCM_16", 2**-15), ("FLOAT", 0)])
def test_samples_are_those_of_the_file(tmp_path, subtype, error):
    samples = tone(peak=1.0).astype(np.float32)
    path = write(tmp_path / "ann" / "1.wav", samples * 0.9, subtype=subtype)
    (found,) = examples(opened(tmp_path, normalize=None))
    assert found["waveform"].dtype == np.float32
    np.testing.assert_allclose(found["waveform"], samples * 0.9, atol=error)
    (found,) = examples(opened(tmp_path))
    assert np.abs(found["waveform"]).max() == 1
    centred = samples - samples.mean()
    expected = centred / np.abs(centred).max()
    np.testing.assert_allclose(found["waveform"], expected, atol=2e-4)
    loaded = data.load_waveform(path, 8000)
    np.testing.assert_array_equal(loaded, found["waveform"])


def test_beyond_the_bound_recordings_are_read_when_used(people):
    kept = opened(people, "folder:people", rate=6000)
    lazy = opened(people, "folder:people", rate=6000, cache_bytes=2000)
    assert isinstance(kept, PackedAudio) and isinstance(lazy, LazyAudio)
    assert lazy.lengths.tolist() == kept.lengths.tolist()
    for a, b in zip(examples(kept), examples(lazy)):
        np.testing.assert_array_equal(a["waveform"], b["waveform"])
        assert a["speaker"] == b["speaker"]
    write(people / "people" / "train" / "bob" / "1.wav", tone(300))
    with pytest.raises(Exception, match="changed since it was opened"):
        examples(lazy)


def test_progress_bar(people, capfd, monkeypatch):
    import tqdm

    init = tqdm.tqdm.__init__
    monkeypatch.setattr(
        tqdm.tqdm,
        "__init__",
        lambda *args, **options: init(*args, **{**options, "delay": 0}),
    )
    data.open_audio("folder:people", "train", 8000, str(people))
    assert "recordings" in capfd.readouterr().err


# Sample rates


@pytest.mark.parametrize("rate, other", [(48000, 16000), (44100, 8000)])
def test_resampling_keeps_what_fits_and_nothing_else(tmp_path, rate, other):
    low = tone(rate, rate, hertz=1000, peak=0.4)
    high = tone(rate, rate, hertz=0.6 * other, peak=0.4)
    write(tmp_path / "ann" / "1.flac", low + high, rate)
    audio = opened(tmp_path, rate=other, normalize=None)
    assert audio.lengths.tolist() == [other]
    found = examples(audio)[0]["waveform"][400:-400]
    expected = tone(other, other, hertz=1000, peak=0.4)[400:-400]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_lower_rate_is_told_of(tmp_path, caplog):
    write(tmp_path / "ann" / "1.wav", tone(1000, 6000), 6000)
    write(tmp_path / "ann" / "2.wav", tone(1000))
    audio = opened(tmp_path)
    assert audio.lengths.tolist() == [1333, 1000]
    (message,) = caplog.messages
    assert "1 of 2 recordings have a lower sample rate" in message
    assert "ann/1.wav" in message


@pytest.mark.parametrize("normalize", ["peak", None])
def test_an_offset_is_taken_away_by_peak_alone(tmp_path, normalize):
    for name, offset in (("1", 0.0), ("2", 0.1)):
        write(tmp_path / "ann" / f"{name}.wav", tone() + offset)
    first, second = examples(opened(tmp_path, normalize=normalize))
    same = np.abs(first["waveform"] - second["waveform"]).max() < 5e-4
    assert same == (normalize == "peak")


def test_full_scale_is_not_passed_by_resampling(tmp_path):
    square = np.sign(tone(3000, 16000, 440, 1.0))
    write(tmp_path / "ann" / "1.wav", square, 16000)
    for normalize in ("peak", None):
        (found,) = examples(opened(tmp_path, normalize=normalize))
        assert np.abs(found["waveform"]).max() == 1


# What cannot be opened


@pytest.mark.parametrize(
    "source, split, options, error, message",
    [
        ("people", "train", {}, ValueError, "\"tfds:NAME\".*'people'"),
        ("tfds:", "train", {}, ValueError, "\"tfds:NAME\".*'tfds:'"),
        ("folder:no", "train", {}, FileNotFoundError, "No such folder.*/no"),
        ("folder:flat", "train", {}, ValueError, "sub-folder.*flat/1.wav"),
        ("folder:empty", "all", {}, ValueError, "No audio file.*/empty"),
        ("folder:people", "dev", {}, ValueError, "for this split.*split='dev'"),
        (
            "folder:people",
            "test",
            {"normalize": "rms"},
            ValueError,
            "normalize must be \"peak\" or None. Received: 'rms'",
        ),
        (
            "folder:people",
            "test",
            {"rate": 0},
            ValueError,
            "sample_rate must be a positive integer. Received: 0",
        ),
        (
            "folder:people",
            "test",
            {"on_corrupt": "ignore"},
            ValueError,
            'on_corrupt must be "error" or "skip"',
        ),
    ],
)
def test_what_cannot_be_opened(people, source, split, options, error, message):
    write(people / "flat" / "1.wav", tone())
    os.mkdir(people / "empty")
    with pytest.raises(error, match=message):
        opened(people, source, split, **options)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such audio file.*a.wav"):
        data.load_waveform(tmp_path / "a.wav", 8000)


@pytest.mark.parametrize("module, rate", [("soundfile", 8000), ("soxr", 16000)])
def test_without_the_extra(tmp_path, monkeypatch, module, rate):
    path = write(tmp_path / "1.wav", tone(rate=rate), rate)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    message = rf"{module} is needed.*pip install vqvae_tf\[audio\]"
    with pytest.raises(ImportError, match=message):
        data.load_waveform(path, 8000)
