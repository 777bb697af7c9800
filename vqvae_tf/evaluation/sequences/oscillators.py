"""Whether futures of oscillators have their frequency, amplitude and phase."""

import keras
import numpy as np

from vqvae_tf.evaluation.figure import Figure

# The paper's: a belief after 60 frames, a jump, then 20 steps.
PAST, JUMPS, STEPS = 60, (20, 100), 20


def _figures():
    for jump in JUMPS:
        title = f"After a jump of {jump}"
        yield Figure(
            f"amplitude_correlation_{jump}",
            f"{title}: correlation of amplitudes",
            tolerance=0.02,
        )
        yield Figure(
            f"frequency_error_{jump}",
            f"{title}: mean error of the frequency",
            "%",
            digits=2,
            tolerance=0.5,
        )
        yield Figure(
            f"phase_error_{jump}",
            f"{title}: mean error of the phase",
            "degrees",
            digits=1,
            tolerance=2.0,
        )
        yield Figure(
            f"filter_phase_error_{jump}",
            "The same, of a filter that knows the frequency",
            "degrees",
            digits=1,
            tolerance=0.5,
        )


FIGURES = tuple(_figures())


def known_jumps(model: keras.Model, length: int) -> tuple[int, ...]:
    """Returns those of JUMPS that a model knows, in `length` frames."""
    _, high = model.jumps or (1, length)
    last = length - PAST - STEPS
    return tuple(jump for jump in JUMPS if jump <= min(high, last))


def fit_sine(
    positions: np.ndarray,
    frequencies: tuple[float, float] = (0.005, 0.2),
    count: int = 1000,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits `amplitude * sin(2 pi frequency t + phase)` by least squares.

    Args:
        positions: `[n, time]`, at t = 0, 1, ...
        frequencies: the lowest and highest that are tried, cycles a step.
        count: how many are tried.

    Returns:
        frequency, amplitude and phase (radians), float64 `[n]` each.

    Example:

    >>> t = np.arange(30)
    >>> found = fit_sine(1.5 * np.sin(2 * np.pi * 0.05 * t + 1)[None])
    >>> [round(float(each[0]), 2) for each in found[:2]]
    [0.05, 1.5]
    """
    positions = np.asarray(positions, np.float64)
    tried = np.linspace(*frequencies, count)
    found = [fit_at(positions, np.full(len(positions), f)) for f in tried]
    best = np.argmin([error for *_, error in found], axis=0)
    rows = np.arange(len(positions))
    amplitude, phase = (
        np.stack([each[i] for each in found])[best, rows] for i in (0, 1)
    )
    return tried[best], amplitude, phase


def fit_at(
    positions: np.ndarray, frequency: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits amplitude and phase of known frequencies by least squares.

    Without noise in the motion, it is what a Kalman filter that knows the
    frequency believes at last (from a diffuse start).

    Args:
        positions: `[n, time]`.
        frequency: `[n]`.

    Returns:
        amplitude, phase (radians, at t = 0) and squared error, `[n]` each.
    """
    angle = 2 * np.pi * frequency[:, None] * np.arange(positions.shape[1])
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    gram = np.einsum("nta,ntb->nab", basis, basis)
    right = np.einsum("nta,nt->na", basis, positions)
    weights = np.linalg.solve(gram, right[..., None])[..., 0]
    error = positions - np.einsum("nta,na->nt", basis, weights)
    phase = np.arctan2(weights[:, 1], weights[:, 0])
    return np.hypot(*weights.T), phase, (error**2).sum(axis=1)


def measure(
    positions: np.ndarray, past: np.ndarray, known: dict, jump: int
) -> dict[str, float]:
    """Compares the positions of futures with the true oscillators.

    Args:
        positions: of `[n, STEPS + 1]` times, the first `jump` steps after the
            past's last one.
        past: what was observed, `[n, PAST]`.
        known: "frequency", "amplitude" and "phase" of the oscillators, at the
            past's first time.
        jump: 20 or 100.

    Returns:
        The figures of that jump.
    """
    frequency, amplitude, phase = fit_sine(positions)
    start = past.shape[1] - 1 + jump
    of_filter = fit_at(past.astype(np.float64), known["frequency"])[1]
    moved = 2 * np.pi * known["frequency"] * start
    return {
        f"amplitude_correlation_{jump}": float(
            np.corrcoef(amplitude, known["amplitude"])[0, 1]
        ),
        f"frequency_error_{jump}": 100
        * float(np.mean(np.abs(frequency / known["frequency"] - 1))),
        f"phase_error_{jump}": _degrees(phase - moved - known["phase"]),
        f"filter_phase_error_{jump}": _degrees(of_filter - known["phase"]),
    }


def _degrees(difference):
    """Returns the mean size of differences of angles, in degrees."""
    wrapped = np.angle(np.exp(1j * np.asarray(difference, np.float64)))
    return float(np.degrees(np.mean(np.abs(wrapped))))
