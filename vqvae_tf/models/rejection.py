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
        keep: the share that is kept, in [0.001, 1]; 0.25 by default, one of
            four.
        seed: of the samples, which depend on all labels, too.
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
    if not np.size(labels):
        raise ValueError("labels must name at least one class. Received: none.")
    labels = np.atleast_1d(check_labels("labels", labels, count))
    share = "a share of at least 0.001, at most 1"
    keep = check_number("keep", keep, 0.001, 1, share)
    check_positive("batch_size", batch_size)
    counts = {
        label: math.ceil(np.sum(labels == label) / keep)
        for label in np.unique(labels).tolist()
    }
    every = np.repeat(list(counts), list(counts.values()))
    pictures, scores = _drawn(
        generator,
        classifier,
        every,
        random.make_seed(seed),
        batch_size,
        options,
    )
    chosen = np.zeros(len(labels), int)
    for label in counts:
        own = np.flatnonzero(every == label)
        best = own[np.argsort(-scores[own], kind="stable")]
        places = np.flatnonzero(labels == label)
        chosen[places] = best[: len(places)]
    return tf.gather(pictures, chosen)


def _drawn(generator, classifier, labels, seed, batch_size, options):
    """Returns a sample of each label, and the probability of its class."""
    pictures, scores = [], []
    for number, first in enumerate(range(0, len(labels), batch_size)):
        own = labels[first : first + batch_size]
        draws = generator.sample(
            len(own),
            context={"global": tf.one_hot(own, generator.global_channels)},
            seed=random.fold_in(seed, number),
            **options,
        )
        pictures.append(draws)
        found = classifier.probabilities(draws).numpy()
        scores.append(found[np.arange(len(own)), own])
    return tf.concat(pictures, 0), np.concatenate(scores)
