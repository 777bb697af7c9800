"""Timing in pairs, since a machine's speed drifts from minute to minute."""

import pathlib
import re
import statistics
import subprocess
import sys
import time

# Threads that look out for more work, as OpenMP's do, give up before that.
REST_SECONDS = 0.02


def paired(functions: dict, runs=7, warm_ups=1, clock=None) -> dict:
    """Times functions in turn, A B A B ..., after some warm-ups of each.

    Args:
        functions: name to a function without arguments that waits for its
            result.
        runs: timed calls of each.
        warm_ups: calls of each that are not timed.
        clock: returns seconds; `time.process_time` counts what all threads
            compute, which other work on the machine changes less.

    Returns:
        name to a list of seconds.
    """
    clock = clock or time.perf_counter
    times = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(warm_ups):
            function()
    for _ in range(runs):
        for name, function in functions.items():
            time.sleep(REST_SECONDS)
            start = clock()
            function()
            times[name].append(clock() - start)
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


def report(times: dict, ours: str, indent: str = "  ") -> None:
    """Prints the milliseconds of each, and its ratio to ours."""
    for name, values in times.items():
        line = f"{indent}{name:22} ms {summary([1e3 * v for v in values])}"
        if name != ours:
            ratio = summary(ratios(times, ours, name))
            line += f"; {name} / {ours}: {ratio}"
        print(line, flush=True)


def peak_mib() -> float:
    """Returns this process' peak resident memory in MiB; on Linux."""
    # Not getrusage: its figure begins at that of the process that started us.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def peak_mib_of(function) -> float:
    """Returns by how many MiB a call raises this process' memory; on Linux."""
    # The peak so far becomes the memory that is in use (man 5 proc).
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    function()
    return peak_mib() - before


def in_process(*arguments) -> list[float]:
    """Runs Python with arguments in a fresh process.

    Returns:
        the numbers on the last line that it prints.
    """
    command = [sys.executable, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr[-2000:]}")
    return [float(number) for number in run.stdout.splitlines()[-1].split()]


class Worker:
    """A function that is called in a process of its own, again and again.

    What one leaves in memory then does not slow another: after blocks of
    gigabytes, the C library hands out and takes back smaller ones otherwise.

    Args:
        arguments: Python's; the program ends in `serve(function)`.
    """

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self()

    def __call__(self):
        """Calls the function once; returns when it has."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != "done":
            self._process.kill()
            self.close()
            raise RuntimeError(f"{' '.join(self._process.args)} failed.")

    def close(self):
        with self._process:
            self._process.communicate()


def serve(function):
    """Calls a function for each line of the input; the side of a `Worker`."""
    for _ in sys.stdin:
        function()
        print("done", flush=True)
