"""A classifier of pictures, and rejection sampling with one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.harness import (
    check_fit_lowers_the_loss,
    run_model_test,
    run_two_replica_test,
)
from vqvae_tf import PictureClassifier, ResidualFeatures
from vqvae_tf.models.rejection import sample_best
from vqvae_tf.runtime import random

CLASSES = 3


def make(num_classes=CLASSES, **options):
    keras.utils.set_random_seed(0)
    model = PictureClassifier(
        ResidualFeatures((4, 8), blocks_per_stage=1, num_groups=2),
        num_classes,
        **options,
    )
    model.build()
    return model


def rows(labels):
    return {"global": np.eye(CLASSES, dtype=np.float32)[labels]}


def coloured(count=12):
    """Pictures whose class is the colour that dominates."""
    labels = np.arange(count) % CLASSES
    x = np.random.default_rng(0).integers(0, 100, [count, 8, 8, 3])
    x[np.arange(count), :, :, labels] += 120
    return x.astype(np.uint8), labels


@pytest.mark.slow
def test_all_of_a_model():
    x, labels = coloured(4)
    run_model_test(make, x, rows(labels))


def test_loss_and_accuracy_by_hand():
    model = make(label_smoothing=0.2)
    x, labels = coloured()
    logits = model(x).numpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    of_label = log_p[np.arange(len(x)), labels]
    model.compile("sgd")
    logs = model.evaluate(x, rows(labels), verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(-of_label.mean(), rel=1e-5)
    right = logits.argmax(-1) == labels
    assert logs["accuracy"] == pytest.approx(right.mean())
    loss, _, _ = model.compute_losses(x, rows(labels), training=True)
    smoothed = -(0.8 * of_label + 0.2 * log_p.mean(-1))
    np.testing.assert_allclose(loss, smoothed, rtol=1e-5)
    np.testing.assert_allclose(
        model.probabilities(x), np.exp(log_p), rtol=1e-4, atol=1e-6
    )
    features = model.features(x)
    np.testing.assert_allclose(model.dense(features), logits, rtol=1e-5)


def test_it_learns():
    model = make()
    x, labels = coloured()
    check_fit_lowers_the_loss(model, x, rows(labels))


@pytest.mark.slow
def test_two_replicas():
    def compiled():
        model = make()
        model.compile(keras.optimizers.SGD(0.1))
        return model

    x, labels = coloured(4)
    run_two_replica_test(
        compiled, tf.data.Dataset.from_tensors((x, rows(labels)))
    )


def test_pictures_of_another_shape():
    model = make(event_shape=(8, 8, 3))
    with pytest.raises(ValueError, match=r"of sizes \(8, 8\)"):
        model(np.zeros([2, 16, 16, 3], np.uint8))
    with pytest.raises(ValueError, match="made for 3 channels"):
        model.features(np.zeros([2, 8, 8, 1], np.uint8))


@pytest.mark.parametrize("context", [None, {"global": np.eye(4)[:2]}])
def test_batches_without_its_classes(context):
    model = make()
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"one-hot classes \[batch, 3\]"):
        model.fit(coloured(2)[0], context, verbose=0)


# Rejection sampling -----------------------------------------------------------


class Brightness:
    """A classifier that knows bright pictures as class 1."""

    num_classes = 2

    def probabilities(self, x):
        mean = tf.reduce_mean(tf.cast(x, tf.float32), [1, 2, 3]) / 255
        return tf.stack([1 - mean, mean], axis=-1)


def test_the_best_are_kept():
    """Of eight samples of class 1 and four of class 0, by hand."""
    generator = small.generator(num_classes=2)
    labels, every = [1, 0, 1], [0] * 4 + [1] * 8
    best = sample_best(generator, Brightness(), labels, keep=0.25, seed=3)
    drawn = generator.sample(
        context={"global": np.eye(2)[every]},
        seed=random.fold_in(random.make_seed(3), 0),
    ).numpy()
    scores = Brightness().probabilities(drawn).numpy()
    first = np.argsort(-scores[:4, 0])[:1]
    second = 4 + np.argsort(-scores[4:, 1])[:2]
    expected = drawn[[second[0], first[0], second[1]]]
    np.testing.assert_array_equal(best, expected)
    parts = sample_best(
        generator, Brightness(), labels, keep=0.25, seed=3, batch_size=5
    )
    assert parts.shape == best.shape


def test_more_draws_are_better():
    generator = small.generator(num_classes=2)
    means = [
        sample_best(generator, Brightness(), [1] * 4, keep, seed=0)
        .numpy()
        .mean()
        for keep in (1.0, 0.1)
    ]
    assert means[1] > means[0]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(keep=0), "keep must be a share of at least 0.001"),
        (dict(labels=[]), "at least one class"),
        (dict(labels=[2]), "labels must be in 0..1"),
    ],
)
def test_rejection_sampling_refuses(options, message):
    generator = small.generator(num_classes=2)
    with pytest.raises(ValueError, match=message):
        sample_best(generator, Brightness(), **{"labels": [0], **options})


def test_rejection_sampling_needs_classes():
    with pytest.raises(ValueError, match="no classes and 2"):
        sample_best(small.generator(), Brightness(), [0])
