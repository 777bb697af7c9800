"""Batches of sequences: order, noise, restarts, every example once."""

import numpy as np
import pytest
import tensorflow as tf

from support.data_helpers import noise
from vqvae_tf import data
from vqvae_tf.data import Episodes, EpisodeSequences, Oscillators, order
from vqvae_tf.data.pictures.source import ArrayImages


class Plain(data.SequenceSource):
    """Sequences of two frames: the index, and the noise."""

    def __init__(self, num_examples, size=1, stream=0):
        more = dict(shape=(1,), noise_size=size, stream=stream)
        super().__init__("plain", num_examples, 2, **more)

    def get(self, index, noise):
        numbers = tf.cast(index, tf.float32)[:, None]
        return tf.stack([numbers, noise[:, :1]], axis=1), None


def moving(rows=7):
    pictures = noise(rows, 4, 6, 1)
    return data.MovingPictures(ArrayImages("noise", pictures), length=5)


def padded_clips():
    values = np.arange(9, dtype=np.int32)[:, None]
    return EpisodeSequences(Episodes("clips", values, None, [5, 2, 2]), 3)


def plain(batches, count=None):
    """Returns arrays of the batches, to compare them."""
    batches = batches if count is None else batches.take(count)
    return [
        [x.tolist() for x in tf.nest.flatten(b)]
        for b in batches.as_numpy_iterator()
    ]


SOURCES = {
    "moving": moving(),
    "oscillators": Oscillators(length=9, num_examples=7),
    "switching": data.SwitchingOscillators(7, (0, 2, 4, 6, 7)),
    "clips": padded_clips(),
}
every_source = pytest.mark.parametrize(
    "source", SOURCES.values(), ids=SOURCES.keys()
)


@every_source
def test_batches_are_a_function_of_seed_and_step(source):
    whole = plain(data.sequence_batches(source, 4, seed=5), 6)
    for skip in (1, 5):
        tail = data.sequence_batches(source, 4, seed=5, skip_steps=skip)
        assert plain(tail, 6 - skip) == whole[skip:]
    assert plain(data.sequence_batches(source, 4, seed=6), 6) != whole
    parts = [
        plain(data.sequence_batches(source, 4, seed=5, part=(i, 2)), 3)
        for i in range(2)
    ]
    for step, batch in enumerate(whole[:3]):
        for x, *shares in zip(batch, *(part[step] for part in parts)):
            assert x == shares[0] + shares[1]


@every_source
def test_examples_do_not_depend_on_the_batch_size(source):
    frames, mask, _ = data.evaluation_sequences(source, seed=3)
    count = source.num_examples
    for size in (1, 2, 3, 5, 16):
        batches = data.sequence_evaluation_batches(source, size, seed=3)
        assert len(batches) == -(-count // size)
        seen = 0
        for x, context, weight in batches.as_numpy_iterator():
            rows = min(size, count - seen)
            assert context == {} and len(x) == len(weight) == size
            np.testing.assert_array_equal(x[:rows], frames[seen:][:rows])
            whole = np.ones(rows) if mask is None else mask[seen:][:rows]
            np.testing.assert_array_equal(weight[:rows], whole)
            assert not weight[rows:].any()
            seen += rows
        assert seen == count


def test_an_epoch_holds_each_example_once():
    batches = data.sequence_batches(Plain(6), 4)
    seen = [b[0] for x in plain(batches, 3) for b in x[0]]
    assert sorted(seen[:6]) == sorted(seen[6:]) == [[i] for i in range(6)]
    assert seen[:6] != seen[6:]


def test_noise_of_training_never_repeats():
    batches = data.sequence_batches(Plain(6), 4, seed=1)
    drawn = [b[1][0] for x in plain(batches, 6) for b in x[0]]
    assert len(set(drawn)) == 24 and 0 < min(drawn) < max(drawn) < 1


@pytest.mark.parametrize("seed", [0, -(2**63), 2**63 - 1])
def test_evaluation_does_not_draw_what_training_draws(seed):
    source = Plain(32, size=3)
    training = plain(data.sequence_batches(source, 4, seed), 32)
    training = {row[1][0] for batch in training for row in batch[0]}
    evaluated, _, _ = data.evaluation_sequences(source, seed=seed)
    assert not training & set(evaluated[:, 1, 0].tolist())
    assert len(set(evaluated[:, 1, 0].tolist())) == 32


def test_streams_draw_other_noise():
    def drawn(stream, seed):
        source = Plain(8, stream=stream)
        batches = plain(data.sequence_batches(source, 8, seed), 1)
        evaluated, _, _ = data.evaluation_sequences(source, seed=seed)
        found = [row[1][0] for row in batches[0][0]]
        return found + evaluated[:, 1, 0].tolist()

    pairs = [(0, 0), (1, 0), (2**32 - 1, 0), (0, 1), (1, 1)]
    found = [number for pair in pairs for number in drawn(*pair)]
    assert len(set(found)) == 16 * len(pairs)


def test_noise_that_rounds_to_zero_is_not_zero(monkeypatch):
    monkeypatch.setattr(order, "step_noise", lambda shape, *_: tf.zeros(shape))
    source = Oscillators(length=1234)  # no graph of this size is kept
    assert source.evaluation_noise([0, 1]).numpy().min() > 0
    x = next(iter(data.sequence_batches(source, 2)))
    assert np.isfinite(x).all()


@every_source
def test_a_range_of_examples(source):
    frames, mask, known = data.evaluation_sequences(source)
    some, some_masks, some_known = data.evaluation_sequences(source, 2, 3)
    np.testing.assert_array_equal(some, frames[2:5])
    assert (some_masks is None) == (mask is None)
    if mask is not None:
        np.testing.assert_array_equal(some_masks, mask[2:5])
    assert set(known) == set(some_known)
    for name, values in known.items():
        np.testing.assert_array_equal(some_known[name], values[2:5])
    rest, _, _ = data.evaluation_sequences(source, 4)
    np.testing.assert_array_equal(rest, frames[4:])


@every_source
def test_a_source_as_a_dataset(source):
    frames, mask, known = data.evaluation_sequences(source)
    found = list(source.dataset().as_numpy_iterator())
    assert [example["index"] for example in found] == list(range(len(frames)))
    expected = {"frames": frames, **known}
    expected |= {} if mask is None else {"mask": mask}
    assert set(found[0]) == {"index", *expected}
    for name, values in expected.items():
        stacked = np.stack([example[name] for example in found])
        np.testing.assert_array_equal(stacked, values)


def test_masks():
    x, context, mask = next(iter(data.sequence_batches(padded_clips(), 5)))
    assert context == {} and x.shape == (5, 3, 1) and mask.shape == (5, 3)
    rows = {
        tuple(frames): weights
        for frames, weights in zip(x[..., 0].numpy().tolist(), mask.numpy())
    }
    assert rows[2, 3, 4].tolist() == [1, 1, 1]
    assert rows[5, 6, 6].tolist() == [1, 1, 0]
    evaluated = data.sequence_evaluation_batches(padded_clips(), 4)
    weights = [weight.numpy().sum(axis=1).tolist() for *_, weight in evaluated]
    assert weights == [[3, 3, 3, 2], [2, 0, 0, 0]]


@every_source
def test_shapes_are_known_and_data_are_sharded(source):
    batches = data.sequence_batches(source, 4)
    evaluated = data.sequence_evaluation_batches(source, 4)
    shape = (4, source.length, *source.shape)
    for spec in (batches.element_spec, evaluated.element_spec[0]):
        assert tf.nest.flatten(spec)[0].shape == shape
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    for found in (batches, evaluated):
        policy = found.options().experimental_distribute.auto_shard_policy
        assert policy == tf.data.experimental.AutoShardPolicy.DATA


def test_few_sequences_are_told(caplog):
    x = next(iter(data.sequence_batches(Plain(3), 7)))
    assert len(x) == 7
    assert "3 sequences, fewer than a batch of 7" in caplog.text


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"batch_size": "4"}, "batch_size must be a positive integer"),
        ({"seed": 0.5}, "seed must be a 64-bit integer. Received: 0.5"),
        ({"seed": 2**63}, f"seed must be .*Received: {2**63}"),
        ({"skip_steps": -1}, "skip_steps must be an integer of at least 0"),
        ({"part": (2, 2)}, "part must be a worker's"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.sequence_batches(Plain(5), **{"batch_size": 4, **arguments})
    if not {"part", "skip_steps"} & set(arguments):
        with pytest.raises(ValueError, match=message):
            data.sequence_evaluation_batches(
                Plain(5), **{"batch_size": 4, **arguments}
            )


@pytest.mark.parametrize(
    "first, count, message",
    [
        (5, None, "first must be an integer in 0..4. Received: 5"),
        (-1, None, "first must be an integer in 0..4. Received: -1"),
        (3, 3, "count must be an integer in 1..2. Received: 3"),
        (3, 0, "count must be an integer in 1..2. Received: 0"),
    ],
)
def test_examples_that_there_are_not(first, count, message):
    with pytest.raises(ValueError, match=message):
        data.evaluation_sequences(Plain(5), first, count)


def test_frames_must_be_of_the_sources_shape():
    source = Plain(5)
    source.length = 3
    for make in (data.sequence_batches, data.sequence_evaluation_batches):
        with pytest.raises(ValueError, match="Shapes are .*3,1. and .2,2,1"):
            make(source, 2)


def test_a_source_needs_examples():
    with pytest.raises(ValueError, match="at least one readable sequence"):
        Plain(0)
