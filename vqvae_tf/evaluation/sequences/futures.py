"""How alike the futures of one belief are, near and far."""

import keras
import numpy as np

from vqvae_tf.evaluation.figure import Figure
from vqvae_tf.utils.progress import bar

FUTURES, NEAR, FAR = 3, 1, 40
FIGURES = tuple(
    Figure(
        f"{what}_equal_{time}",
        f"{title}, {time} step{'s' * (time > 1)} ahead",
        tolerance=0.02,
    )
    for what, title in (
        ("futures", f"Equal values of {FUTURES} futures"),
        ("true", "Equal values of a future and the true frame"),
    )
    for time in (NEAR, FAR)
)


def shares_equal(
    model: keras.Model,
    past: np.ndarray,
    later: dict[int, np.ndarray],
    batch_size: int = 20,
    progress: bool = True,
) -> dict[str, float]:
    """Returns which share of values, such as codes, futures have in common.

    Args:
        model: a `SequenceModel`.
        past: frames `[n, time, *event]`.
        later: the true frames `[n, *event]`, by steps after the past.
        batch_size: sequences at a time.
        progress: show a progress bar.

    Returns:
        `futures_equal_T` and `true_equal_T` for the times T of `later`.
    """
    times = sorted(later)
    path = path_through(times, model.jumps)
    wanted = np.searchsorted(path, times)
    drawn = [
        model.rollout(
            past[i : i + batch_size], times=path, num_futures=FUTURES, seed=i
        ).numpy()[:, wanted]
        for i in bar(range(0, len(past), batch_size), progress)
    ]
    drawn = np.concatenate(drawn)
    drawn = drawn.reshape(len(past), FUTURES, *drawn.shape[1:])
    found = {}
    for number, time in enumerate(times):
        each = drawn[:, :, number]
        pairs = [
            np.mean(each[:, a] == each[:, b])
            for a in range(FUTURES)
            for b in range(a)
        ]
        found[f"futures_equal_{time}"] = float(np.mean(pairs))
        true = later[time][:, np.newaxis]
        found[f"true_equal_{time}"] = float(np.mean(each == true))
    return found


def path_through(times: list[int], jumps: tuple[int, int] | None) -> list[int]:
    """Returns times to jump to, which include those given.

    Args:
        times: increasing.
        jumps: the shortest, which must be 1, and the longest; None for any.

    Example:

    >>> path_through([1, 10], (1, 4))
    [1, 5, 9, 10]
    """
    if jumps is None:
        return times
    path = [0]
    for time in times:
        while path[-1] < time:
            path.append(min(time, path[-1] + jumps[1]))
    return path[1:]
