"""Figures of video: from the definitions, and on made-up movement."""

import types

import keras
import numpy as np
import pytest

from support import small, video as videos
from vqvae_tf import data
from vqvae_tf.evaluation import video as video_evaluation

STEPS = 3


@pytest.fixture(scope="module")
def video():
    keras.utils.set_random_seed(1)
    return small.video()


@pytest.fixture(scope="module")
def frames():
    """Episodes of 16 and of 8 pictures."""
    values = np.concatenate([small.pictures(12), small.pictures(12)[::-1]])
    actions = np.random.default_rng(0).integers(0, 5, 24)
    return data.Episodes("frames", values, actions, [16, 8])


@pytest.fixture(scope="module")
def coded(video, frames):
    codes = video.encode(frames.values[None])[0].numpy()
    return frames.with_values(codes.astype(np.uint8))


# The next frame ---------------------------------------------------------------


def direct_bits(video, coded, actions):
    """Clip by clip; frames 2..15 and 18..23 have two before them."""
    bits = []
    for t in [*range(2, 16), *range(18, 24)]:
        context = {"past": coded.values[None, t - 2 : t].astype(np.int32)}
        if actions is not None:
            context["action"] = actions[t - 1 : t]
        codes = coded.values[t : t + 1]
        bits.append(-video.prior.log_prob(codes, context).numpy()[0])
    return np.array(bits, np.float64) / np.log(2)


def test_next_frame_bits(video, coded):
    expected = {
        None: direct_bits(video, coded, coded.actions),
        "unknown": direct_bits(video, coded, None),
        3: direct_bits(video, coded, np.full([24], 3)),
    }
    for action, bits in expected.items():
        # 20 clips in batches of 8: the last one is padded.
        received = video_evaluation.next_frame_bits(
            video, coded, action, batch_size=8, progress=False
        )
        assert received.dtype == np.float64
        np.testing.assert_allclose(received, bits, rtol=1e-5)
        assert np.all(received > 0)
    assert np.any(abs(expected[None] - expected["unknown"]) > 0.01)
    # Where the true action is 3, it is the same to be told so.
    true = video_evaluation.true_actions(coded, video.num_past)
    same = np.isclose(expected[3], expected[None], rtol=1e-6)
    np.testing.assert_array_equal(same, true == 3)


def test_true_actions(coded):
    received = video_evaluation.true_actions(coded, 2)
    expected = [coded.actions[t - 1] for t in [*range(2, 16), *range(18, 24)]]
    np.testing.assert_array_equal(received, expected)


# Movement ---------------------------------------------------------------------


def blocks(height, width, size=4, seed=0):
    """A picture of blocks of random colours, uint8."""
    rng = np.random.default_rng(seed)
    shape = [height // size, width // size, 3]
    colours = rng.integers(0, 256, shape, dtype=np.uint8)
    return colours.repeat(size, axis=0).repeat(size, axis=1)


def pan(steps, speed=2, size=56, seed=0):
    """Frames in which the picture moves to the left, `speed` pixels a step."""
    wide = blocks(size, size + 4 * steps * speed, seed=seed)
    return np.stack([wide[:, t * speed :][:, :size] for t in range(steps)])


@pytest.mark.parametrize("noise", [0, 30])
def test_best_shift(noise):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=[20, 72]) * 60
    before = wide[:, 16:56]
    for shift in range(-12, 13):
        after = wide[:, 16 - shift : 56 - shift]
        after = after + noise * rng.normal(size=after.shape)
        received, score = video_evaluation.best_shift(before, after, 12)
        assert received == shift
        # Noise of half the deviation: 1 / sqrt(1 + 0.25).
        assert score == pytest.approx(0.894 if noise else 1, abs=0.03)


def test_best_shift_goes_to_half_the_width():
    wide = np.random.default_rng(0).normal(size=[8, 60])
    for shift in (-10, -1, 0, 10):
        after = wide[:, 20 - shift : 40 - shift]
        found = video_evaluation.best_shift(wide[:, 20:40], after)
        assert found == (shift, pytest.approx(1))
    flat = np.ones([8, 20])
    assert video_evaluation.best_shift(flat, flat) == (0, 0.0)


def test_jumps():
    cut = np.concatenate([pan(4), pan(3, seed=1)])
    expected = np.arange(7) == 4
    np.testing.assert_array_equal(video_evaluation.is_jump(cut), expected)
    # A quick turn changes most colours, but what is seen has only moved.
    for speed in (1, 2, 12):
        assert not np.any(video_evaluation.is_jump(pan(5, speed)))
    # A wall at close range: nothing correlates, and the colours are alike.
    noise = np.random.default_rng(0).normal(size=[4, 56, 56, 3])
    wall = (128 + 20 * noise).astype(np.uint8)
    assert not np.any(video_evaluation.is_jump(wall))


def test_moving_clips():
    still = np.repeat(pan(1, seed=2), 12, axis=0)
    cut = np.concatenate([pan(7), pan(7, seed=1)])
    values = np.concatenate([still, pan(10, seed=3), cut])
    lengths, jump = [12, 10, 14], 12 + 10 + 7
    episodes = data.Episodes("made up", values, None, lengths)
    received = video_evaluation.moving_clips(episodes, 2, STEPS, spacing=1)
    starts = [*range(8), *range(12, 18), *range(22, 32)]
    np.testing.assert_array_equal(episodes.clip_starts(5), starts)
    change = {
        s: np.mean((values[s + 1].astype(float) - values[s + 4]) ** 2)
        for s in starts
    }
    median = np.median(list(change.values()))
    over = {s for s in starts if s < jump <= s + 4}
    assert over == {25, 26, 27, 28}
    assert {s for s in over if change[s] > median}  # would be taken
    expected = [s for s in starts if change[s] > median and s not in over]
    np.testing.assert_array_equal(received, expected)
    assert received.dtype == np.int64
    # A clip that starts with the jump, or with an episode, has none inside.
    assert not set(received) & set(range(8))
    assert len(set(received) & set(range(12, 18))) > 2
    every = video_evaluation.moving_clips(episodes, 2, STEPS, spacing=2)
    assert set(every) <= set(starts[::2]) and len(every)


def test_clips_of_which_none_moves():
    still = np.repeat(pan(1, seed=2), 12, axis=0)
    episodes = data.Episodes("still", still, None, [12])
    received = video_evaluation.moving_clips(episodes, 2, STEPS, spacing=1)
    np.testing.assert_array_equal(received, episodes.clip_starts(2 + STEPS))
    cuts = np.concatenate([pan(1, seed=seed) for seed in range(5)])
    episodes = data.Episodes("cuts", cuts, None, [5])
    received = video_evaluation.moving_clips(episodes, 2, STEPS, spacing=1)
    np.testing.assert_array_equal(received, [0])


# Rollouts ---------------------------------------------------------------------


def test_rollouts(video, frames, coded):
    starts = frames.clip_starts(2 + STEPS)
    assert len(starts) == 16  # one batch
    starts = np.concatenate([starts, starts[::5]])  # and another
    found = video_evaluation.rollouts(
        video, frames, coded, starts, STEPS, progress=False
    )
    errors, rights = [], []
    for s in starts:
        truth = frames.values[s + 2 : s + 5].astype(float)
        errors.append(np.mean((truth - frames.values[s + 1]) ** 2, (1, 2, 3)))
        right = coded.values[s + 2 : s + 5] == coded.values[s + 1]
        rights.append(np.mean(right, (1, 2)))
    psnr = 10 * np.log10(255**2 / np.mean(errors, axis=0))
    np.testing.assert_allclose(found["psnr_repeat"], psnr, rtol=1e-5)
    np.testing.assert_allclose(
        found["accuracy_repeat"], np.mean(rights, axis=0), rtol=1e-6
    )

    past = np.stack([coded.values[s : s + 2] for s in starts])
    actions = np.stack([coded.actions[s + 1 : s + 4] for s in starts])
    greedy = video.rollout_codes(past, actions, temperature=0)
    truth = np.stack([coded.values[s + 2 : s + 5] for s in starts])
    right = np.mean(greedy.numpy() == truth, axis=(0, 2, 3))
    np.testing.assert_allclose(found["accuracy_greedy"], right, rtol=1e-6)
    pixels = np.stack([frames.values[s + 2 : s + 5] for s in starts])
    error = video.decode(greedy).numpy().astype(float) - pixels
    psnr = 10 * np.log10(255**2 / np.mean(error**2, axis=(0, 2, 3, 4)))
    np.testing.assert_allclose(found["psnr_greedy"], psnr, rtol=1e-3)

    # Of 8 samples each: the seeds are the first clips' of the batches.
    error, right = np.zeros([20, STEPS]), np.zeros([20, STEPS])
    for i in (0, 16):
        part = slice(i, i + 16)
        drawn = video.rollout_codes(
            past[part], actions[part], num_futures=8, seed=i
        )
        pictures = video.decode(drawn).numpy().astype(float)
        for j in range(len(past[part])):
            own = slice(8 * j, 8 * j + 8)
            mean = pictures[own].mean(axis=0) - pixels[i + j]
            error[i + j] = np.mean(mean**2, axis=(1, 2, 3))
            same = drawn[own].numpy() == truth[i + j]
            right[i + j] = np.mean(same, axis=(0, 2, 3))
    psnr = 10 * np.log10(255**2 / error.mean(axis=0))
    np.testing.assert_allclose(found["psnr_mean"], psnr, rtol=1e-5)
    np.testing.assert_allclose(
        found["accuracy_samples"], right.mean(axis=0), rtol=1e-6
    )
    assert all(value.shape == (STEPS,) for value in found.values())
    assert len(found) == 6


def test_rollouts_of_several_codebooks(frames):
    """The share of correct codes is that of all codebooks."""
    video = videos.model("residual")
    codes = video.encode(frames.values[None])[0].numpy()
    coded = frames.with_values(codes.astype(np.uint8))
    bits = video_evaluation.next_frame_bits(video, coded, progress=False)
    np.testing.assert_allclose(
        bits, direct_bits(video, coded, coded.actions), rtol=1e-5
    )
    starts = frames.clip_starts(2 + STEPS)[:3]
    found = video_evaluation.rollouts(
        video, frames, coded, starts, STEPS, progress=False
    )
    assert all(value.shape == (STEPS,) for value in found.values())
    past = np.stack([codes[s : s + 2] for s in starts])
    actions = np.stack([coded.actions[s + 1 : s + 4] for s in starts])
    truth = np.stack([codes[s + 2 : s + 5] for s in starts])
    greedy = video.rollout_codes(past, actions, temperature=0).numpy()
    np.testing.assert_allclose(
        found["accuracy_greedy"], np.mean(greedy == truth, (0, 2, 3, 4))
    )
    np.testing.assert_allclose(
        found["accuracy_repeat"],
        np.mean(past[:, 1:] == truth, axis=(0, 2, 3, 4)),
    )
    drawn = video.rollout_codes(past, actions, num_futures=8, seed=0).numpy()
    right = drawn == truth.repeat(8, axis=0)
    np.testing.assert_allclose(
        found["accuracy_samples"], np.mean(right, axis=(0, 2, 3, 4))
    )


class Panning:
    """A video whose codes are offsets into a wide picture.

    Args:
        speeds: by how much an action moves the window, for each start.
    """

    def __init__(self, speeds):
        self.speeds = speeds
        self.wide = blocks(24, 240)

    def decode(self, codes):
        offsets = np.asarray(codes)[..., 0, 0]
        clips = [[self.wide[:, o:][:, :48] for o in row] for row in offsets]
        return types.SimpleNamespace(numpy=lambda: np.array(clips))

    def rollout_codes(self, codes, actions, seed):
        speed = np.array([self.speeds[action] for action in actions[:, 0]])
        times = np.arange(1, actions.shape[1] + 1)
        return codes[:, -1:] + (times * speed[:, None])[..., None, None]


# The picture goes to the right where the window goes to the left.
LEFT, RIGHT = 0, 1


@pytest.mark.parametrize(
    "speeds, expected",
    [
        ({LEFT: -3, RIGHT: 3}, 1.0),
        ({LEFT: 3, RIGHT: -3}, 0.0),
        ({LEFT: -3, RIGHT: -3}, 0.0),
        ({LEFT: -3, RIGHT: 0}, 0.0),
    ],
)
def test_opposite_turns(speeds, expected):
    # More than the 32 of a batch.
    past = np.arange(60, 128, 2).reshape(34, 1, 1, 1).repeat(2, axis=1)
    received = video_evaluation.opposite_turns(
        Panning(speeds), past, LEFT, RIGHT
    )
    assert received == expected


def test_turning_starts():
    """Clips of three frames, in one of which action 4 moves the picture."""
    moving, still = pan(6, seed=1), np.repeat(pan(1, seed=2), 6, axis=0)
    frames = np.concatenate([moving, still])
    actions = np.array([0, 4, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4])
    episodes = data.Episodes("two", frames, actions, [6, 6])
    received = video_evaluation.turning_starts(episodes, 3, [4, 5])
    # 4 at step 1 moved it; at step 5 it is an episode's last, and no turn.
    np.testing.assert_array_equal(received, [0, 1])
    assert not len(video_evaluation.turning_starts(episodes, 3, [5]))
    far = video_evaluation.turning_starts(episodes, 3, [4], least=30)
    assert not len(far)


def test_opposite_turns_of_a_model(video, coded):
    # Both actions look one way, so that no start can turn both ways.
    share = video_evaluation.opposite_turns(
        video, coded.values[None, :2].repeat(3, axis=0), 1, 1, steps=2
    )
    assert share == 0
