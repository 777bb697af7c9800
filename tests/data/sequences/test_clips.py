"""Clips of episodes: which there are, padding and masks."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings, strategies as st

from vqvae_tf.data import Episodes, EpisodeSequences


def coded(lengths):
    """Returns episodes whose values are 1000 * episode + step."""
    values = np.concatenate(
        [1000 * number + np.arange(n) for number, n in enumerate(lengths)]
    )
    return Episodes("coded", values.astype(np.int32), None, lengths)


def expected_clips(lengths, length):
    """Returns the clips and masks, as lists."""
    clips, masks = [], []
    for number, n in enumerate(lengths):
        values = [1000 * number + step for step in range(n)]
        missing = max(length - n, 0)
        if n > 1:
            padded = values + values[-1:] * missing
            starts = range(len(padded) - length + 1)
            clips += [padded[start : start + length] for start in starts]
            mask = [1.0] * (length - missing) + [0.0] * missing
            masks += [mask for _ in starts]
    return clips, masks


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    length=st.integers(2, 9),
)
def test_every_clip_is_an_example(lengths, length):
    assume(max(lengths) > 1)
    clips, masks = expected_clips(lengths, length)
    source = EpisodeSequences(coded(lengths), length)
    assert source.num_examples == len(clips)
    assert (source.noise_size, source.shape) == (0, ())
    frames, mask = source.get(np.arange(len(clips)), None)
    assert frames.numpy().tolist() == clips
    if mask is None:
        assert np.all(masks)
    else:
        assert mask.numpy().tolist() == masks and not np.all(masks)
        assert mask.dtype == tf.float32


def test_there_is_no_mask_if_only_single_steps_are_left_out():
    source = EpisodeSequences(coded([1, 5, 1]), 3)
    frames, mask = source.get([0, 2], None)
    assert frames.numpy().tolist() == [[1000, 1001, 1002], [1002, 1003, 1004]]
    assert mask is None and source.known([0], None) == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32])
def test_frames_and_codes_keep_their_type(dtype):
    values = np.arange(7 * 6).reshape([7, 3, 2]).astype(dtype)
    episodes = Episodes("codes", values, None, [4, 3])
    source = EpisodeSequences(episodes, 2)
    assert source.episodes is episodes
    assert (source.shape, source.name) == ((3, 2), "codes")
    frames, _ = source.get([1, 4], None)
    assert frames.dtype == dtype
    np.testing.assert_array_equal(frames, values[[[1, 2], [5, 6]]])


def test_nothing_is_left():
    with pytest.raises(ValueError, match="two steps.*coded with 3 episodes of"):
        EpisodeSequences(coded([1, 1, 1]), 4)


@pytest.mark.parametrize("length", [1, 0, 2.0, None])
def test_bad_lengths(length):
    with pytest.raises(ValueError, match=f"at least 2 .*Received: {length}"):
        EpisodeSequences(coded([4]), length)
