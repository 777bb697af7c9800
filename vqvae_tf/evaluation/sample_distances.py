"""How far samples are from data, in the features of some network.

Say with each figure which network computed the features, how many examples
each side has, and what two real sets of the same sizes give: the floor.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# Rows of a kernel or of distances that are computed at a time.
_CHUNK = 1024


class Estimate(NamedTuple):
    """An estimate and half of its 95 % confidence interval."""

    value: float
    half_interval: float


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Returns the Frechet distance of two sets, assuming both are Gaussian.

    `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`, of the means and
    covariances. It is biased upwards for small sets: compare sets of the same
    size.

    Args:
        a, b: features, `[n, channels]` and `[m, channels]`.

    Raises:
        ValueError: for features of different channels, or that are not finite,
            and for no more examples than channels, whose covariance is
            singular.

    Example:

    >>> x = np.random.default_rng(0).normal(size=[1000, 4])
    >>> round(frechet_distance(x, x + 3.0), 6)
    36.0

    References:
        Heusel et al. 2017, arXiv:1706.08500, eq. 6 (with Inception's
        features: FID).
    """
    a, b = _check_features(a, b)
    for name, features in (("a", a), ("b", b)):
        if len(features) <= features.shape[1]:
            raise ValueError(
                "The Frechet distance needs more examples than channels; use "
                "kernel_distance for fewer. Received: "
                f"{name} of shape {features.shape}."
            )
    difference = a.mean(axis=0) - b.mean(axis=0)
    c_a, c_b = _covariance(a), _covariance(b)
    # C_a C_b has the eigenvalues of this, which is symmetric.
    root = _root(c_a)
    values = np.linalg.eigvalsh(root @ c_b @ root)
    cross = np.sqrt(np.maximum(values, 0)).sum()
    return float(difference @ difference + np.trace(c_a + c_b) - 2 * cross)


def _covariance(x):
    return np.cov(x, rowvar=False).reshape(2 * x.shape[1:])


def _root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(a: ArrayLike, b: ArrayLike) -> Estimate:
    """Returns the unbiased kernel distance of two sets, with its interval.

    The squared maximum mean discrepancy with the kernel `(x . y / channels +
    1)^3`, from all pairs of different examples. Its expectation is that of
    large sets, however small these are, so it may be below 0. The interval is
    the jackknife's.

    Both sets must be independent: the reconstructions of a set and that set
    itself are not, and give values below 0.

    Args:
        a, b: features, `[n, channels]` and `[m, channels]`, n and m at least 3.

    Raises:
        ValueError: for features of different channels, or that are not finite,
            and for fewer than three examples.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=[2, 500, 4])
    >>> abs(kernel_distance(a, b).value) < 0.05
    True
    >>> kernel_distance(a, b + 1).value > 1
    True

    References:
        Binkowski et al. 2018, arXiv:1801.01401, section 3 (with Inception's
        features: KID); Gretton et al. 2012, "A kernel two-sample test", eq. 3;
        Efron and Stein 1981, "The jackknife estimate of variance".
    """
    a, b = _check_features(a, b)
    for name, features in (("a", a), ("b", b)):
        if len(features) < 3:
            raise ValueError(
                "The kernel distance needs at least three examples of each. "
                f"Received: {name} of shape {features.shape}."
            )
    of_a, of_b = _sums_within(a), _sums_within(b)
    across_a, across_b = _kernel_sums(a, b)
    n, m, across = len(a), len(b), across_a.sum()

    def estimate(in_a, in_b, across, n, m):
        pairs = in_a / (n * (n - 1)) + in_b / (m * (m - 1))
        return pairs - 2 * across / (n * m)

    value = estimate(of_a.sum(), of_b.sum(), across, n, m)
    # Without each example in turn; a pair is counted in two rows.
    without_a = estimate(
        of_a.sum() - 2 * of_a, of_b.sum(), across - across_a, n - 1, m
    )
    without_b = estimate(
        of_a.sum(), of_b.sum() - 2 * of_b, across - across_b, n, m - 1
    )
    variance = sum(
        (len(each) - 1) * np.var(each) for each in (without_a, without_b)
    )
    return Estimate(float(value), float(1.96 * np.sqrt(variance)))


def _kernel_sums(a, b):
    """Returns the kernel's sums over b for each of a, and over a for b's."""
    of_a, of_b = [], np.zeros(len(b))
    for part in _chunks(a):
        kernel = (part @ b.T / a.shape[1] + 1) ** 3
        of_a.append(kernel.sum(axis=1))
        of_b += kernel.sum(axis=0)
    return np.concatenate(of_a), of_b


def _sums_within(x):
    """Returns each row's sum of the kernel with the other rows."""
    own = ((x * x).sum(axis=1) / x.shape[1] + 1) ** 3
    return _kernel_sums(x, x)[0] - own


def nearest(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest example of b for each of a, and how far it is.

    Samples much nearer to the training data than held-out data are copies.

    Args:
        a, b: features, `[n, channels]` and `[m, channels]`.

    Returns:
        int64 `[n]`, rows of b, and float64 `[n]`, Euclidean distances.

    Raises:
        ValueError: for features of different channels, or that are not finite.

    Example:

    >>> nearest([[0.0, 1.0]], [[9.0, 9.0], [0.0, 3.0]])
    (array([1]), array([2.]))
    """
    a, b = _check_features(a, b)
    squares = (b * b).sum(axis=1)
    rows = np.concatenate(
        [np.argmin(squares - 2 * part @ b.T, axis=1) for part in _chunks(a)]
    )
    # From the difference: that of squares loses digits where it is small.
    return rows, np.linalg.norm(a - b[rows], axis=1)


def _chunks(rows):
    return (
        rows[first : first + _CHUNK] for first in range(0, len(rows), _CHUNK)
    )


def _check_features(a, b):
    """Returns both sets as float64 arrays."""
    found = [np.asarray(x, np.float64) for x in (a, b)]
    shapes = [x.shape for x in found]
    if (
        any(len(shape) != 2 or 0 in shape for shape in shapes)
        or shapes[0][1] != shapes[1][1]
    ):
        raise ValueError(
            "Features must have shape [examples, channels], with equal "
            f"channels. Received: shapes {shapes[0]} and {shapes[1]}."
        )
    for name, x in zip("ab", found):
        if not np.all(np.isfinite(x)):
            raise ValueError(
                f"Features must be finite. Received: {name} with NaN or "
                "infinite values."
            )
    return found
