"""How well single latents stand for single factors of the data."""

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
    """The score and what it is made of.

    Attributes:
        score: the mean of `gaps`.
        gaps: float `[f]`: for each factor, by how much its best latent tells
            more of it than the second best, over the factor's entropy.
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
    """Measures whether each factor is told by one latent, and by it alone.

    1 if each factor is a function of one latent and no other latent tells
    anything of it; 0 if each factor's best two latents tell the same. A latent
    is taken for discrete, in bins of equal width from its least value to its
    greatest, so that the score does not change where a latent is scaled or
    moved; nor does the order of latents or of factors matter.

    Counts of n examples overstate the information of two variables of R and C
    values: for independent ones by about (R - 1)(C - 1) / 2n. Most of that is
    lost in the gap, since both of its terms have it; but take n well above
    `num_bins` times the number of a factor's values.

    Args:
        latents: float `[n, d]`, d of at least 2; of n examples the means (or
            samples) of the posterior.
        factors: integers `[n, f]`, what the examples were made of.
        num_bins: the number of bins of a latent.

    Returns:
        `InformationGap`: score, gaps, information, entropies.

    Raises:
        ValueError: for arrays that do not fit each other, latents that are not
            finite, or a factor that never changes.

    Example: the second factor is told by two latents alike.

    >>> factors = np.stack(np.unravel_index(np.arange(12), (3, 4)), axis=-1)
    >>> gap = mutual_information_gap(factors[:, [0, 1, 1]], factors)
    >>> gap.gaps.round(3), round(gap.score, 3)
    (array([1., 0.]), 0.5)

    References:
        Chen et al. 2018, arXiv:1802.04942, section 4.1, who integrate over
        the posterior. Means in 20 bins are those of Locatello et al. 2019,
        arXiv:1811.12359.
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
    # Halved, since a difference of two floats may be too large for one.
    low, high = column.min() / 2, column.max() / 2
    if low == high:
        return np.zeros(len(column), np.int64)
    share = (column / 2 - low) / (high - low)
    return np.minimum((share * num_bins).astype(np.int64), num_bins - 1)


def _numbered(column, k):
    """Returns values as 0, 1, ..., without gaps."""
    found, numbers = np.unique(column, return_inverse=True)
    if len(found) < 2:
        raise ValueError(
            "Each factor must have at least two values among the examples; "
            f"leave out one that never changes. Received: {found[0]} "
            f"everywhere in factors[:, {k}]."
        )
    return numbers


def _mutual_information(a, b):
    """Returns I(a; b) in nats, of two vectors of small integers."""
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
