"""Pairs of times of sequences, and what networks are told of a gap."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.utils.checks import check_not_negative, check_positive


class Gaps:
    """Which gaps t2 - t1 are drawn, and how often.

    Args:
        ranges: pairs (lowest, highest) of gaps, from 1 on; the gaps of a range
            are equally likely.
        weights: how often each range is drawn, numbers of at least 0 (not all
            0), not necessarily with sum 1. None (default) is equally often.

    Raises:
        ValueError: for other ranges, or a wrong number of weights.

    Example: those of the paper's oscillator.

    >>> gaps = Gaps([(1, 10), (1, 120)], [0.8, 0.2])
    >>> gaps.lowest, gaps.highest
    (1, 120)
    """

    def __init__(
        self,
        ranges: Sequence[tuple[int, int]],
        weights: Sequence[float] | None = None,
    ) -> None:
        self.ranges = _checked_ranges(ranges)
        self.weights = None if weights is None else _checked_weights(weights)
        if weights is not None and len(self.weights) != len(self.ranges):
            raise ValueError(
                "gap_weights must have a number for each range of gaps. "
                f"Received: {len(self.weights)} for {len(self.ranges)}."
            )

    @property
    def lowest(self) -> int:
        return min(low for low, _ in self.ranges)

    @property
    def highest(self) -> int:
        return max(high for _, high in self.ranges)

    def draw(
        self, noise: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws t1 and t2 = t1 + gap.

        In a sequence that is shorter than the gaps allow, gaps are at most as
        long as it permits; in one of a single frame, both times are 0.

        Args:
            noise: uniform in (0, 1), `[..., 3]`.
            lengths: int32, of the sequences; broadcast to `[...]`.

        Returns:
            Two int32 `[...]`.
        """
        longest = tf.maximum(lengths - 1, 0) + tf.zeros_like(
            noise[..., 0], tf.int32
        )
        upto = np.cumsum(self.weights or [1.0] * len(self.ranges))
        passed = noise[..., :1] > tf.constant(upto[:-1] / upto[-1], tf.float32)
        which = tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
        low, high = (
            tf.minimum(tf.gather(ends, which), longest)
            for ends in zip(*self.ranges)
        )
        gap = low + _floor(noise[..., 1] * _float(high - low + 1))
        first = _floor(noise[..., 2] * _float(longest + 1 - gap))
        return first, first + gap

    def check_jumps(self, gaps: list[int]) -> list[int]:
        """Returns gaps of jumps; raises ValueError unless all are known."""
        if min(gaps) < self.lowest or max(gaps) > self.highest:
            raise ValueError(
                f"The model was trained to jump by {self.lowest} to "
                f"{self.highest} frames. Received: jumps of {gaps}. Add times "
                "between them."
            )
        return gaps

    def check_length(self, time: int | None) -> None:
        """Raises ValueError for sequences too short for the longest gap."""
        if time is not None and time <= self.highest:
            raise ValueError(
                f"Sequences must be longer than the longest gap, "
                f"{self.highest} frames. Received: sequences of {time} frames. "
                "Use longer sequences, or shorter gaps."
            )


def gap_channels(longest: int) -> int:
    """The number of channels of `gap_features`."""
    return 2 + 2 * len(_periods(longest))


def gap_features(gap: tf.Tensor, longest: int) -> tf.Tensor:
    """Describes gaps to a network.

    Args:
        gap: int32 `[...]`, of 1 to `longest`.
        longest: the longest gap in training.

    Returns:
        float32 `[..., gap_channels(longest)]`: the gap and its logarithm as
        shares of those of the longest; sines and cosines of periods 4, 8, ...,
        up to four times the longest.
    """
    gap = _float(gap)
    shares = [gap / longest, tf.math.log1p(gap) / math.log1p(longest)]
    angles = gap[..., tf.newaxis] * (
        2 * math.pi / tf.constant(_periods(longest), tf.float32)
    )
    return tf.concat(
        [tf.stack(shares, axis=-1), tf.sin(angles), tf.cos(angles)], axis=-1
    )


def _periods(longest):
    return [2.0 ** (2 + k) for k in range(longest.bit_length() + 1)]


def _float(x):
    return tf.cast(x, tf.float32)


def _floor(x):
    return tf.cast(tf.floor(x), tf.int32)


def _checked_ranges(ranges):
    pairs = [tuple(pair) for pair in ranges if np.iterable(pair)]
    if not pairs or len(pairs) != len(ranges) or {*map(len, pairs)} != {2}:
        raise ValueError(
            "gaps must be pairs (lowest, highest), such as [(1, 4)]. "
            f"Received: {ranges!r}."
        )
    for low, high in pairs:
        if check_positive("A gap", low) > check_positive("A gap", high):
            raise ValueError(
                "Each pair of gaps is (lowest, highest). Received: "
                f"{(low, high)}."
            )
    return tuple(pairs)


def _checked_weights(weights):
    for weight in weights:
        check_not_negative("Each of gap_weights", weight)
    if not sum(weights):
        raise ValueError(
            f"gap_weights must not all be 0. Received: {list(weights)}."
        )
    return tuple(map(float, weights))
