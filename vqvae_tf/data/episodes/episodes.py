"""Episodes: sequences of values in time, with the actions between them."""

from collections.abc import Sequence

import numpy as np

from vqvae_tf.utils.checks import check_positive


class Episodes:
    """Concatenated episodes: a value per step, and the action taken there.

    `open_episodes` reads episodes of frames; `with_values` replaces the
    frames, for instance by their codes; `clip_batches` makes batches.

    Attributes:
        name: what was opened, for messages.
        values: `[steps, ...]`, for instance frames uint8 `[steps, height,
            width, channels]` or code maps `[steps, height, width]`.
        actions: integers `[steps]`, or else float32 `[steps, size]`, to which
            other arrays are converted; None without actions. `actions[t]` was
            taken at `values[t]` and led to `values[t + 1]`; the one at the end
            of an episode is ignored.
        lengths: int64 `[episodes]`, the number of steps of each.
        starts: int64 `[episodes]`, the first step of each.

    Raises:
        ValueError: the arrays do not match the lengths, or have no steps.

    Example: two episodes, one of three steps and one of two.

    >>> frames = np.zeros([5, 8, 8, 3], np.uint8)
    >>> episodes = Episodes("mine", frames, np.array([1, 0, 0, 2, 0]), [3, 2])
    >>> episodes.clip_starts(2).tolist()
    [0, 1, 3]
    >>> episodes.num_actions
    3
    """

    def __init__(
        self,
        name: str,
        values: np.ndarray,
        actions: np.ndarray | None,
        lengths: Sequence[int],
    ):
        self.name = name
        self.values = values
        self.actions = None if actions is None else _normal(actions)
        self.lengths = np.asarray(lengths, np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        steps = int(self.lengths.sum())
        sizes = [len(a) for a in (values, self.actions) if a is not None]
        empty = not steps or self.lengths.min() < 1
        if empty or any(size != steps for size in sizes):
            raise ValueError(
                "values and actions must have a row for each step of the "
                f"episodes, at least one. Received: {self.name} with "
                f"{' and '.join(map(str, sizes))} rows for {steps} steps in "
                f"{len(self.lengths)} episodes."
            )

    @property
    def num_actions(self) -> int | None:
        """Highest action plus one; None unless actions are integers.

        Actions at the end of an episode do not count.
        """
        if self.actions is None or self.actions.ndim > 1:
            return None
        return int(self.taken.astype(np.int64).max(initial=-1)) + 1

    @property
    def taken(self) -> np.ndarray | None:
        """The actions without those at the end of an episode."""
        if self.actions is None:
            return None
        ends = self.starts + self.lengths - 1
        return np.delete(self.actions, ends, axis=0)

    @property
    def action_size(self) -> int | None:
        """Length of an action vector; None unless actions are vectors."""
        vectors = self.actions is not None and self.actions.ndim > 1
        return self.actions.shape[1] if vectors else None

    def without_actions(self) -> "Episodes":
        """Returns these episodes without their actions."""
        return Episodes(self.name, self.values, None, self.lengths)

    def with_values(self, values: np.ndarray) -> "Episodes":
        """Returns these episodes with other values `[steps, ...]`."""
        return Episodes(self.name, values, self.actions, self.lengths)

    def clip_starts(self, length: int) -> np.ndarray:
        """Returns the steps at which a clip of `length` steps can start.

        Raises:
            ValueError: no episode is that long.
        """
        length = check_positive("length", length)
        starts = np.concatenate(
            [
                np.arange(start, start + steps - length + 1)
                for start, steps in zip(self.starts, self.lengths)
            ]
        )
        if not len(starts):
            raise ValueError(
                f"No episode of {self.name} has the {length} steps of a clip. "
                f"Received: episodes of at most {self.lengths.max()} steps. "
                "Use shorter clips or longer episodes."
            )
        return starts.astype(np.int64)


def _normal(actions) -> np.ndarray:
    """Returns integers `[steps]` as they are, else float32 `[steps, size]`."""
    actions = np.asarray(actions)
    if not len(actions) or (actions.ndim == 1 and actions.dtype.kind in "iu"):
        return actions
    return actions.astype(np.float32).reshape([len(actions), -1])
