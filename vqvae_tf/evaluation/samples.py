"""Samples against real pictures, in the features of a named network."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.evaluation import sample_distances as distances
from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.evaluation.statistics import examples, half_interval
from vqvae_tf.models import CodeModel, LatentGenerator
from vqvae_tf.models.feature_networks import FeatureNetwork
from vqvae_tf.runtime import random

FIGURES = (
    Figure("samples", "samples compared with held-out pictures", "", 0, 0.5),
    Figure("sample_kernel_distance", "kernel distance of samples", "", 4, 5e-3),
    Figure(
        "sample_kernel_distance_error",
        "half of its 95 % interval",
        "",
        4,
        5e-3,
    ),
    Figure(
        "real_kernel_distance",
        "the same of as many training pictures",
        "",
        4,
        5e-3,
    ),
    Figure(
        "sample_frechet_distance", "Frechet distance of samples", "", 2, 0.5
    ),
    Figure(
        "real_frechet_distance",
        "the same of as many training pictures",
        "",
        2,
        0.5,
    ),
    Figure(
        "reconstruction_kernel_distance",
        "kernel distance of reconstructions of one half to the other half",
        "",
        4,
        5e-3,
    ),
    Figure(
        "reconstruction_frechet_distance",
        "Frechet distance of the same",
        "",
        2,
        0.5,
    ),
    Figure(
        "half_kernel_distance",
        "kernel distance of one half's originals to the other half",
        "",
        4,
        5e-3,
    ),
    Figure("half_frechet_distance", "Frechet distance of the same", "", 2, 0.5),
    Figure(
        "nearest_ratio",
        "distance of samples to the nearest training picture, over that of "
        "held-out pictures",
        "",
        3,
        2e-2,
    ),
    Figure(
        "named_rightly", "samples whose class is named rightly", "", 3, 2e-2
    ),
    Figure("named_rightly_error", "half of its 95 % interval", "", 3, 1e-2),
    Figure(
        "real_named_rightly",
        "held-out pictures whose class is named rightly",
        "",
        3,
        5e-3,
    ),
)


def evaluate(
    generator: LatentGenerator,
    network: FeatureNetwork,
    held_out: Iterable,
    training: Iterable,
    num_samples: int | None = None,
    seed: int = 0,
    batch_size: int = 50,
    groups: Sequence[int] | None = None,
    progress: bool = True,
    **options: object,
) -> dict[str, float]:
    """Compares a model's samples and reconstructions with real pictures.

    Args:
        generator: a `LatentGenerator` of pictures.
        network: the feature network, which the figures should name.
        held_out, training: as for `statistics.examples`.
        num_samples: how many to draw; by default as many as are held out. Of a
            class-conditional model, each class as often as it is held out, as
            nearly as their number allows.
        seed: of samples, and of the choice of training pictures.
        batch_size: samples that are drawn at once.
        groups: a number for each class; a sample is named rightly if the name
            is of a class with the same number. By default every class counts
            by itself.
        progress: show a progress bar, where stderr is a terminal.
        options: of `generator.sample`, such as `temperature`.

    Returns:
        A dict of floats: `samples`, how many; `sample_kernel_distance` (the
        unbiased KID) and its half interval, `sample_frechet_distance`, both to
        the held-out pictures (the latter only where these are more than the
        features); `real_kernel_distance` and `real_frechet_distance`, those of
        as many training pictures, the least that can be expected;
        those of `reconstructions`;
        `nearest_ratio`, the median distance
        of samples to the nearest training picture over that of held-out
        pictures: far below 1, samples are copies. With a network that knows
        the classes of a class-conditional model: `named_rightly`, its half
        interval, and `real_named_rightly`.

    Raises:
        ValueError: for a class-conditional model and pictures without classes,
            and for a network of other classes.
    """
    real, rows, again = _gathered(generator, network, held_out, progress)
    real, real_probabilities = real
    (known, _), _, _ = _gathered(None, network, training, progress)
    count, labels = num_samples or len(real), None
    if generator.global_channels is not None:
        labels = _labels_of_samples(rows, count)
        _check_classes(real_probabilities, rows)
    drawn, probabilities = _drawn(
        generator, network, count, labels, seed, batch_size, options
    )
    rng = np.random.default_rng(seed)
    some = known[rng.permutation(len(known))[: min(count, len(known))]]
    found = {
        "samples": count,
        **_distances("sample", drawn, real),
        **_distances("real", some, real),
        **_nearest_ratio(drawn, real, known),
    }
    found |= _halves(again, real)
    if probabilities is not None and labels is not None:
        right = _named_rightly(probabilities, labels, groups)
        found["named_rightly"] = right.mean()
        found["named_rightly_error"] = half_interval(right)
        truth = rows.argmax(-1)
        found["real_named_rightly"] = _named_rightly(
            real_probabilities, truth, groups
        ).mean()
    found.pop("real_kernel_distance_error", None)
    return {name: float(value) for name, value in found.items()}


def reconstructions(
    model: CodeModel,
    network: FeatureNetwork,
    held_out: Iterable,
    progress: bool = True,
) -> dict[str, float]:
    """Compares reconstructions with real pictures.

    Those of one half of the pictures are compared with the originals of the
    other half: beside their own originals, distances would be below 0.

    Args:
        model: an autoencoder, or a `LatentGenerator`.
        network: the feature network.
        held_out, progress: as for `evaluate`.

    Returns:
        A dict of floats, from six pictures on:
        `reconstruction_kernel_distance`; `half_kernel_distance`, that of the
        originals of both halves, the least that can be expected; and with
        halves that are more than the features,
        `reconstruction_frechet_distance` and `half_frechet_distance`.
    """
    (real, _), _, again = _gathered(model, network, held_out, progress)
    return _halves(again, real)


def _halves(again, real):
    if len(real) < 6:  # halves of three, the least that have a distance
        return {}
    found = {}
    for name, one in (("reconstruction", again), ("half", real)):
        both = _distances(name, one[::2], real[1::2])
        both.pop(f"{name}_kernel_distance_error")
        found |= both
    return {name: float(value) for name, value in found.items()}


def _gathered(generator, network, batches, progress):
    """Returns what the network says, one-hot classes, and reconstructions.

    That is (features, probabilities), and features of reconstructions.
    """
    found, rows, again = [], [], []
    for x, context, count in examples(batches, progress):
        found.append(network.answers(x.numpy()[:count]))
        if context and "global" in context:
            rows.append(context["global"].numpy()[:count])
        if generator is not None:
            restored = generator.reconstruct(x).numpy()[:count]
            again.append(network.features(restored))
    return _joined(found), _stacked(rows), _stacked(again)


def _joined(answers):
    """Joins what a network says of several batches."""
    features, probabilities = zip(*answers)
    if probabilities[0] is None:
        return _stacked(features), None
    return _stacked(features), _stacked(probabilities)


def _stacked(parts):
    return np.concatenate(parts) if parts else None


def _labels_of_samples(rows, count):
    """Returns labels int `[count]`, evenly spaced over the held-out ones."""
    if rows is None:
        raise ValueError(
            "Samples of a class-conditional model are compared with pictures "
            "that have classes. Received: batches without a global context."
        )
    labels = rows.argmax(-1)
    return labels[np.arange(count) * len(labels) // count]


def _check_classes(probabilities, rows):
    if probabilities is None:
        return
    if probabilities.shape[-1] != rows.shape[-1]:
        raise ValueError(
            "The feature network must name the classes of the data. Received: "
            f"{probabilities.shape[-1]} and {rows.shape[-1]} classes."
        )


def _drawn(generator, network, count, labels, seed, batch_size, options):
    """Returns what the network says of samples."""
    answers = []
    classes = generator.global_channels
    for number, first in enumerate(range(0, count, batch_size)):
        size, context = min(batch_size, count - first), None
        if classes is not None:
            own = labels[first : first + size]
            context = {"global": tf.one_hot(own, classes)}
        draws = generator.sample(
            size,
            context=context,
            seed=random.fold_in(random.make_seed(seed), number),
            **options,
        ).numpy()
        answers.append(network.answers(draws))
    return _joined(answers)


def _named_rightly(probabilities, labels, groups):
    """Returns bool `[n]`, whether the likeliest class is of the right group."""
    named = probabilities.argmax(-1)
    if groups is not None:
        groups = np.asarray(groups)
        named, labels = groups[named], groups[labels]
    return named == labels


def _distances(name, a, b):
    estimate = distances.kernel_distance(a, b)
    found = {
        f"{name}_kernel_distance": estimate.value,
        f"{name}_kernel_distance_error": estimate.half_interval,
    }
    if min(len(a), len(b)) > a.shape[1]:
        found[f"{name}_frechet_distance"] = distances.frechet_distance(a, b)
    return found


def _nearest_ratio(drawn, real, known):
    """Returns how near samples are to training pictures, of held-out ones."""

    def median(features):
        _, far = distances.nearest(features, known)
        return np.median(far)

    least = median(real)
    # Where held-out pictures are among the training ones, it says nothing.
    return {"nearest_ratio": median(drawn) / least} if least else {}


def accuracy(
    probabilities: Callable[[tf.Tensor], tf.Tensor],
    batches: Iterable,
    progress: bool = False,
    groups: Sequence[int] | None = None,
) -> dict[str, float]:
    """Measures a classifier on data, each example counted once.

    Args:
        probabilities: maps pictures to float32 `[batch, classes]`.
        batches: as for `statistics.examples`, with one-hot classes.
        progress: show a progress bar, where stderr is a terminal.
        groups: as for `evaluate`.

    Returns:
        A dict: `examples`; `accuracy`, the share of right names, and
        `accuracy_error`, half of its 95 % interval; `class_bits`, the mean of
        -log2 of the probability of the right class; with groups
        `group_accuracy`, the share of names of the right group.
    """
    right, bits, of_group = [], [], []
    for x, context, count in examples(batches, progress):
        found = np.asarray(probabilities(x), np.float64)[:count]
        labels = context["global"].numpy()[:count].argmax(-1)
        right.append(_named_rightly(found, labels, None))
        of_group.append(_named_rightly(found, labels, groups))
        of_label = found[np.arange(count), labels]
        bits.append(-np.log2(np.maximum(of_label, 1e-30)))
    right, bits = np.concatenate(right), np.concatenate(bits)
    figures = {
        "examples": len(right),
        "accuracy": float(right.mean()),
        "accuracy_error": half_interval(right),
        "class_bits": float(bits.mean()),
    }
    if groups is not None:
        figures["group_accuracy"] = float(np.concatenate(of_group).mean())
    return figures


CLASSIFIER_FIGURES = (
    Figure("accuracy", "classes named rightly", "", 4, 3e-3),
    Figure("accuracy_error", "half of its 95 % interval", "", 4, 1e-3),
    Figure("group_accuracy", "kinds named rightly", "", 4, 3e-3),
    Figure("class_bits", "-log2 of the right class", "bits", 3, 1e-2),
)
