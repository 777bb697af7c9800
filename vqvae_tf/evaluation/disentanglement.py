"""How well single latents represent single factors of the data."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.utils.checks import check_positive

FIGURES = (
    Figure(
        "mig",
        "mutual information gap, of latents and factors",
        digits=3,
        tolerance=5e-3,
    ),
)


class InformationGap(NamedTuple):
    """The score and its parts.

    Attributes:
        score: the mean of `gaps`.
        gaps: float `[f]`: for each factor, the difference between the two
            highest entries of `information`, over the factor's entropy.
        information: float `[d, f]`: the mutual information of each latent and
            each factor, in nats.
        entropies: float `[f]`: of the factors, in nats.
    """

    score: float
    gaps: np.ndarray
    information: np.ndarray
    entropies: np.ndarray


def mutual_information_gap(
    latents: ArrayLike, factors: ArrayLike, num_bins: int = 20
) -> InformationGap:
    """Measures whether each factor is represented by exactly one latent.

    The score is 1 if each factor is a function of one latent and independent of
    the others, and 0 if each factor's best two latents are equally informative.
    Latents are discretized in bins of equal width from their lowest to their
    highest value, so the score does not depend on their scale or offset, nor on
    the order of latents or factors.

    Counts of n examples overestimate the information of independent variables
    of R and C values by about (R - 1)(C - 1) / 2n. This mostly cancels in the
    gap, but choose n well above `num_bins` times the values of a factor.

    Args:
        latents: float `[n, d]`, d >= 2: the posterior's mean, or a sample, for
            each example.
        factors: integers `[n, f]`, the factors that generated the examples.
        num_bins: number of bins of a latent.

    Raises:
        ValueError: for arrays that do not fit each other, latents that are not
            finite, or a constant factor.

    Example: two latents are equally informative about the second factor.

    >>> factors = np.stack(np.unravel_index(np.arange(12), (3, 4)), axis=-1)
    >>> gap = mutual_information_gap(factors[:, [0, 1, 1]], factors)
    >>> gap.gaps.round(3), round(gap.score, 3)
    (array([1., 0.]), 0.5)

    References:
        Chen et al. 2018, arXiv:1802.04942, section 4.1, who integrate over
        the posterior. Locatello et al. 2019, arXiv:1811.12359, use means in 20
        bins.
    """
    latents, factors = _checked(latents, factors)
    num_bins = check_positive("num_bins", num_bins)
    bins = [_binned(column, num_bins) for column in latents.T]
    values = [_numbered(column, k) for k, column in enumerate(factors.T)]
    information = np.array(
        [[_mutual_information(a, b) for b in values] for a in bins]
    )
    entropies = np.array([_mutual_information(b, b) for b in values])
    second, first = np.sort(information, axis=0)[-2:]
    gaps = (first - second) / entropies
    return InformationGap(float(gaps.mean()), gaps, information, entropies)


def _binned(column, num_bins):
    """Returns the number of each value's bin."""
    # Halved, since the difference of two floats may overflow.
    low, high = column.min() / 2, column.max() / 2
    if low == high:
        return np.zeros(len(column), np.int64)
    share = (column / 2 - low) / (high - low)
    return np.minimum((share * num_bins).astype(np.int64), num_bins - 1)


def _numbered(column, k):
    """Renumbers values as 0, 1, ..., without gaps."""
    found, numbers = np.unique(column, return_inverse=True)
    if len(found) < 2:
        raise ValueError(
            "Each factor must have at least two values among the examples; "
            f"leave out constant ones. Received: {found[0]} everywhere in "
            f"factors[:, {k}]."
        )
    return numbers


def _mutual_information(a, b):
    """Returns I(a; b) in nats for two vectors of small integers."""
    columns = b.max() + 1
    joint = np.bincount(a * columns + b, minlength=(a.max() + 1) * columns)
    joint = joint.reshape(-1, columns) / len(a)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / apart[seen])))


def _checked(latents, factors):
    latents, factors = np.asarray(latents, np.float64), np.asarray(factors)
    if latents.ndim != 2 or latents.shape[1] < 2 or not len(latents):
        raise ValueError(
            "Latents must be [n, d], with at least two latents an example. "
            f"Received: shape {latents.shape}."
        )
    if not np.isfinite(latents).all():
        raise ValueError(
            "Latents must be finite. Received: "
            f"{np.sum(~np.isfinite(latents))} values that are not."
        )
    whole = np.issubdtype(factors.dtype, np.integer)
    fits = factors.ndim == 2 and len(factors) == len(latents)
    if not whole or not fits or not factors.shape[1]:
        raise ValueError(
            f"Factors must be integers [n, f], here of n={len(latents)} "
            f"examples. Received: {factors.dtype} of shape {factors.shape}."
        )
    return latents, factors
