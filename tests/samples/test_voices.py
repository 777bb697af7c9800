"""The recordings that the package carries."""

import os

import numpy as np
import pytest

from vqvae_tf import data
from vqvae_tf.samples.voices import sample_voices, voice_files

SPEAKERS = ["george", "jackson", "nicolas", "theo", "yweweler"]


def test_ten_digits_of_five_speakers():
    voices = sample_voices()
    assert [voice.digit for voice in voices] == list(range(10))
    assert [voice.speaker for voice in voices] == SPEAKERS * 2
    for voice in voices:
        assert voice.waveform.dtype == np.float32
        assert voice.sample_rate == 8000
        assert 0.2 < len(voice.waveform) / voice.sample_rate < 1
        assert 0.02 < np.abs(voice.waveform).max() < 0.8
        # Speech is louder in some tenths of its time than in others.
        parts = np.array_split(voice.waveform, 10)
        levels = [np.square(part).mean() for part in parts]
        assert max(levels) > 10 * min(levels)


def test_they_are_small_and_held_out():
    files = voice_files()
    assert sum(file.stat().st_size for file in files) < 150_000
    assert all(int(file.stem.split("_")[2]) < 5 for file in files)


def test_the_licence_is_stated():
    text = (voice_files()[0].parent / "LICENCES.md").read_text()
    assert "CC BY-SA 4.0" in text and "Jakobovski" in text


@pytest.mark.skipif(
    not os.path.isdir(
        os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "spoken_digit")
    ),
    reason="needs spoken_digit prepared in TFDS_DATA_DIR",
)
def test_they_are_test_recordings_of_the_data_set():
    audio = data.open_audio(
        "tfds:spoken_digit", "test", 8000, normalize=None, progress=False
    )
    examples = list(audio.dataset().as_numpy_iterator())
    for voice in sample_voices():
        assert any(
            np.array_equal(example["waveform"], voice.waveform)
            and audio.speaker_names[example["speaker"]] == voice.speaker
            and audio.class_names[example["label"]] == str(voice.digit)
            for example in examples
        )
