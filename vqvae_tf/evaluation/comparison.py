"""Compares models example by example, or by pairs of runs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vqvae_tf.evaluation.statistics import half_interval


class Interval(NamedTuple):
    """A mean, and half of its 95 % confidence interval.

    Attributes:
        mean: the mean.
        half: half of the interval's width, in the unit of the mean.
    """

    mean: float
    half: float


def of_runs(values: Sequence[float]) -> Interval:
    """Returns the mean and interval of a figure over runs, by Student's t.

    Args:
        values: float `[n]`, of n >= 2 runs with different seeds.

    Raises:
        ValueError: for fewer than two values.

    Example:

    >>> found = of_runs([1, 2, 3, 4, 5])
    >>> f"{found.mean:.1f} ± {found.half:.2f}"
    '3.0 ± 1.96'
    """
    # Slow to import and rarely needed.
    import tensorflow_probability as tfp

    values = np.asarray(values, np.float64)
    if len(values) < 2:
        raise ValueError(
            "An interval needs the figures of two or more runs. Received: "
            f"{len(values)}."
        )
    student = tfp.distributions.StudentT(
        df=np.float64(len(values) - 1), loc=np.float64(0), scale=np.float64(1)
    )
    spread = values.std(ddof=1) / math.sqrt(len(values))
    half = student.quantile(np.float64(0.975)).numpy() * spread
    return Interval(float(values.mean()), float(half))


def by_run(
    figures: Sequence[dict], others: Sequence[dict] | None = None
) -> dict[str, Interval]:
    """Returns the interval of each figure that all runs have.

    Args:
        figures: dicts of figures of two or more runs.
        others: as many dicts, to be subtracted pair by pair; or None.

    Example:

    >>> seeds = [{"mse": 3.0}, {"mse": 4.0}]
    >>> by_run(seeds, [{"mse": 1.0}, {"mse": 2.0}])
    {'mse': Interval(mean=2.0, half=0.0)}
    """
    shared = set.intersection(*(set(f) for f in [*figures, *(others or [])]))
    names = [name for name in figures[0] if name in shared]
    if others is None:
        return {n: of_runs([f[n] for f in figures]) for n in names}
    pairs = list(zip(figures, others, strict=True))
    return {n: of_runs([a[n] - b[n] for a, b in pairs]) for n in names}


def by_example(
    rows: dict[str, np.ndarray], others: dict[str, np.ndarray]
) -> dict[tuple[str, str], Interval]:
    """Returns the intervals of differences of bounds, example by example.

    Examples differ much more than models do, so these intervals are narrower
    than those of the two bounds.

    Args:
        rows, others: bounds of the same examples in bits/dim `[n]`, by name;
            the `rows` of `evaluation.evaluate`.

    Returns:
        The `Interval` of each of the rows minus each of the others, by pairs
        of names.

    Raises:
        ValueError: for different numbers of examples.

    Example:

    >>> import numpy as np
    >>> rows = {"bits_per_dim": np.array([5.0, 7.0])}
    >>> by_example(rows, {"bits_per_dim": np.array([4.5, 6.5])})
    {('bits_per_dim', 'bits_per_dim'): Interval(mean=0.5, half=0.0)}
    """
    found = {}
    for name, bits in rows.items():
        for other, of_other in others.items():
            if len(bits) != len(of_other):
                raise ValueError(
                    "Expected bounds of the same examples. Received: "
                    f"{len(bits)} and {len(of_other)} of them."
                )
            difference = bits - of_other
            half = half_interval(difference)
            found[name, other] = Interval(float(difference.mean()), half)
    return found
