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
    generator = small.generator(num_classes=2)
    labels = [1, 0, 1]
    best = sample_best(generator, Brightness(), labels, keep=0.25, seed=3)
    assert best.shape == (3, small.SIZE, small.SIZE, 3)
    whole = sample_best(generator, Brightness(), [1] * 8, keep=1.0, seed=3)
    # All eight that two of four are chosen from; both classes have their own.
    means = whole.numpy().mean(axis=(1, 2, 3))
    assert list(means) == sorted(means, reverse=True)
    again = sample_best(generator, Brightness(), labels, keep=0.25, seed=3)
    np.testing.assert_array_equal(best, again)
    few = sample_best(
        generator, Brightness(), labels, keep=0.25, seed=3, batch_size=64
    )
    np.testing.assert_array_equal(best, few)


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
        (dict(keep=0), "keep must be a share above 0"),
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
