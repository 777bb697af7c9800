"""`vqvae-tf rollout` of sequences, and what other commands do with them."""

import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from support import sequences, small
from support.command_line import refused, refused_in_a_line, run
from vqvae_tf import presets
from vqvae_tf.commands import sequences as commands
from vqvae_tf.commands.inputs.sequences import is_sequences, read_sequence
from vqvae_tf.data import load_picture
from vqvae_tf.models import TDVAE, NextFrameModel
from vqvae_tf.samples.clips import sample_clips


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with presets of untrained models, and files of sequences."""
    folder = tmp_path_factory.mktemp("sequences")
    digits = sequences.small(TDVAE, 1.5, latent_sizes=(2, 3), gaps=[(1, 3)])
    digits.save_to_preset(folder / "digits")
    sequences.numbers().save_to_preset(folder / "numbers")
    sequences.numbers(NextFrameModel, 2).save_to_preset(folder / "pairs")
    sequences.of_codes().save_to_preset(folder / "codes")
    sequences.coded().save_to_preset(folder / "coded")
    np.savez(folder / "digits.npz", frames=sequences.frames(1)[0])
    np.savez(folder / "photos.npz", frames=small.pictures(3))
    waves = np.random.default_rng(0).normal(size=[9, 2])
    np.savez(folder / "waves.npz", frames=waves[:, :1])
    np.savez(folder / "pairs.npz", frames=waves)
    np.savez(folder / "codes.npz", frames=np.arange(48).reshape(3, 4, 4) % 8)
    photos = folder / "photos"
    photos.mkdir()
    # In the order of the numbers, 2 precedes 10.
    for name, picture in zip((1, 10, 2), small.pictures(3, 20)):
        Image.fromarray(picture).save(photos / f"{name}.png")
    return folder


def rolled(*words, output):
    """Runs a rollout to an npz file, and returns its arrays."""
    assert run("rollout", *words, f"--output={output}") == 0
    with np.load(output) as arrays:
        return dict(arrays)


def frames_in(path):
    with np.load(path) as arrays:
        return arrays["frames"][np.newaxis]


# What is drawn ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name, clip, given",
    [
        ("digits", "digits.npz", ["--times=1,4,5"]),
        ("coded", "photos.npz", ["--times=2,3", "--temperature=0.5"]),
        ("codes", "codes.npz", ["--times=1"]),
        ("pairs", "pairs.npz", ["--times=2,7"]),
    ],
)
def test_futures_are_those_of_the_model(made, tmp_path, name, clip, given):
    found = rolled(
        made / name,
        made / clip,
        *("--num_futures=2", "--seed=3", *given),
        output=tmp_path / "a.npz",
    )
    times = [int(word) for word in given[0].partition("=")[2].split(",")]
    expected = presets.load(made / name).rollout(
        frames_in(made / clip),
        times=times,
        num_futures=2,
        seed=3,
        temperature=0.5 if len(given) > 1 else 1.0,
    )
    assert found["times"].tolist() == times
    assert found["frames"].dtype == expected.dtype
    assert found["frames"].shape[:2] == (2, len(times))
    np.testing.assert_array_equal(found["frames"], expected)


def test_a_coded_model_is_saved_as_a_whole(made):
    """Its preset has the weights of both parts."""
    loaded, model = presets.load(made / "coded"), sequences.coded()
    frames = frames_in(made / "photos.npz")
    assert type(loaded) is type(model)
    np.testing.assert_allclose(
        loaded.belief(frames), model.belief(frames), atol=1e-3
    )
    assert np.ptp(model.belief(frames)) > 0.1


def test_ten_frames_by_default(made, tmp_path):
    words = [made / "digits", made / "digits.npz"]
    found = rolled(*words, output=tmp_path / "a.npz")
    assert found["times"].tolist() == list(range(1, 11))
    found = rolled(*words, "--num_frames=3", output=tmp_path / "a.npz")
    assert found["frames"].shape == (1, 3, 4, 4, 1)


def test_film(made, tmp_path, capsys):
    output = tmp_path / "a.gif"
    words = [made / "digits", made / "digits.npz", "--times=1,4"]
    words += ["--num_futures=3", f"--output={output}"]
    assert run("rollout", *words) == 0
    assert "3 futures of 2 frames" in capsys.readouterr().out
    with Image.open(output) as film:
        assert film.n_frames == sequences.TIME + 2
        # Three columns of 4 pixels and gaps of 2, 21 times as large.
        assert film.size == (21 * (3 * 6 + 2), 21 * (6 + 2))


def test_a_film_shows_the_past_then_each_future():
    past = np.full([2, 42, 42, 1], 9, np.uint8)
    futures = np.arange(20, dtype=np.uint8).reshape(10, 2, 1, 1, 1)
    film = commands.film(past, futures + np.zeros([42, 42, 1], np.uint8))
    assert film.shape == (4, 2 * (2 * 44 + 2), 2 * (8 * 44 + 2), 1)
    # The pixels in the middle of each of eight columns, in two rows.
    shown = film[:, 46::88, 46::88, 0].reshape(4, -1)
    assert shown[:2, :10].tolist() == [[9] * 10] * 2
    assert shown[2, :10].tolist() == list(range(0, 20, 2))
    assert shown[3, :10].tolist() == list(range(1, 20, 2))


def test_curves(made, tmp_path):
    output = tmp_path / "a.png"
    words = [made / "pairs", made / "pairs.npz", "--times=1,2,3,8"]
    assert run("rollout", *words, f"--output={output}") == 0
    with Image.open(output) as picture:
        # A curve for each channel, of 9 times and 8 more.
        assert picture.size == (4 * 17 + 4, 2 * 98 + 2)


def test_curves_are_drawn_where_their_times_are():
    past = np.zeros([10, 1], np.float32)
    futures = np.ones([1, 4, 1], np.float32)
    shown = commands.picture(past, futures, [3, 4, 5, 9])[..., 0]
    # Without the margin, in the upper half.
    dark = (shown[4:40, 2:] < 200).any(axis=0)
    # The last time given is 9. A line from 12 to 14, and a dot at 18.
    assert np.unique(np.flatnonzero(dark) // 4).tolist() == [12, 13, 14, 18]


def test_a_folder_in_the_order_of_its_numbers(made):
    model = presets.load(made / "coded")
    frames = read_sequence(made / "photos", model)
    for number, frame in zip((1, 2, 10), frames, strict=True):
        expected = load_picture(made / "photos" / f"{number}.png", 16)
        np.testing.assert_array_equal(frame, expected)


# Sequences of the package -----------------------------------------------------


def stand_in(dtype, *shape):
    return types.SimpleNamespace(frame_dtype=dtype, event_shape=shape)


def test_the_package_has_a_moving_digit():
    frames = read_sequence(None, stand_in(tf.uint8, 28, 28, 1))
    assert frames.shape[1:] == (28, 28, 1) and len(frames) > 4
    assert np.unique(frames).tolist() == [0, 255]
    steps = [
        [np.array_equal(np.roll(a, by, axis=1), b) for by in (-1, 1)]
        for a, b in zip(frames, frames[1:])
    ]
    assert np.all(steps, axis=0).any()


def test_the_package_has_an_oscillator(made, tmp_path):
    frames = read_sequence(None, stand_in(tf.float32, 1))
    assert frames.dtype == np.float32 and frames.shape == (60, 1)
    found = rolled(made / "numbers", "--times=3", output=tmp_path / "a.npz")
    expected = presets.load(made / "numbers").rollout(
        frames[np.newaxis], times=[3], seed=0
    )
    np.testing.assert_array_equal(found["frames"], expected)


def test_the_package_has_a_clip_of_frames():
    frames = read_sequence(None, stand_in(tf.uint8, 84, 84, 3))
    np.testing.assert_array_equal(frames, sample_clips()[0][1])


# Refusals ---------------------------------------------------------------------

REFUSED = [
    ("digits photos.npz", "uint8 [time, 4, 4, 1]", "(3, 16, 16, 1)"),
    ("digits waves.npz", "uint8 [time, 4, 4, 1]", "float64 of shape (9, 1)"),
    ("coded codes.npz", "uint8 [time, 16, 16, 3]", "int64 of shape"),
    ("codes pairs.npz", "int32 [time, 4, 4]", "float64 of shape (9, 2)"),
    ("numbers pairs.npz", "float32 [time, 1]", "(9, 2)"),
    ("numbers photos", "an npz file", "the folder"),
    ("numbers none.npz", "no file", "none.npz"),
    ("codes", "(28, 28, 1)", "int32 frames of shape (4, 4)"),
    ("digits digits.npz --times=3,1", "increase, from 1 on", "[3, -2]"),
    ("digits digits.npz --times=1,5", "jump by 1 to 3", "[1, 4]"),
    ("digits digits.npz --times=1 --num_frames=2", "--times", "=2"),
    ("digits digits.npz --output=a.png", ".gif", "a.png"),
    ("numbers waves.npz --output=a.gif", ".png", "a.gif"),
    ("codes codes.npz --output=a.gif", ".npz", "a.gif"),
    ("digits digits.npz --actions=1,2", "not for presets of", "--actions"),
    ("digits digits.npz --top_k=3", "not for presets of", "--top_k"),
    ("digits digits.npz --top_p=0.5", "not for presets of", "--top_p"),
]


@pytest.mark.parametrize("words, expected, received", REFUSED)
def test_rollout_refuses(
    made, tmp_path, monkeypatch, capsys, words, expected, received
):
    monkeypatch.chdir(made)
    words = words.split()
    if not any(word.startswith("--output") for word in words):
        words.append(f"--output={tmp_path / 'a.npz'}")
    error = refused_in_a_line(capsys, "rollout", *words)
    assert expected in error and received in error.partition(expected)[2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("times", ["0", "1,x", "1,,2", "10001", "-1"])
def test_times_are_checked_first(capsys, times):
    error = refused(capsys, "rollout", "none", f"--times={times}")
    assert "they must be integers in 1..10000, such as 1,5,40" in error


def test_frames_that_are_no_numbers_are_refused(made, tmp_path, capsys):
    path = tmp_path / "nan.npz"
    np.savez(path, frames=np.full([3, 1], np.nan))
    words = ["rollout", made / "numbers", path, f"--output={tmp_path}/a.npz"]
    assert "frames must be finite" in refused_in_a_line(capsys, *words)
    np.savez(path, frames=np.zeros([0, 1]))
    assert "shape (0, 1)" in refused_in_a_line(capsys, *words)


def test_times_are_not_for_video(film, capsys):
    words = ["rollout", film, film / "clip.npz", "--times=1,2"]
    error = refused_in_a_line(capsys, *words)
    assert "--times is for presets of sequences" in error


# Other commands ---------------------------------------------------------------


def test_which_presets_are_of_sequences(made, film, zoo):
    found = [is_sequences(made / n) for n in ("digits", "pairs", "coded")]
    assert all(found)
    assert not is_sequences(film) and not is_sequences(zoo)


def test_export(made, tmp_path):
    assert run("export", made / "numbers", tmp_path / "m") == 0
    loaded = tf.saved_model.load(tmp_path / "m" / "1")
    assert sorted(loaded.signatures) == ["belief", "rollout", "serving_default"]


def test_pictures_of_a_coded_model(made, tmp_path):
    codes = tmp_path / "codes.npz"
    assert run("encode", made / "coded", made / "photos", codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 4, 4)
    assert run("decode", made / "coded", codes, tmp_path / "again") == 0
    assert len(list((tmp_path / "again").glob("*.png"))) == 3


@pytest.mark.parametrize("target", ["codes.npz", "codes"])
def test_frames_without_codes_are_not_encoded(made, tmp_path, capsys, target):
    error = refused_in_a_line(
        capsys, "encode", made / "digits", made / "photos", tmp_path / target
    )
    assert "Expected the preset of an autoencoder of pictures" in error
    assert "Received: a TDVAE" in error
    assert not (tmp_path / target).exists()
