"""Clips: which action led to which value, ends of episodes, restarts."""

import doctest

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings, strategies as st

from vqvae_tf import data
from vqvae_tf.data import Episodes
from vqvae_tf.data.episodes import batches as clips

ACTION = 100_000  # what the action at a step has more than the value there


def coded(lengths, **more):
    """Returns episodes whose values are 1000 * episode + step."""
    values = np.concatenate(
        [1000 * number + np.arange(n) for number, n in enumerate(lengths)]
    ).astype(np.int32)
    actions = more.get("actions", values.astype(np.int64) + ACTION)
    return Episodes("coded", values, actions, lengths)


def expected_x(lengths, num_past):
    """Returns the values that have `num_past` steps of theirs before them."""
    return [
        1000 * number + step
        for number, n in enumerate(lengths)
        for step in range(num_past, n)
    ]


def check(x, context, num_past):
    """Asserts that past and action are those right before x."""
    rows = len(x)
    assert x.dtype == np.int32 and x.shape == (rows,)
    assert set(context) == {"past", "action"}
    assert context["past"].shape == (rows, num_past)
    before = x[:, None] - np.arange(num_past, 0, -1)
    assert (context["past"] == before).all()  # oldest first
    assert (context["past"] // 1000 == x[:, None] // 1000).all()  # one episode
    assert context["action"].dtype == np.int32
    assert (context["action"] == x - 1 + ACTION).all()


def numpy_batches(batches, count=None):
    batches = batches if count is None else batches.take(count)
    return list(batches.as_numpy_iterator())


def flat(batches):
    """Returns all arrays of the batches, to compare them."""
    return [a.tolist() for b in batches for a in tf.nest.flatten(b)]


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def test_the_action_is_the_one_taken_right_before_x():
    episodes = Episodes(
        "small", np.arange(10, 15), np.array([0, 1, 2, 3, 4]), [3, 2]
    )
    found = numpy_batches(data.clip_evaluation_batches(episodes, 1, 3))
    ((x, context, weight),) = found
    assert x.tolist() == [11, 12, 14]
    assert context["past"].tolist() == [[10], [11], [13]]
    assert context["action"].tolist() == [0, 1, 3]
    assert weight.tolist() == [1, 1, 1]


@settings(max_examples=12, deadline=None)
@given(
    lengths=LENGTHS,
    num_past=st.integers(1, 4),
    batch=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_an_epoch_holds_each_clip_once(lengths, num_past, batch, seed):
    assume(max(lengths) > num_past)
    expected = expected_x(lengths, num_past)
    batches = data.clip_batches(coded(lengths), num_past, batch, seed)
    steps = -(-2 * len(expected) // batch)
    seen = []
    for x, context in numpy_batches(batches, steps):
        assert len(x) == batch
        check(x, context, num_past)
        seen += x.tolist()
    assert sorted(seen[: len(expected)]) == expected
    assert sorted(seen[len(expected) : 2 * len(expected)]) == expected


@settings(max_examples=12, deadline=None)
@given(lengths=LENGTHS, num_past=st.integers(1, 4), batch=st.integers(1, 7))
def test_evaluation_holds_each_clip_once(lengths, num_past, batch):
    assume(max(lengths) > num_past)
    expected = expected_x(lengths, num_past)
    batches = data.clip_evaluation_batches(coded(lengths), num_past, batch)
    found = numpy_batches(batches)
    assert len(batches) == len(found) == -(-len(expected) // batch)
    seen, total = [], 0.0
    for x, context, weight in found:
        assert len(x) == len(weight) == batch
        check(x, context, num_past)
        assert set(weight.tolist()) <= {0.0, 1.0}
        seen += x[weight == 1].tolist()
        total += weight.sum()
    assert seen == expected and total == len(expected)


def test_batches_are_a_function_of_seed_and_step():
    def run(count, **more):
        return flat(
            numpy_batches(
                data.clip_batches(coded([6, 3, 4]), 2, 3, **more), count
            )
        )

    whole = run(9, seed=5)
    assert run(9, seed=5) == whole
    for skip in (1, 4, 8):  # three arrays a batch
        assert run(9 - skip, seed=5, skip_steps=skip) == whole[3 * skip :]
    assert run(9, seed=6) != whole


def test_clips_of_codes_are_those_of_the_frames():
    frames = coded([5, 4])
    codes = frames.with_values(frames.values[:, None, None] * 3)
    for (x, c), (y, d) in zip(
        numpy_batches(data.clip_batches(frames, 2, 4, seed=1), 3),
        numpy_batches(data.clip_batches(codes, 2, 4, seed=1), 3),
    ):
        assert (y[:, 0, 0] == 3 * x).all()
        assert (d["past"][:, :, 0, 0] == 3 * c["past"]).all()
        assert (d["action"] == c["action"]).all()


def test_shapes_and_types_of_frames():
    frames = np.zeros([6, 4, 5, 3], np.uint8)
    episodes = Episodes("frames", frames, np.zeros(6, np.uint8), [6])
    x, context = data.clip_batches(episodes, 2, 4).element_spec
    assert (x.shape, x.dtype) == ((4, 4, 5, 3), tf.uint8)
    past, action = context["past"], context["action"]
    assert (past.shape, past.dtype) == ((4, 2, 4, 5, 3), tf.uint8)
    assert (action.shape, action.dtype) == ((4,), tf.int32)


@pytest.mark.parametrize(
    "make",
    [
        lambda v: np.stack([v, -v, v / 4], -1).astype(np.float64),
        lambda v: np.stack([v, -v, v / 4], -1).astype(np.float32),
    ],
)
def test_continuous_actions(make):
    actions = make(np.arange(7))
    episodes = Episodes("arm", np.arange(7), actions, [4, 3])
    assert episodes.num_actions is None
    for x, context in numpy_batches(data.clip_batches(episodes, 2, 3), 4):
        assert context["action"].dtype == np.float32
        assert context["action"].shape == (3, 3)
        assert (context["action"] == make(x - 1)).all()
    found = numpy_batches(data.clip_evaluation_batches(episodes, 2, 3))
    assert found[0][1]["action"].tolist() == make(np.array([1, 2, 5])).tolist()


@pytest.mark.parametrize(
    "actions",
    [
        np.arange(4) / 2,
        np.arange(4)[:, None] / 2,
        np.arange(4)[:, None, None] / 2,
    ],
)
def test_one_number_an_action_has_an_axis(actions):
    episodes = Episodes("line", np.arange(4), actions, [4])
    ((x, context, _),) = numpy_batches(
        data.clip_evaluation_batches(episodes, 1, 3)
    )
    assert x.tolist() == [1, 2, 3]
    assert context["action"].tolist() == [[0.0], [0.5], [1.0]]


def test_no_actions():
    episodes = coded([4, 3], actions=None)
    for x, context in numpy_batches(data.clip_batches(episodes, 2, 3), 3):
        assert set(context) == {"past"}
        assert (context["past"] == x[:, None] - [2, 1]).all()
    ((x, context, weight),) = numpy_batches(
        data.clip_evaluation_batches(episodes, 2, 4)
    )
    assert set(context) == {"past"} and x.tolist() == [2, 3, 1002, 2]
    assert weight.tolist() == [1, 1, 1, 0]


def test_batches_are_endless_and_split_by_data():
    batches = data.clip_batches(coded([4]), 1, 2)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    policy = tf.data.experimental.AutoShardPolicy.DATA
    for found in (batches, data.clip_evaluation_batches(coded([4]), 1, 2)):
        options = found.options()
        assert options.experimental_distribute.auto_shard_policy == policy
        assert options.deterministic


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_past": 0}, "num_past must be a positive integer.*ived: 0"),
        ({"num_past": 1.5}, "num_past must be a positive integer"),
        ({"num_past": 4}, "coded has the 5 steps of a clip.*at most 4 steps"),
        ({"batch_size": 0}, "batch_size must be a positive"),
        ({"seed": 0.5}, "seed must be a 64-bit integer"),
        ({"skip_steps": -1}, "skip_steps must be an integer of at least 0"),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = {"num_past": 2, "batch_size": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        data.clip_batches(coded([4, 2]), **arguments)
    if not {"seed", "skip_steps"} & set(arguments):
        with pytest.raises(ValueError, match=message):
            data.clip_evaluation_batches(coded([4, 2]), **arguments)


def test_docstring_examples_run():
    found = doctest.testmod(clips, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0 and found.failed == 0
