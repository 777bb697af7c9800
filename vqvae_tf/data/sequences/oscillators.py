"""Noisy harmonic oscillators, and such that switch their frequency."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf.data.sequences.source import SequenceSource, check_length
from vqvae_tf.utils.checks import (
    check_integer,
    check_not_negative,
    check_number,
    check_positive,
)

_PACKET = 16  # at least as many floats as any CPU computes at once


class Oscillators(SequenceSource):
    r"""Positions of harmonic oscillators, observed with Gaussian noise.

    .. math::

        x_t = a \sin(2 \pi f t + \phi) + \sigma \, \epsilon_t

    of amplitude a, frequency f and phase phi, with sigma the `noise`.
    Each sequence has a frequency, an amplitude and a phase of its own, uniform
    in their ranges. The paper does not say which ranges; the defaults are ours.

    Args:
        length: frames of each sequence, T; 200 by default, as in the paper.
        num_examples: number of sequences in evaluation (default 1000). Those
            of training are drawn anew at each step and never repeat.
        frequencies: (lowest, highest) in cycles per step, above 0 and at most
            0.5; (0.02, 0.08) by default, periods of 12.5 to 50 steps.
        amplitudes: (lowest, highest), at least 0; (0.5, 1.5) by default.
        noise: standard deviation of the noise, at least 0 (default 0.1).
        stream: int (default 0), as for `SequenceSource`.

    The phase is uniform in [0, 2 pi). A sequence has frames float32 `[T, 1]`,
    and no mask. `known` returns "frequency", "amplitude" and "phase" (in
    radians, at t = 0), float32 [batch] each.

    Raises:
        ValueError: ranges or numbers other than these.

    Example:

    >>> source = Oscillators(length=50, noise=0)
    >>> noise = source.evaluation_noise([0, 1])
    >>> frames, _ = source.get([0, 1], noise)
    >>> amplitude = source.known([0, 1], noise)["amplitude"].numpy()
    >>> frames.shape, bool((np.abs(frames[..., 0]).T <= amplitude).all())
    (TensorShape([2, 50, 1]), True)

    References:
        Gregor et al. 2019, arXiv:1806.03107, the experiment on the noisy
        harmonic oscillator.
    """

    def __init__(
        self,
        length: int = 200,
        num_examples: int = 1000,
        frequencies: tuple[float, float] = (0.02, 0.08),
        amplitudes: tuple[float, float] = (0.5, 1.5),
        noise: float = 0.1,
        stream: int = 0,
    ):
        length = check_length(length)
        self.frequencies = _range("frequencies", frequencies, _frequency)
        self.amplitudes = _range("amplitudes", amplitudes, _amplitude)
        self.noise = float(check_not_negative("noise", noise))
        super().__init__(
            "oscillators",
            check_positive("num_examples", num_examples),
            length,
            shape=(1,),
            noise_size=3 + length,
            stream=stream,
        )

    def get(self, index: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, None]:
        found = self.known(index, noise)
        return _observed(self.positions(found), noise[:, 3:], self.noise), None

    def positions(self, known: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the positions without noise, float32 `[batch, T]`.

        Args:
            known: as from `known`.
        """
        turns = _radians(np.arange(self.length))
        return _positions(known, known["frequency"][:, None] * turns)

    def known(self, index: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "frequency": _between(self.frequencies, noise[:, 0]),
            "amplitude": _between(self.amplitudes, noise[:, 1]),
            "phase": _between((0, 2 * math.pi), noise[:, 2]),
        }


class SwitchingOscillators(SequenceSource):
    """Oscillators of four segments, the last of which depends on the first two.

    The frequencies of the first three segments are drawn. That of the last one
    says whether the first was greater than the second, which a model must thus
    have kept in its belief during the long third segment. The phase does not
    jump where the frequency changes.

    The paper does not say which frequencies; the defaults are ours. In segments
    of 10 steps they make 0.5 to 2 cycles: by a maximum-likelihood fit to both
    segments it can be told which is greater in 97 % of 1000 sequences.

    Args:
        num_examples: number of sequences in evaluation (default 1000). Those
            of training are drawn anew at each step and never repeat.
        bounds: five increasing times, from 0 to the length of the sequences;
            segment k has the times bounds[k] to bounds[k + 1] - 1.
            (0, 10, 20, 120, 140) by default, as in the paper.
        frequencies: (lowest, highest) of the first three segments, in cycles
            per step, above 0 and at most 0.5; (0.05, 0.2) by default.
        last_frequencies: (f_a, f_b): the frequency of the last segment if the
            first is greater than the second, and if it is not; (0.16, 0.08) by
            default.
        amplitudes, noise, stream: as for `Oscillators`.

    A sequence has frames float32 `[T, 1]`, and no mask. `known` returns
    "frequencies", float32 [batch, 4], of the segments; "is_greater", bool
    [batch], whether the first frequency is greater than the second;
    "amplitude" and "phase" (in radians, at t = 0), float32 [batch].

    Raises:
        ValueError: ranges, times or numbers other than these.

    Example:

    >>> source = SwitchingOscillators()
    >>> source.length
    140
    >>> known = source.known([0, 1], source.evaluation_noise([0, 1]))
    >>> greater = known["frequencies"][:, 0] > known["frequencies"][:, 1]
    >>> bool((known["is_greater"] == greater).numpy().all())
    True

    References:
        Gregor et al. 2019, arXiv:1806.03107, the comparison of belief states
        with those of an LSTM.
    """

    def __init__(
        self,
        num_examples: int = 1000,
        bounds: Sequence[int] = (0, 10, 20, 120, 140),
        frequencies: tuple[float, float] = (0.05, 0.2),
        last_frequencies: tuple[float, float] = (0.16, 0.08),
        amplitudes: tuple[float, float] = (0.5, 1.5),
        noise: float = 0.1,
        stream: int = 0,
    ):
        self.bounds = _bounds(bounds)
        self.frequencies = _range("frequencies", frequencies, _frequency)
        self.last_frequencies = _last_frequencies(last_frequencies)
        self.amplitudes = _range("amplitudes", amplitudes, _amplitude)
        self.noise = float(check_not_negative("noise", noise))
        length = self.bounds[-1]
        super().__init__(
            "switching oscillators",
            check_positive("num_examples", num_examples),
            length,
            shape=(1,),
            noise_size=5 + length,
            stream=stream,
        )
        first, end = np.array(self.bounds[:-1]), np.array(self.bounds[1:])
        spent = np.arange(length)[:, None] - first
        # Steps that each segment lasted until each time, [4, T].
        self._spent = np.clip(spent, 0, end - first).T

    def get(self, index: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, None]:
        found = self.known(index, noise)
        return _observed(self.positions(found), noise[:, 5:], self.noise), None

    def positions(self, known: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the positions without noise; see `Oscillators`."""
        each = tf.unstack(known["frequencies"], axis=1)
        # Not a matrix product, whose rounding may depend on the batch size.
        turns = zip(each, _radians(self._spent))
        angles = tf.add_n([f[:, None] * spent for f, spent in turns])
        return _positions(known, angles)

    def known(self, index: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        drawn = _between(self.frequencies, noise[:, :3])
        is_greater = drawn[:, 0] > drawn[:, 1]
        last = tf.where(is_greater, *self.last_frequencies)
        return {
            "frequencies": tf.concat([drawn, last[:, None]], axis=1),
            "is_greater": is_greater,
            "amplitude": _between(self.amplitudes, noise[:, 3]),
            "phase": _between((0, 2 * math.pi), noise[:, 4]),
        }


def _radians(steps):
    """Returns the angles of one cycle per step.

    In advance: graphs would fold the factor into other constants, and round
    differently than without a graph.
    """
    return (2 * math.pi * steps).astype(np.float32)


def _positions(found, angles):
    """Returns positions at angles from t = 0, both `[batch, T]`."""
    angles += found["phase"][:, None]
    return found["amplitude"][:, None] * _by_rows(tf.sin, angles)


def _observed(positions, noise, spread):
    """Returns noisy positions, `[batch, T, 1]`."""
    return (positions + spread * _by_rows(tf.math.ndtri, noise))[..., None]


def _by_rows(function, x):
    """Applies an elementwise function to `[batch, size]`.

    TensorFlow computes the last elements of a tensor, those that fill no
    packet, by another kernel, which may round differently. Padded rows have
    none, so that a row's values do not depend on the batch that it is in.
    """
    size = x.shape[1]
    padded = tf.pad(x, [[0, 0], [0, -size % _PACKET]], constant_values=0.5)
    return function(padded)[:, :size]


def _between(ends, uniform):
    low, high = ends
    return low + (high - low) * uniform


def _values(name, value, count, expected):
    """Returns a tuple; raises ValueError unless it has `count` values."""
    found = tuple(value) if np.iterable(value) else ()
    if len(found) != count:
        raise ValueError(f"{name} must be {expected}. Received: {value!r}.")
    return found


def _range(name, value, check):
    ends = _values(name, value, 2, "a pair (lowest, highest)")
    low, high = (check(name, end) for end in ends)
    if low > high:
        raise ValueError(
            f"{name} must be (lowest, highest), in this order. Received: "
            f"{(low, high)}."
        )
    return low, high


def _frequency(name, value):
    # Oscillations above half a cycle per step look like slower ones.
    smallest = float(np.finfo(np.float32).tiny)
    expected = "numbers above 0 and at most 0.5, in cycles per step"
    return float(check_number(name, value, smallest, 0.5, expected))


def _amplitude(name, value):
    largest = float(np.finfo(np.float32).max)
    expected = "finite numbers of at least 0"
    return float(check_number(name, value, 0, largest, expected))


def _last_frequencies(value):
    name = "last_frequencies"
    expected = "a pair, the last frequency if f1 > f2, and if not"
    pair = _values(name, value, 2, expected)
    f_a, f_b = (_frequency(name, f) for f in pair)
    if f_a == f_b:
        raise ValueError(
            f"{name} must differ, or the last segment tells nothing of the "
            f"first two. Received: {(f_a, f_b)}."
        )
    return f_a, f_b


def _bounds(value):
    expected = "five increasing times from 0 on, such as (0, 10, 20, 120, 140)"
    times = _values("bounds", value, 5, expected)
    found = [check_integer("A time of bounds", t, 0) for t in times]
    if found[0] or min(np.diff(found)) < 1:
        raise ValueError(f"bounds must be {expected}. Received: {value!r}.")
    return tuple(found)
