"""Samples against real pictures, in features that can be computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from support import small
from vqvae_tf import data
from vqvae_tf.evaluation import samples as evaluation
from vqvae_tf.evaluation.sample_distances import (
    frechet_distance,
    kernel_distance,
)
from vqvae_tf.models.feature_networks import FeatureNetwork
from vqvae_tf.runtime import random

CLASSES = 2


def colours(x):
    """The mean of each channel, as features."""
    return tf.reduce_mean(tf.cast(x, tf.float32), [1, 2]) / 255


def by_red(x):
    """Class 1 is that of red pictures."""
    red = colours(x)[:, 0]
    return tf.stack([1 - red, red], axis=-1)


NETWORK = FeatureNetwork("colours", colours, by_red)


def batches(first, count):
    images = small.pictures(12)[first : first + count]
    labels = np.arange(count) % CLASSES
    context = {"global": data.one_hot(labels, CLASSES)}
    return data.array_evaluation_batches(images, 5, context), images, labels


@pytest.fixture(scope="module")
def measured():
    generator = small.generator(num_classes=CLASSES)
    held_out, training = batches(0, 6), batches(6, 6)
    figures = evaluation.evaluate(
        generator,
        NETWORK,
        held_out[0],
        training[0],
        12,
        seed=1,
        batch_size=5,
        progress=False,
        temperature=0.8,
    )
    return generator, held_out, training, figures


def labels_of(truth, count):
    """Evenly spaced, whatever their number."""
    return truth[np.arange(count) * len(truth) // count]


def drawn(generator, labels):
    """The samples that are compared, in their batches."""
    seed, found = random.make_seed(1), []
    for number, first in enumerate(range(0, len(labels), 5)):
        rows = tf.one_hot(labels[first : first + 5], CLASSES)
        found.append(
            generator.sample(
                context={"global": rows},
                seed=random.fold_in(seed, number),
                temperature=0.8,
            )
        )
    return np.concatenate(found)


def test_distances(measured):
    generator, (_, real, _), _, figures = measured
    labels = labels_of(np.arange(6) % CLASSES, 12)
    x = colours(drawn(generator, labels)).numpy().astype(np.float64)
    y = colours(real).numpy().astype(np.float64)
    estimate = kernel_distance(x, y)
    assert figures["samples"] == 12
    assert figures["sample_kernel_distance"] == pytest.approx(estimate.value)
    assert figures["sample_kernel_distance_error"] == pytest.approx(
        estimate.half_interval
    )
    assert figures["sample_frechet_distance"] == pytest.approx(
        frechet_distance(x, y)
    )


def test_names(measured):
    generator, (_, real, truth), _, figures = measured
    labels = labels_of(truth, 12)
    named = by_red(drawn(generator, labels)).numpy().argmax(-1)
    assert figures["named_rightly"] == pytest.approx((named == labels).mean())
    named = by_red(real).numpy().argmax(-1)
    expected = (named == truth).mean()
    assert figures["real_named_rightly"] == pytest.approx(expected)


def test_the_floor_is_of_training_pictures(measured):
    _, (_, real, _), (_, known, _), figures = measured
    y = colours(real).numpy().astype(np.float64)
    some = np.random.default_rng(1).permutation(6)
    x = colours(known).numpy().astype(np.float64)[some]
    expected = kernel_distance(x, y).value
    assert figures["real_kernel_distance"] == pytest.approx(expected)
    assert figures["real_frechet_distance"] == pytest.approx(
        frechet_distance(x, y)
    )


def test_reconstructions_of_one_half_and_the_other_half(measured):
    generator, (_, real, _), _, figures = measured
    again = colours(generator.reconstruct(real)).numpy().astype(np.float64)
    y = colours(real).numpy().astype(np.float64)
    expected = kernel_distance(again[::2], y[1::2]).value
    assert figures["reconstruction_kernel_distance"] == pytest.approx(expected)


def test_nearest_training_pictures(measured):
    generator, (_, real, truth), (_, known, _), figures = measured

    def median(x):
        x, y = (colours(v).numpy().astype(np.float64) for v in (x, known))
        far = np.linalg.norm(x[:, None] - y[None], axis=-1)
        return np.median(far.min(axis=1))

    labels = labels_of(truth, 12)
    expected = median(drawn(generator, labels)) / median(real)
    assert figures["nearest_ratio"] == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, 6, 9])
def test_few_samples_are_of_all_classes(count):
    """Held-out pictures of a folder come class by class."""
    rows = np.eye(3)[np.repeat([0, 1, 2], 4)]
    found = evaluation._labels_of_samples(rows, count)
    np.testing.assert_array_equal(np.bincount(found), [count // 3] * 3)


def test_classes_that_do_not_fit():
    images = small.pictures(12)
    plain = data.array_evaluation_batches(images[:6], 3)
    generator = small.generator(num_classes=CLASSES)
    with pytest.raises(ValueError, match="without a global context"):
        evaluation.evaluate(generator, NETWORK, plain, plain, progress=False)
    other = FeatureNetwork("three", colours, colours)
    held_out = batches(0, 6)[0]
    with pytest.raises(ValueError, match="3 and 2 classes"):
        evaluation.evaluate(generator, other, held_out, plain, progress=False)


def test_nothing_is_named_without_classes_in_the_model():
    held_out, training = batches(0, 6)[0], batches(6, 6)[0]
    found = evaluation.evaluate(
        small.generator(), NETWORK, held_out, training, progress=False
    )
    assert "named_rightly" not in found


def test_classes_of_one_group_count_as_one():
    generator = small.generator(num_classes=CLASSES)
    held_out, training = batches(0, 4)[0], batches(4, 8)[0]
    figures = evaluation.evaluate(
        generator, NETWORK, held_out, training, 8, groups=[3, 3], progress=False
    )
    assert figures["named_rightly"] == figures["real_named_rightly"] == 1


def test_without_classes():
    images = small.pictures(12)
    some, others = (
        data.array_evaluation_batches(images[i : i + 6], 4) for i in (0, 6)
    )
    network = FeatureNetwork("colours", colours)
    figures = evaluation.evaluate(
        small.generator(), network, some, others, progress=False
    )
    assert figures["samples"] == 6 and "named_rightly" not in figures


def test_accuracy_by_hand():
    found, images, labels = batches(0, 8)
    p = by_red(images).numpy().astype(np.float64)
    figures = evaluation.accuracy(by_red, found)
    right = p.argmax(-1) == labels
    assert figures["examples"] == 8
    assert figures["accuracy"] == pytest.approx(right.mean())
    bits = -np.log2(p[np.arange(8), labels]).mean()
    assert figures["class_bits"] == pytest.approx(bits, rel=1e-5)
    assert "group_accuracy" not in figures
    # Where all classes are of one group, no name is wrong.
    same = evaluation.accuracy(by_red, found, groups=[4] * p.shape[-1])
    assert same["group_accuracy"] == 1.0
    assert same["accuracy"] == figures["accuracy"] < 1.0
