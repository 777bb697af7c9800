"""Rejection sampling: of many samples, those that a classifier is sure of."""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.models.latent_generator import LatentGenerator
from vqvae_tf.models.picture_classifier import PictureClassifier
from vqvae_tf.runtime import random
from vqvae_tf.utils.checks import check_labels, check_number, check_positive


def sample_best(
    generator: LatentGenerator,
    classifier: PictureClassifier,
    labels: ArrayLike,
    keep: float = 0.25,
    seed: int = 0,
    batch_size: int = 64,
    **options: object,
) -> tf.Tensor:
    """Draws several samples of each class, and returns the best.

    Best are those to which the classifier gives the highest probability of
    their class. Fewer, better samples: diversity is the price.

    Args:
        generator: a class-conditional `LatentGenerator` of pictures.
        classifier: of the same classes.
        labels: int `[n]`, the class of each sample to return; those of one
            class are the best of all that are drawn of it.
        keep: the share that is kept, in (0, 1]; 0.25 by default, one of four.
        seed: of the samples.
        batch_size: samples that are drawn at once.
        options: further ones of `generator.sample`, such as `temperature`.

    Returns:
        uint8 `[n, height, width, channels]`.

    Raises:
        ValueError: if the classes differ, and for labels out of range.

    Example:

    >>> classifier = PictureClassifier(ResidualFeatures((8,)), num_classes=10)
    >>> sample_best(generator, classifier, [3, 3, 5], keep=0.5).shape
    TensorShape([3, 32, 32, 3])

    References:
        Razavi et al. 2019, arXiv:1906.00446, section 3.3.
    """
    count = generator.global_channels
    if count is None or count != classifier.num_classes:
        raise ValueError(
            "Rejection sampling needs a class-conditional generator, and a "
            f"classifier of the same classes. Received: {count or 'no'} "
            f"classes and {classifier.num_classes}."
        )
    labels = np.atleast_1d(check_labels("labels", labels, count))
    share = "a share above 0, at most 1"
    keep = check_number("keep", keep, np.nextafter(0, 1), 1, share)
    check_positive("batch_size", batch_size)
    found = [None] * len(labels)
    for number, label in enumerate(np.unique(labels)):
        places = np.flatnonzero(labels == label)
        drawn, scores = _drawn(
            generator,
            classifier,
            int(label),
            math.ceil(len(places) / keep),
            random.fold_in(random.make_seed(seed), number),
            batch_size,
            options,
        )
        for place, best in zip(places, np.argsort(-scores, kind="stable")):
            found[place] = drawn[best]
    return tf.stack(found)


def _drawn(generator, classifier, label, count, seed, batch_size, options):
    """Returns samples of a class, and the classifier's probability of it."""
    pictures, scores = [], []
    for number, first in enumerate(range(0, count, batch_size)):
        size = min(batch_size, count - first)
        row = tf.one_hot([label], generator.global_channels)
        draws = generator.sample(
            size,
            context={"global": row},
            seed=random.fold_in(seed, number),
            **options,
        )
        pictures.append(draws)
        scores.append(classifier.probabilities(draws).numpy()[:, label])
    return tf.concat(pictures, 0), np.concatenate(scores)
