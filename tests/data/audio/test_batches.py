"""Windows and whole recordings in batches, with their masks."""

import numpy as np
import pytest
import tensorflow as tf

from vqvae_tf import data
from vqvae_tf.data import PackedAudio
from vqvae_tf.data.audio.source import LazyAudio, evenly_spaced

LENGTHS = [50, 300, 130, 64, 257]
SPEAKERS = [1, 0, 2, 1, 0]
NAMES = ["ann", "bob", "eve"]


def ramp(number, length):
    """Returns samples that tell recording and place: number + t / 1000."""
    return (number + np.arange(length) / 1000).astype(np.float32)


WAVEFORMS = [ramp(number, length) for number, length in enumerate(LENGTHS)]
LABELS = [4, 3, 2, 1, 0]


def packed(**options):
    options = {"speakers": SPEAKERS, "speaker_names": NAMES, **options}
    return PackedAudio("mine", 8000, WAVEFORMS, **options)


def labelled():
    return packed(labels=LABELS, class_names=list("01234"))


def lazy():
    def read(index):
        return tf.numpy_function(
            lambda i: WAVEFORMS[i], [index], tf.float32, stateful=False
        )

    options = {"labels": LABELS, "class_names": list("01234")}
    return LazyAudio("mine", 8000, LENGTHS, read, SPEAKERS, NAMES, **options)


def taken(batches, count=10):
    return list(batches.take(count).as_numpy_iterator())


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


# Windows


@pytest.mark.parametrize("make", [labelled, lazy])
def test_windows_are_parts_of_recordings(make):
    batches = data.window_batches(make(), 4, 100, seed=1, labels=True)
    x, context, mask = batches.element_spec
    assert x == mask == tf.TensorSpec([4, 100], tf.float32)
    assert context["global"] == tf.TensorSpec([4, 3], tf.float32)
    assert context["label"] == tf.TensorSpec([4], tf.int32)
    for x, context, mask in taken(batches):
        numbers = x[:, 0].astype(int)
        expected = np.eye(3)[np.array(SPEAKERS)[numbers]]
        np.testing.assert_array_equal(context["global"], expected)
        np.testing.assert_array_equal(context["label"], 4 - numbers)
        for row, real, number in zip(x, mask, numbers):
            size = min(100, LENGTHS[number])
            first = np.searchsorted(WAVEFORMS[number], row[0])
            expected = WAVEFORMS[number][first : first + size]
            np.testing.assert_array_equal(row[:size], expected)
            assert (row[size:] == 0).all()
            assert real.tolist() == [1] * size + [0] * (100 - size)


def test_each_recording_once_an_epoch():
    batches = data.window_batches(packed(), 5, 30, seed=3)
    for x, _, _ in taken(batches):
        assert sorted(x[:, 0].astype(int)) == [0, 1, 2, 3, 4]


def test_windows_begin_anywhere():
    audio = PackedAudio("one", 8000, [ramp(0, 19)])
    batches = data.window_batches(audio, 100, 10, seed=2)
    first = np.concatenate([x[:, 0] for x, _, _ in taken(batches, 10)])
    values, counts = np.unique(first, return_counts=True)
    np.testing.assert_allclose(values, np.arange(10) / 1000)
    # 1000 draws among 10: six standard deviations, by chance 1 in 1e8.
    assert np.abs(counts - 100).max() < 60


@pytest.mark.parametrize("make", [labelled, lazy])
def test_batch_n_can_be_made_alone(make):
    def batches(**place):
        return data.window_batches(make(), 4, 80, seed=5, labels=True, **place)

    whole = taken(batches(), 8)
    assert_equal(taken(batches(skip_steps=5), 3), whole[5:])
    halves = [taken(batches(skip_steps=5, part=(i, 2)), 3) for i in range(2)]
    for step, expected in enumerate(whole[5:]):
        joined = tf.nest.map_structure(
            lambda *rows: np.concatenate(rows), *(h[step] for h in halves)
        )
        assert_equal([joined], [expected])
    other = taken(data.window_batches(make(), 4, 80, seed=6), 8)
    assert any((a[0] != b[0]).any() for a, b in zip(whole, other))


def test_kept_and_read_recordings_give_the_same():
    for maker, options in (
        (data.window_batches, {"window": 90}),
        (data.audio_evaluation_batches, {}),
    ):
        assert_equal(
            taken(maker(lazy(), 3, labels=True, **options)),
            taken(maker(labelled(), 3, labels=True, **options)),
        )


def test_a_source_smaller_than_a_batch_is_repeated(caplog):
    x, _, _ = taken(data.window_batches(packed(), 15, 20), 1)[0]
    assert np.bincount(x[:, 0].astype(int)).tolist() == [3] * 5
    assert "5 recordings, fewer than a batch of 15" in caplog.text


def test_without_speakers():
    audio = PackedAudio("mine", 8000, WAVEFORMS)
    for batches in (
        data.window_batches(audio, 4, 20),
        data.audio_evaluation_batches(audio, 4),
    ):
        assert taken(batches, 1)[0][1] == {}


# Whole recordings


@pytest.mark.parametrize("make", [labelled, lazy])
@pytest.mark.parametrize("multiple", [1, 64, 100])
def test_each_recording_whole_once_in_order(make, multiple):
    batches = data.audio_evaluation_batches(make(), 3, multiple, labels=True)
    assert len(batches) == 2
    assert batches.element_spec[0].shape.as_list() == [3, None]
    found = taken(batches)
    for (x, _, mask), longest in zip(found, (300, 257)):
        assert x.shape == mask.shape == (3, -(-longest // multiple) * multiple)
        np.testing.assert_array_equal(x * (1 - mask), 0)
    rows = [row for x, _, _ in found for row in x]
    masks = [row for _, _, mask in found for row in mask]
    for row, mask, expected in zip(rows, masks, WAVEFORMS):
        size = len(expected)
        np.testing.assert_array_equal(row[:size], expected)
        assert (mask[:size] == 1).all() and (mask[size:] == 0).all()
    assert not rows[5].any() and not masks[5].any()
    labels = np.concatenate([context["label"] for _, context, _ in found])
    assert labels[:5].tolist() == LABELS
    speakers = np.concatenate([context["global"] for _, context, _ in found])
    assert speakers.argmax(axis=1)[:5].tolist() == SPEAKERS


def test_one_graph_serves_all_lengths():
    traced = []

    @tf.function
    def count(x, context, mask):
        traced.append(x.shape)
        return tf.reduce_sum(mask)

    batches = data.audio_evaluation_batches(packed(), 2)
    step = count.get_concrete_function(*batches.element_spec)
    total = sum(float(step(*batch)) for batch in batches)
    assert total == sum(LENGTHS) and len(traced) == 1


def test_replicas_share_the_rows():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        batches = data.audio_evaluation_batches(packed(), 4)
    sums = [
        [
            float(tf.reduce_sum(m))
            for m in strategy.experimental_local_results(mask)
        ]
        for _, _, mask in strategy.experimental_distribute_dataset(batches)
    ]
    assert sums == [[350, 194], [257, 0]]
    with pytest.raises(ValueError, match="2 replicas.*Received: 3"):
        with strategy.scope():
            data.audio_evaluation_batches(packed(), 3)


# Refusals


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: data.window_batches(packed(), 2, 0),
            "window must be a positive integer. Received: 0",
        ),
        (
            lambda: data.window_batches(packed(), 0, 8),
            "batch_size must be a positive integer. Received: 0",
        ),
        (
            lambda: data.window_batches(packed(), 2, 8, labels=True),
            "mine has no class labels. Received: labels=True",
        ),
        (
            lambda: data.window_batches(packed(), 4, 8, part=(0, 3)),
            r"part=\(0, 3\), batch_size=4",
        ),
        (
            lambda: data.audio_evaluation_batches(packed(), 2, multiple=-1),
            "multiple must be a positive integer. Received: -1",
        ),
        (
            lambda: data.audio_evaluation_batches(packed(), 2, labels=True),
            "mine has no class labels",
        ),
        (lambda: PackedAudio("none", 8000, []), "at least one readable.*none"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [labelled, lazy])
def test_some_recordings_keep_who_and_what_they_are(make):
    audio = make()
    some = evenly_spaced(audio, 3)
    for row, number in enumerate((0, 2, 4)):
        found, expected = some.get(row), audio.get(number)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
    assert some.speaker_names == audio.speaker_names
    assert some.class_names == audio.class_names
    for count in (None, 5, 9):
        assert evenly_spaced(audio, count) is audio
    with pytest.raises(ValueError, match="count"):
        evenly_spaced(audio, 0)
