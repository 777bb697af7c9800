"""Recordings that stock tensorflow_datasets prepared: small sets, made here."""

import os
import shutil

import numpy as np
import pytest

from support.tfds_sets import prepare, samples, write_vctk
from vqvae_tf import data
from vqvae_tf.data.audio.source import LazyAudio, PackedAudio

tfds = pytest.importorskip("tensorflow_datasets")

DIGITS = {
    "audio": tfds.features.Audio(file_format="wav", sample_rate=8000),
    "label": tfds.features.ClassLabel(num_classes=10),
    "audio/filename": tfds.features.Text(),
}
COMMANDS = {
    "sound": tfds.features.Audio(sample_rate=16000),
    "speaker_id": tfds.features.ClassLabel(names=["zoe", "al"]),
}


def digit(number, speaker, of_ten):
    return {
        "audio": samples(10 * of_ten + number),
        "label": of_ten,
        "audio/filename": f"{of_ten}_{speaker}_{number}.wav",
    }


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    write_vctk(data_dir, {"p226": (19, 20, 21, 40), "p225": (19, 20, 21, 40)})
    rows = [
        digit(number, speaker, of_ten)
        for of_ten in (7, 3)
        for number in (4, 5, 11)
        for speaker in ("ann", "theo")
    ]
    rows += [digit(3, "eve", 3)]  # in the test part alone
    prepare(data_dir, "spoken_digit", DIGITS, {"train": rows})
    folder = data_dir / "spoken_digit" / "1.0.0"
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace("1.0.0", "1.0.9"))
    shutil.move(folder, data_dir / "spoken_digit" / "1.0.9")
    rows = [
        {"sound": samples(n), "speaker_id": n % 2 and "al" or "zoe"}
        for n in range(6)
    ]
    prepare(data_dir, "commands", COMMANDS, {"train": rows, "test": rows[:2]})
    odd = [samples(1), np.zeros(0), samples(2), samples(3) * 100]
    odd = [{"sound": s, "speaker_id": 0} for s in odd]
    prepare(data_dir, "odd", COMMANDS, {"train": odd})
    prepare(data_dir, "numbers", {"value": np.int64}, {"train": [{"value": 3}]})
    unknown = {"audio": tfds.features.Audio()}
    prepare(data_dir, "rateless", unknown, {"train": [{"audio": samples(1)}]})
    stereo = tfds.features.Audio(shape=(None, 2), sample_rate=8000)
    sound = np.stack([samples(1), 3 * samples(1)], axis=1)
    prepare(data_dir, "stereo", {"a": stereo}, {"train": [{"a": sound}]})
    return data_dir


@pytest.fixture
def data_dir(shared_dir, tmp_path):
    return shutil.copytree(shared_dir, tmp_path / "tfds")


def opened(data_dir, source, split="train", rate=8000, **options):
    return data.open_audio(
        source, split, rate, str(data_dir), progress=False, **options
    )


def examples(audio):
    return list(audio.dataset().as_numpy_iterator())


# spoken_digit


@pytest.mark.parametrize(
    "split, numbers", [("train", {5, 11}), ("test", {3, 4})]
)
@pytest.mark.parametrize("cache_bytes", [10**6, 100])
def test_spoken_digits_by_their_number(shared_dir, split, numbers, cache_bytes):
    audio = opened(
        shared_dir,
        "tfds:spoken_digit",
        split,
        normalize=None,
        cache_bytes=cache_bytes,
    )
    assert isinstance(audio, PackedAudio if cache_bytes > 100 else LazyAudio)
    assert audio.speaker_names == ("ann", "eve", "theo")
    assert audio.class_names == tuple("0123456789")
    expected = {
        (of_ten, speaker, number)
        for of_ten in (7, 3)
        for number in numbers - {3}
        for speaker in ("ann", "theo")
    } | ({(3, "eve", 3)} if 3 in numbers else set())
    found = set()
    for example, length in zip(examples(audio), audio.lengths):
        waveform, label = example["waveform"], int(example["label"])
        number = len(waveform) - 600 - 10 * label
        found.add((label, audio.speaker_names[example["speaker"]], number))
        expected_samples = samples(10 * label + number) / 2**15
        np.testing.assert_array_equal(waveform, expected_samples)
        assert len(waveform) == length
    assert found == expected and audio.num_examples == len(expected)


def test_spoken_digit_has_two_splits_here(shared_dir):
    assert opened(shared_dir, "tfds:spoken_digit", "all").num_examples == 13
    with pytest.raises(ValueError, match='"train", "test" and "all" here.*90%'):
        opened(shared_dir, "tfds:spoken_digit", "train[:90%]")


needs_spoken_digit = pytest.mark.skipif(
    not os.path.isdir(
        os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "spoken_digit")
    ),
    reason="needs spoken_digit prepared in TFDS_DATA_DIR",
)


@needs_spoken_digit
def test_real_spoken_digits():
    train, test = (
        data.open_audio("tfds:spoken_digit", split, 8000, progress=False)
        for split in ("train", "test")
    )
    assert (train.num_examples, test.num_examples) == (2250, 250)
    assert train.speaker_names == test.speaker_names
    assert train.num_speakers == 5 and train.num_classes == 10
    for audio, each in ((train, 45), (test, 5)):
        numbers = [(e["speaker"], e["label"]) for e in examples(audio)]
        counts = np.unique(numbers, axis=0, return_counts=True)[1]
        assert counts.tolist() == [each] * 50
    assert test.lengths.max() == 6925


# vctk


@pytest.mark.parametrize("rate", [48000, 16000])
@pytest.mark.parametrize("cache_bytes", [10**7, 100])
def test_vctk_holds_every_twentieth_number_out(shared_dir, rate, cache_bytes):
    parts = {}
    for split in ("train", "test"):
        audio = opened(
            shared_dir,
            "tfds:vctk/mic2",
            split,
            rate,
            cache_bytes=cache_bytes,
        )
        assert isinstance(
            audio, LazyAudio if cache_bytes == 100 else PackedAudio
        )
        assert len(audio.speaker_names) == 110
        assert audio.speaker_names[0] == "p225"
        parts[split] = [
            (
                audio.speaker_names[e["speaker"]],
                round(len(e["waveform"]) * 48000 / rate) - 4800,
            )
            for e in examples(audio)
        ]
        assert all(np.abs(e["waveform"]).max() == 1 for e in examples(audio))
    near = 0 if rate == 48000 else 2
    for split, numbers in (("train", (19, 21)), ("test", (20, 40))):
        expected = [(s, n) for s in ("p226", "p225") for n in numbers]
        assert [s for s, _ in parts[split]] == [s for s, _ in expected]
        for (_, found), (_, number) in zip(parts[split], expected):
            assert abs(found - number) <= near


# Any other set


def test_a_set_with_its_own_splits(shared_dir):
    train = opened(shared_dir, "tfds:commands", rate=16000)
    assert train.speaker_names == ("al", "zoe") and train.class_names is None
    assert [e["speaker"] for e in examples(train)] == [1, 0, 1, 0, 1, 0]
    for split, rows in {"test": 2, "train[2:5]": 3, "all": 8}.items():
        audio = opened(shared_dir, "tfds:commands", split, 16000)
        assert audio.num_examples == rows
    found = examples(opened(shared_dir, "tfds:commands", "train[2:5]", 16000))
    assert [len(e["waveform"]) for e in found] == [602, 603, 604]


def test_channels_without_speakers(shared_dir, caplog):
    audio = opened(shared_dir, "tfds:stereo", normalize=None)
    assert audio.speaker_names == () and audio.num_speakers == 0
    (found,) = examples(audio)
    assert set(found) == {"waveform", "index"}
    expected = 2 * samples(1) / 2**15
    np.testing.assert_allclose(found["waveform"], expected, atol=1e-6)
    messages = [m for m in caplog.messages if "channels" in m]
    assert len(messages) == 1 and "record 0" in messages[0]


def test_odd_recordings(shared_dir, caplog):
    message = (
        "at least one sample.*record 1 of tfds:odd .train., which is empty"
    )
    with pytest.raises(ValueError, match=message):
        opened(shared_dir, "tfds:odd", rate=16000)
    caplog.clear()
    audio = opened(shared_dir, "tfds:odd", rate=16000, on_corrupt="skip")
    assert audio.lengths.tolist() == [601, 602]
    skipped = [m for m in caplog.messages if m.startswith("Skipped")]
    assert len(skipped) == 2 and "record 1" in skipped[0]
    assert "Integer samples of 16 bits" in skipped[1]
    assert "record 3" in skipped[1]


@pytest.mark.parametrize(
    "name, rate, message",
    [
        ("numbers", 8000, "one Audio feature of known sample rate.*numbers"),
        ("rateless", 8000, "one Audio feature of known sample rate.*rateless"),
        ("commands", 32000, "below 32000, twice what.*Received: 32000"),
        ("nothing", 8000, "no data set of this name.*tfds:nothing"),
    ],
)
def test_refuses(shared_dir, name, rate, message):
    with pytest.raises(ValueError, match=message):
        opened(shared_dir, f"tfds:{name}", rate=rate)


def test_unknown_split_and_unprepared_set(shared_dir, tmp_path):
    with pytest.raises(ValueError, match="no examples for this split.*'dev'"):
        opened(shared_dir, "tfds:commands", "dev")
    with pytest.raises(FileNotFoundError, match="not prepared.*vctk"):
        opened(tmp_path, "tfds:vctk/mic2")


def test_damaged_files_are_refused(data_dir):
    (path,) = (data_dir / "commands").glob("1.0.0/commands-train.*-00001-*")
    path.write_bytes(path.read_bytes()[:-50])
    for on_corrupt in ("error", "skip"):
        with pytest.raises(ValueError, match="damaged; prepare.*commands"):
            opened(data_dir, "tfds:commands", rate=16000, on_corrupt=on_corrupt)
