"""Batches: determinism, augmentation, padding, contexts, replicas."""

import doctest

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from support.data_helpers import coordinates, noise, numbered
from vqvae_tf import data
from vqvae_tf.data import batches as batching, decoding as pictures
from vqvae_tf.data.decoding import RESIZE_FILTERS
from vqvae_tf.data.pictures import batches as picture_batches, open as images
from vqvae_tf.data.pictures.source import ArrayImages, PackedImages


def first(batches, count):
    return list(batches.take(count).as_numpy_iterator())


def mixed_sizes():
    shapes = [(20, 30), (33, 17), (9, 12), (16, 16), (40, 40)]
    return PackedImages(
        "mixed", [noise(*s, 3, seed=i) for i, s in enumerate(shapes)]
    )


@pytest.mark.parametrize(
    "source, arguments",
    [
        (numbered(7), {}),
        (ArrayImages("a", noise(7, 20, 20, 3)), {"image_size": 16}),
        (mixed_sizes(), {"image_size": 16, "resize_range": (16, 24)}),
    ],
)
def test_batches_are_a_function_of_seed_and_step(source, arguments):
    def run(**more):
        return data.training_batches(source, 4, **arguments, **more)

    whole = first(run(seed=5), 9)
    assert (np.stack(first(run(seed=5), 9)) == np.stack(whole)).all()
    for skip in (1, 4, 8):
        resumed = first(run(seed=5, skip_steps=skip), 1)[0]
        assert (resumed == whole[skip]).all()
    assert (first(run(seed=6), 1)[0] != whole[0]).any()


def test_augmentation_changes_from_epoch_to_epoch():
    source = ArrayImages("one", noise(1, 32, 32, 3))
    batches = first(data.training_batches(source, 1, image_size=16), 8)
    assert len({batch.tobytes() for batch in batches}) >= 7


def test_random_crops_are_cut_from_the_picture():
    source = ArrayImages("grid", coordinates(20, 26)[None])
    batch = first(data.training_batches(source, 64, 12, flip=False), 1)[0]
    corners = batch[:, 0, 0, :2].astype(int)
    for x, (top, left) in zip(batch, corners):
        assert (x == coordinates(20, 26)[top:, left:][:12, :12]).all()
    assert set(corners[:, 0]) == set(range(9))  # fails with chance 5e-3
    assert np.ptp(corners[:, 1]) >= 10


def test_flip_mirrors_half_of_the_pictures():
    source = ArrayImages("grid", coordinates(8, 8)[None])
    batch = first(data.training_batches(source, 400), 1)[0]
    plain = (batch == coordinates(8, 8)).all(axis=(1, 2, 3))
    mirrored = (batch == coordinates(8, 8)[:, ::-1]).all(axis=(1, 2, 3))
    assert (plain ^ mirrored).all()
    assert 150 < mirrored.sum() < 250  # five standard deviations
    same = first(data.training_batches(source, 400, flip=False), 1)[0]
    assert (same == coordinates(8, 8)).all()


def test_without_crop_the_whole_picture_is_squeezed():
    image = noise(20, 30, 3)
    source = ArrayImages("wide", image[None])
    batches = data.training_batches(source, 1, 10, crop=None, flip=False)
    expected = pictures.resize(tf.constant(image), 10, 10)
    assert (first(batches, 1)[0][0] == expected.numpy()).all()


def test_center_crop_of_one_size_is_what_evaluation_does():
    source = ArrayImages("wide", noise(3, 20, 30, 3))
    train = data.training_batches(
        source, 1, 10, "center", resize_range=(10, 10), flip=False
    )
    evaluated = [
        x for x, _, _ in first(data.evaluation_batches(source, 1, 10), 3)
    ]
    found = {x.tobytes() for x in first(train, 3)}
    assert found == {x.tobytes() for x in evaluated}


def test_resize_range_draws_every_side():
    # A ramp of 64 columns, shrunk to side s, rises by 64 / s a column.
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], [64, 64, 3])
    source = ArrayImages("ramp", ramp[None].copy())
    batches = data.training_batches(
        source, 200, 16, resize_range=(16, 20), flip=False
    )
    x = first(batches, 1)[0].astype(np.float64)
    slopes = (x[:, :, 13, 0] - x[:, :, 2, 0]).mean(1) / 11
    sides = np.rint(64 / slopes).astype(int)
    assert set(sides) == {16, 17, 18, 19, 20}


def test_a_random_filter_is_one_of_all():
    """Every picture is resized by one of the filters, each as often."""
    image = noise(1, 20, 20, 3)
    source = ArrayImages("one", image)
    options = dict(crop="center", resize_range=(16, 16), flip=False)
    batches = data.training_batches(
        source, 200, 16, resize_filter="random", **options
    )
    known = np.stack(
        [data.resize_and_crop(image[0], 16, name) for name in RESIZE_FILTERS]
    )
    found, again = first(batches, 2)
    equal = (found[:, None] == known[None]).all(axis=(2, 3, 4))
    assert (equal.sum(1) == 1).all()
    assert (equal.mean(0) > 0.15).all()
    resumed = data.training_batches(
        source, 200, 16, resize_filter="random", skip_steps=1, **options
    )
    np.testing.assert_array_equal(first(resumed, 1)[0], again)
    for name, expected in zip(RESIZE_FILTERS, known):
        batches = data.training_batches(
            source, 4, 16, resize_filter=name, **options
        )
        assert (first(batches, 1)[0] == expected).all()
        x, _, _ = next(
            iter(data.evaluation_batches(source, 1, 16, resize_filter=name))
        )
        np.testing.assert_array_equal(x[0], expected)


def test_filters_that_there_are_not():
    source = ArrayImages("one", noise(1, 20, 20, 3))
    with pytest.raises(ValueError, match="one of bilinear, .*random"):
        data.training_batches(source, 2, 16, resize_filter="nearest")
    with pytest.raises(ValueError, match="needs a crop"):
        data.training_batches(source, 2, 16, None, resize_filter="box")
    with pytest.raises(ValueError, match="one of bilinear, bicubic"):
        data.evaluation_batches(source, 2, 16, resize_filter="random")


def test_small_pictures_are_enlarged():
    source = ArrayImages("small", noise(2, 6, 9, 3))
    assert first(data.training_batches(source, 2, 16), 1)[0].shape[1:3] == (
        16,
        16,
    )
    x = first(data.evaluation_batches(source, 2, 16), 1)[0][0]
    assert x.shape == (2, 16, 16, 3)


def test_one_hot_context_follows_the_pictures():
    source = numbered(11, classes=3)
    for x, context in first(data.training_batches(source, 4, num_classes=5), 6):
        assert context["global"].dtype == np.float32
        assert (context["global"] == np.eye(5)[x[:, 0, 0, 0] % 3]).all()
    for x, context, _ in data.evaluation_batches(source, 4, num_classes=3):
        expected = np.eye(3)[x.numpy()[:, 0, 0, 0] % 3]
        assert (context["global"].numpy() == expected).all()


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 40), batch=st.integers(1, 17))
def test_evaluation_holds_every_picture_once(n, batch):
    batches = data.evaluation_batches(numbered(n), batch)
    assert len(batches) == -(-n // batch)
    seen, total = [], 0.0
    for x, context, weight in batches:
        assert x.shape == (batch, 4, 4, 3) and context == {}
        seen += x.numpy()[weight == 1, 0, 0, 0].tolist()
        total += float(tf.reduce_sum(weight))
    assert seen == list(range(n)) and total == n


def test_pictures_of_several_sizes_are_evaluated_in_order():
    source = mixed_sizes()
    expected = [
        data.resize_and_crop(e["image"], 16).numpy() for e in source.dataset()
    ]
    x = np.concatenate([b[0] for b in data.evaluation_batches(source, 2, 16)])
    assert (x[:5] == np.stack(expected)).all()


def test_a_source_smaller_than_a_batch_is_repeated(caplog):
    batch = first(data.training_batches(numbered(3), 8), 1)[0]
    assert sorted(np.bincount(batch[:, 0, 0, 0])) == [2, 3, 3]
    assert "3 pictures, fewer than a batch of 8" in caplog.text


def test_arrays_keep_rows_and_contexts_together():
    codes = np.arange(10, dtype=np.int32)[:, None] * np.ones([1, 6], np.int32)
    context = {"global": data.one_hot(np.arange(10) % 4, 4)}
    batches = data.array_batches(codes, 4, seed=2, context=context)
    seen = []
    for x, found in first(batches, 5):
        assert x.dtype == np.int32 and x.shape == (4, 6)
        assert (found["global"] == np.eye(4)[x[:, 0] % 4]).all()
        seen += x[:, 0].tolist()
    assert np.bincount(seen).tolist() == [2] * 10
    resumed = data.array_batches(codes, 4, 2, context, skip_steps=3)
    assert first(resumed, 1)[0][0][:, 0].tolist() == seen[12:16]


def test_array_evaluation_and_dicts_of_arrays():
    values = {"top": np.arange(5), "bottom": np.arange(5.0)}
    found = list(data.array_evaluation_batches(values, 3))
    assert [w.numpy().tolist() for *_, w in found] == [[1, 1, 1], [1, 1, 0]]
    assert found[1][0]["top"].numpy().tolist() == [3, 4, 3]
    assert found[1][0]["bottom"].dtype == tf.float32
    assert found[0][1] == {}


@pytest.mark.parametrize("rows", [1, 5, 8])
def test_no_replica_gets_an_empty_shard(rows):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def shards(batches):
        for batch in strategy.experimental_distribute_dataset(batches):
            yield tf.nest.map_structure(
                strategy.experimental_local_results, batch
            )

    total = 0.0
    for x, _, weight in shards(data.evaluation_batches(numbered(rows), 4)):
        assert [len(part) for part in x] == [2, 2]
        total += sum(float(tf.reduce_sum(part)) for part in weight)
    assert total == rows
    for x in shards(data.training_batches(numbered(rows), 4).take(3)):
        assert [len(part) for part in x] == [2, 2]


def test_batch_must_be_divisible_by_the_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    message = "divisible by the 2 replicas.*Received: 3"
    with strategy.scope(), pytest.raises(ValueError, match=message):
        data.training_batches(numbered(9), 3)


def test_datasets_are_sharded_by_data():
    policy = tf.data.experimental.AutoShardPolicy.DATA
    for batches in (
        data.training_batches(numbered(4), 2),
        data.evaluation_batches(numbered(4), 2),
        data.array_batches(np.arange(4), 2),
        data.array_evaluation_batches(np.arange(4), 2),
    ):
        options = batches.options()
        assert options.experimental_distribute.auto_shard_policy == policy
        assert options.deterministic
        # Else the end of an iterator waits for the tuner.
        assert options.autotune.enabled is False


def test_training_batches_are_known_to_be_infinite():
    batches = data.training_batches(numbered(4), 2)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize(
    "source, arguments, message",
    [
        (mixed_sizes(), {}, "different sizes; set image_size"),
        (numbered(4), {"crop": "left"}, "crop must be one of.*'left'"),
        (numbered(4), {"image_size": 0}, "image_size must be a positive"),
        (
            numbered(4),
            {"resize_range": (4, 8)},
            "resize_range needs image_size",
        ),
        (
            numbered(4),
            {"image_size": 8, "resize_range": (6, 8)},
            "image_size <= low <= high.*Received",
        ),
        (
            numbered(4),
            {"image_size": 8, "resize_range": (8, 9), "crop": None},
            "needs a crop",
        ),
        (numbered(4), {"num_classes": 3}, "no class labels"),
        (numbered(4, classes=4), {"num_classes": 3}, "has 4 classes.*ived: 3"),
        (numbered(4), {"batch_size": 0}, "batch_size must be a positive"),
    ],
)
def test_bad_arguments(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        data.training_batches(source, **{"batch_size": 2, **arguments})


@pytest.mark.parametrize(
    "values, context",
    [
        (np.zeros([0, 3]), None),
        (np.zeros([4]), {"global": np.zeros([5, 2])}),
        (np.float32(1), None),
    ],
)
def test_arrays_must_have_the_same_rows(values, context):
    with pytest.raises(ValueError, match="same number of rows.*Received"):
        data.array_batches(values, 2, context=context)


@pytest.mark.parametrize("labels", [[0.5], [[1]], [3], [-1]])
def test_one_hot_refuses(labels):
    with pytest.raises(ValueError, match="labels must .*Received"):
        data.one_hot(labels, 3)


@pytest.mark.parametrize(
    "module", [batching, picture_batches, images, pictures]
)
def test_docstring_examples_run(module):
    found = doctest.testmod(
        module,
        extraglobs={"np": np},
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted > 0 and found.failed == 0
