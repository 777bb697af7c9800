"""The clips and actions that `vqvae-tf rollout` is given."""

import numpy as np
import pytest
from PIL import Image

from support import small
from vqvae_tf.commands.inputs import clips as clip_inputs
from vqvae_tf.samples.clips import ACTIONS, sample_clips


@pytest.fixture(scope="module")
def video():
    return small.video(num_actions=9)


def write(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_the_package_s_own_clip(video):
    frames, actions = clip_inputs.read_clip(None, video)
    clips, all_actions = sample_clips()
    assert clips.shape == (4, 16, 84, 84, 3) and clips.dtype == np.uint8
    assert all_actions.shape == (4, 16)
    assert 0 <= all_actions.min() <= all_actions.max() < len(ACTIONS)
    np.testing.assert_array_equal(frames, clips[1])
    np.testing.assert_array_equal(actions, all_actions[1])
    # Each is a film: frames resemble their neighbours more than the others.
    values = clips.astype(np.float32)
    near = np.mean((values[:, 1:] - values[:, :-1]) ** 2)
    far = np.mean((values[:, 8:] - values[:, :-8]) ** 2)
    assert near < far / 2


def test_a_folder_of_pictures_in_the_order_of_names(video, tmp_path):
    pictures = small.pictures(3)
    for name, picture in zip(("b", "c", "a"), pictures):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    frames, actions = clip_inputs.read_clip(str(tmp_path), video)
    np.testing.assert_array_equal(frames, pictures[[2, 0, 1]])
    assert actions is None


@pytest.mark.parametrize(
    "names",
    [
        [f"frame{n}" for n in range(12)],
        [f"{n}" for n in range(1, 13)],
        [f"frame{n:02d}" for n in range(12)],
        ["a1_9", "a1_10", "a2_1", "a02_2", "a10_0"],
        ["take2/9", "take2/10", "take10/1"],
    ],
)
def test_frames_numbered_without_zeros_stay_in_order(video, tmp_path, names):
    pictures = small.pictures(len(names))
    for name, picture in reversed(list(zip(names, pictures))):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
    frames, _ = clip_inputs.read_clip(str(tmp_path), video)
    np.testing.assert_array_equal(frames, pictures)


def test_an_npz_file(video, tmp_path):
    frames = small.pictures(4)
    path = write(tmp_path / "a.npz", frames=frames, actions=[1, 2, 3, 4])
    found, actions = clip_inputs.read_clip(path, video)
    np.testing.assert_array_equal(found, frames)
    assert actions.tolist() == [1, 2, 3, 4]
    path = write(tmp_path / "b.npz", frames=frames)
    assert clip_inputs.read_clip(path, video)[1] is None


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"images": small.pictures(3)}, "array `frames`.*Received: images"),
        ({"frames": small.pictures(3) / 255}, "uint8 .*Received: float64"),
        ({"frames": small.pictures(1)}, "needs 2 frames.* with 1"),
        (
            {"frames": small.pictures(3), "actions": [1]},
            r"one entry a frame.*Received: actions of shape \(1,\) for 3",
        ),
        (
            {"frames": small.pictures(3), "actions": 1},
            r"one entry a frame.*Received: actions of shape \(\) for 3",
        ),
    ],
)
def test_bad_arrays(video, tmp_path, arrays, message):
    path = write(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        clip_inputs.read_clip(path, video)


def test_no_such_clip(video, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        clip_inputs.read_clip(str(tmp_path / "a.npz"), video)
    for name in ("a.txt", "a.npz"):
        (tmp_path / name).write_text("a")
        with pytest.raises(ValueError, match=f"Expected a folder.*{name}"):
            clip_inputs.read_clip(str(tmp_path / name), video)


@pytest.mark.parametrize(
    "chosen, num_frames, known, expected",
    [
        (["4", "5"], None, None, ([4, 5], 2)),
        (["4", "5"], 1, [1, 2, 3], ([4], 1)),
        # The action at the last given frame (of two) is the first.
        (None, None, [1, 2, 3, 4], ([2, 3], 2)),
        (None, 1, [1, 2, 3, 4], ([2], 1)),
        (["none"], 7, [1, 2, 3, 4], (None, 7)),
        (["none"], None, None, (None, 10)),
        (None, None, None, (None, 10)),
        (None, None, [1, 2], (None, 10)),
    ],
)
def test_future_actions(video, chosen, num_frames, known, expected):
    known = None if known is None else np.array(known)
    actions, steps = clip_inputs.future_actions(
        video, chosen, num_frames, known
    )
    assert steps == expected[1]
    assert (actions if actions is None else actions.tolist()) == expected[0]


def test_bad_actions(video):
    with pytest.raises(ValueError, match="integers.*Received: --actions=a,1"):
        clip_inputs.future_actions(video, ["a", "1"], None, None)
    with pytest.raises(ValueError, match="each of 3 frames. Received: 2"):
        clip_inputs.future_actions(video, ["1", "1"], 3, None)
    with pytest.raises(ValueError, match="each of 7 frames. Received: 2"):
        clip_inputs.future_actions(video, None, 7, np.arange(4))


def test_vectors_as_actions():
    video = small.video(num_actions=None, action_size=2)
    known = np.arange(8, dtype=np.float32).reshape(4, 2)
    actions, steps = clip_inputs.future_actions(video, None, None, known)
    assert steps == 2
    np.testing.assert_array_equal(actions, known[1:3])


def test_film():
    frames = small.pictures(4)
    futures = small.pictures(12)[4:10].reshape(2, 3, 16, 16, 3)
    film = clip_inputs.film(frames, futures, num_past=2)
    assert len(film) == 5
    # 2 pixels of white around each of three pictures in a row.
    cells = [film[:, 2:18, x : x + 16] for x in (2, 20, 38)]
    np.testing.assert_array_equal(cells[0], frames[[0, 1, 2, 3, 3]])
    for cell, future in zip(cells[1:], futures):
        np.testing.assert_array_equal(cell[:2], frames[:2])
        np.testing.assert_array_equal(cell[2:], future)
