"""Episodes: where clips start, other values, the number of actions."""

import doctest

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from vqvae_tf.data import Episodes
from vqvae_tf.data.episodes import episodes as module


def numbered(lengths, actions=None):
    """Returns episodes whose step t has the value t."""
    return Episodes("mine", np.arange(sum(lengths)), actions, lengths)


def test_starts_and_lengths():
    episodes = numbered([3, 1, 2])
    assert episodes.starts.tolist() == [0, 3, 4]
    assert episodes.lengths.tolist() == [3, 1, 2]
    assert episodes.starts.dtype == episodes.lengths.dtype == np.int64


@pytest.mark.parametrize(
    "length, expected",
    [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 1, 4]), (3, [0])],
)
def test_clip_starts(length, expected):
    starts = numbered([3, 1, 2]).clip_starts(length)
    assert starts.tolist() == expected and starts.dtype == np.int64


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    length=st.integers(1, 9),
)
def test_clips_are_all_runs_within_one_episode(lengths, length):
    assume(max(lengths) >= length)
    episode_of = np.repeat(np.arange(len(lengths)), lengths)
    expected = [
        start
        for start in range(sum(lengths) - length + 1)
        if len(set(episode_of[start : start + length])) == 1
    ]
    assert numbered(lengths).clip_starts(length).tolist() == expected


def test_a_clip_longer_than_all_episodes():
    with pytest.raises(ValueError, match="mine has the 4 steps.*at most 3 st"):
        numbered([3, 1, 2]).clip_starts(4)


@pytest.mark.parametrize("length", [0, -1, 1.5])
def test_clip_length_is_positive(length):
    with pytest.raises(ValueError, match="length must be a positive integer"):
        numbered([3]).clip_starts(length)


def test_with_values_keeps_the_rest():
    episodes = numbered([3, 2], np.arange(5))
    codes = np.ones([5, 2, 2], np.int32)
    found = episodes.with_values(codes)
    assert found.values is codes and found.name == "mine"
    assert found.actions.tolist() == [0, 1, 2, 3, 4]
    assert found.lengths.tolist() == [3, 2]
    assert episodes.values.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="4 and 5 rows for 5 steps"):
        episodes.with_values(codes[:4])
    assert numbered([3, 2]).with_values(codes).actions is None


@pytest.mark.parametrize(
    "actions, expected",
    [
        (np.array([1, 0, 9, 2, 9]), 3),  # those of the last steps are not taken
        (np.array([1, 0, 9, 2, 9], np.uint8), 3),
        (np.array([0, 255, 0, 1, 0], np.uint8), 256),
        ([4, 0, 0, 0, 0], 5),
        (None, None),
        (np.array([1.0, 0, 0, 2, 0]), None),
        (np.ones([5, 1], np.int64), None),
        (np.ones([5, 2], np.float32), None),
        (np.ones([5], bool), None),
    ],
)
def test_num_actions(actions, expected):
    assert numbered([3, 2], actions).num_actions == expected


def test_no_action_is_taken_in_episodes_of_one_step():
    assert numbered([1, 1], np.array([3, 4])).num_actions == 0


@pytest.mark.parametrize(
    "values, actions, lengths, message",
    [
        (4, None, [3, 2], "mine with 4 rows for 5 steps in 2 episodes"),
        (6, None, [3, 2], "mine with 6 rows for 5 steps"),
        (5, 4, [3, 2], "5 and 4 rows for 5 steps"),
        (5, None, [5, 0], "5 rows for 5 steps in 2 episodes"),
        (5, None, [6, -1], "5 rows for 5 steps in 2 episodes"),
        (0, None, [], "0 rows for 0 steps in 0 episodes"),
    ],
)
def test_rows_and_lengths_must_fit(values, actions, lengths, message):
    actions = None if actions is None else np.zeros(actions, int)
    with pytest.raises(ValueError, match=f"a row for each step.*{message}"):
        Episodes("mine", np.zeros(values), actions, lengths)


def test_docstring_examples_run():
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0 and found.failed == 0


def test_kinds_of_actions():
    taken = numbered([3, 2], np.array([1, 0, 7, 2, 9])).taken
    assert taken.tolist() == [1, 0, 2]  # none of the last steps
    assert numbered([3, 2]).taken is None
    one = numbered([2], np.array([0.5, 2.0]))
    assert one.actions.shape == (2, 1) and one.action_size == 1
    assert one.actions.dtype == np.float32
    several = numbered([2], np.zeros([2, 3, 2]))
    assert several.action_size == 6 and several.num_actions is None
    assert several.without_actions().actions is None
    assert several.without_actions().action_size is None
    assert numbered([2], np.array([1, 0])).action_size is None
