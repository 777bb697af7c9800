"""Timing in pairs, since a machine's speed drifts from minute to minute."""

import pathlib
import re
import statistics
import time


def paired(functions: dict, runs: int = 7) -> dict:
    """Times functions in turn, A B A B ..., after one warm-up of each.

    Args:
        functions: name to a function without arguments that waits for its
            result.
        runs: timed calls of each.

    Returns:
        name to a list of seconds.
    """
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return times


def summary(values) -> str:
    """Returns "median (min to max)" of numbers."""
    return (
        f"{statistics.median(values):.3g} "
        f"({min(values):.3g} to {max(values):.3g})"
    )


def ratios(times: dict, ours: str, theirs: str) -> list[float]:
    """Returns theirs / ours, pair by pair: above 1, ours is faster."""
    return [b / a for a, b in zip(times[ours], times[theirs])]


def peak_mib() -> float:
    """Returns this process' peak resident memory in MiB; on Linux."""
    # Not getrusage: its figure begins at that of the process that started us.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024
