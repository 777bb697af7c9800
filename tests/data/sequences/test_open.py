"""Sequences by name: forms, splits, lengths, options."""

import numpy as np
import pytest

from support.data_helpers import noise
from support.tfds_sets import write_clips
from vqvae_tf import data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder of grey pictures, and of episodes of 16 steps."""
    path = tmp_path_factory.mktemp("sequences")
    arrays = {}
    for seed, split in enumerate(("train", "test")):
        arrays[f"x_{split}"] = noise(9, 6, 5, seed=seed)
        arrays[f"y_{split}"] = np.arange(9)
    np.savez(path / "digits.npz", **arrays)
    write_clips(path, "clips", 8)
    return str(path)


def opened(form, source, split, folder, **more):
    return data.open_sequences(
        form, source, split, folder, progress=False, **more
    )


def test_moving_pictures(folder):
    source = opened("moving", "npz:digits.npz", "test", folder)
    assert isinstance(source, data.MovingPictures)
    assert (source.num_examples, source.length) == (9, 20)
    assert source.shape == (6, 5, 1) and source.binary
    frames, _, known = data.evaluation_sequences(source, 4, 1)
    assert known["label"].tolist() == [4]
    picture = np.roll(noise(9, 6, 5, seed=1)[4], known["start"][0], axis=1)
    expected = np.where(picture > 127, 255, 0)
    np.testing.assert_array_equal(frames[0, 0, ..., 0], expected)
    more = dict(length=4, binary=False, channels=3)
    source = opened("moving", "npz:digits.npz", "train", folder, **more)
    assert (source.length, source.shape) == (4, (6, 5, 3))
    assert len(np.unique(data.evaluation_sequences(source)[0])) > 2


def test_oscillators():
    source = data.open_sequences("oscillator", None, "train")
    assert isinstance(source, data.Oscillators) and source.length == 200
    options = dict(
        num_examples=30,
        frequencies=(0.1, 0.2),
        amplitudes=(1, 2),
        noise=0.5,
    )
    source = data.open_sequences(
        "oscillator", "ignored", "test", length=50, **options
    )
    assert (source.length, source.num_examples) == (50, 30)
    assert source.frequencies == (0.1, 0.2) and source.noise == 0.5


def test_switching_oscillators():
    source = data.open_sequences("switching_oscillator", None, "train")
    assert isinstance(source, data.SwitchingOscillators)
    assert source.length == 140
    bounds = (0, 5, 10, 20, 30)
    for length in (None, 30):
        source = data.open_sequences(
            "switching_oscillator",
            None,
            "test",
            length=length,
            bounds=bounds,
            last_frequencies=(0.1, 0.2),
        )
        assert source.length == 30 and source.last_frequencies == (0.1, 0.2)
    with pytest.raises(ValueError, match="30: omit it.*Received: length=31"):
        data.open_sequences(
            "switching_oscillator", None, "test", length=31, bounds=bounds
        )


def test_episodes(folder):
    source = opened("episodes", "tfds:clips", "train", folder, length=10)
    assert isinstance(source, data.EpisodeSequences)
    assert source.num_examples == 3 * 7 and source.shape == (8, 8, 3)
    values = data.open_episodes(
        "tfds:clips", "train", folder, progress=False
    ).values
    frames, mask, known = data.evaluation_sequences(source, 7, 1)
    np.testing.assert_array_equal(frames[0], values[16:26])
    assert mask is None and known == {}
    source = opened("episodes", "tfds:clips", "test", folder, channels=1)
    assert source.num_examples == 2 and source.shape == (8, 8, 1)
    _, mask, _ = data.evaluation_sequences(source)
    assert mask.sum(axis=1).tolist() == [16, 16]  # of 20


def test_splits_draw_other_noise(folder):
    for form in ("moving", "oscillator", "switching_oscillator"):
        train, test = (
            opened(form, "npz:digits.npz", split, folder)
            for split in ("train", "test")
        )
        again = opened(form, "npz:digits.npz", "test", folder)
        index = np.arange(5)
        drawn = [s.evaluation_noise(index).numpy() for s in (train, test)]
        assert (drawn[0] != drawn[1]).all()
        assert (again.evaluation_noise(index) == drawn[1]).numpy().all()


@pytest.mark.parametrize(
    "form, source, split, more, message",
    [
        ("film", None, "train", {}, "form must be one of moving, .*'film'"),
        ("oscillator", None, "dev", {}, "split must be one of train, .*'dev'"),
        (
            "oscillator",
            None,
            "test",
            {"binary": True, "bounds": 3},
            "'oscillator' take num_examples, .*Received: binary, bounds",
        ),
        ("episodes", "tfds:x", "test", {"noise": 1}, "no further options"),
        ("oscillator", None, "test", {"length": 1}, "length must be"),
        ("moving", "mnist", "test", {}, 'source must be "tfds:NAME"'),
        ("moving", None, "test", {}, "source must be a string"),
        ("episodes", "folder", "test", {}, "prepared data set in RLDS"),
    ],
)
def test_what_cannot_be_opened(form, source, split, more, message):
    with pytest.raises(ValueError, match=message):
        data.open_sequences(form, source, split, progress=False, **more)
