"""Batches that several workers read, each its own rows."""

import numpy as np
import pytest
import tensorflow as tf

from support.data_helpers import noise, numbered
from vqvae_tf import data
from vqvae_tf.data import Episodes
from vqvae_tf.data.pictures.source import ArrayImages, PackedImages
from vqvae_tf.runtime import strategies

PICTURES = ArrayImages("a", noise(7, 20, 20, 3), np.arange(7) % 2, ["a", "b"])
MIXED = PackedImages("mixed", [noise(20 + i, 30, 3, seed=i) for i in range(5)])


def of_clips(**place):
    frames = noise(9, 4, 4, 3)
    episodes = Episodes("mine", frames, np.arange(9), [4, 5])
    return data.clip_batches(episodes, 2, 4, seed=3, **place)


MAKERS = {
    "pictures": lambda **place: data.training_batches(
        numbered(7), 4, seed=3, **place
    ),
    "crops and classes": lambda **place: data.training_batches(
        PICTURES, 4, 16, resize_range=(16, 18), num_classes=2, seed=3, **place
    ),
    "several sizes": lambda **place: data.training_batches(
        MIXED, 4, 16, seed=3, **place
    ),
    "arrays": lambda **place: data.array_batches(
        np.arange(9), 4, 3, context={"global": np.eye(9)}, **place
    ),
    "clips": of_clips,
}


def taken(batches, count=5):
    found = list(batches.take(count).as_numpy_iterator())
    return [tf.nest.flatten(batch) for batch in found]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("count", [2, 4])
def test_the_parts_are_the_batch(name, count):
    make = MAKERS[name]
    whole = taken(make(skip_steps=3))
    parts = [taken(make(skip_steps=3, part=(i, count))) for i in range(count)]
    for step, batch in enumerate(whole):
        for i, expected in enumerate(batch):
            rows = [part[step][i] for part in parts]
            assert all(len(r) == len(expected) // count for r in rows)
            np.testing.assert_array_equal(np.concatenate(rows), expected)


@pytest.mark.parametrize("part", [(0, 3), (2, 2), (-1, 2)])
def test_parts_that_cannot_be(part):
    with pytest.raises(ValueError, match=r"Received: part=\(.*batch_size=4"):
        MAKERS["arrays"](part=part)


def test_a_worker_splits_its_part_over_its_replicas():
    batches = tf.data.Dataset.from_tensors(
        (np.arange(8).reshape(4, 2), {"global": np.arange(4.0)})
    ).repeat(2)
    split = taken(strategies._split(batches, 2))
    assert [[x.tolist() for x in batch] for batch in split] == [
        [[[0, 1], [2, 3]], [0.0, 1.0]],
        [[[4, 5], [6, 7]], [2.0, 3.0]],
    ] * 2
    assert strategies._split(batches, 1) is batches


def test_one_worker_reads_all():
    made = strategies.distributed(lambda part: part)
    assert made == (0, 1)
