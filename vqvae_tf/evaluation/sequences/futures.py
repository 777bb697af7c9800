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
    drawn = [
        model.rollout(
            past[i : i + batch_size], times=times, num_futures=FUTURES, seed=i
        )
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
