"""Episodes: values that follow each other in time, with actions between."""

from collections.abc import Sequence

import numpy as np

from vqvae_tf.utils.checks import check_positive


class Episodes:
    """Episodes end to end: a value a step, and the action taken there.

    `open_episodes` makes one of frames; `with_values` another of their codes.
    Clips of it come from `clip_batches`; none crosses an episode's end.

    Attributes:
        name: what was opened, for messages.
        values: `[steps, ...]`, for instance frames uint8 `[steps, height,
            width, channels]` or code maps `[steps, height, width]`.
        actions: `[steps]` integers, or `[steps, size]` float32 (anything else
            becomes that): `actions[t]` was taken at `values[t]` and led to
            `values[t + 1]`. That of an episode's last step means nothing. None
            without actions.
        lengths: int64 `[episodes]`, the steps of each.
        starts: int64 `[episodes]`, the first step of each.

    Example: two episodes, of three steps and of two.

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
        self._check()

    def _check(self):
        steps = int(self.lengths.sum())
        sizes = [len(self.values)]
        if self.actions is not None:
            sizes.append(len(self.actions))
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
        """One more than the highest action; None unless they are integers.

        Those of the last steps do not count.
        """
        if self.actions is None or self.actions.ndim > 1:
            return None
        return int(self.taken.astype(np.int64).max(initial=-1)) + 1

    @property
    def taken(self) -> np.ndarray | None:
        """The actions that led to a value, all but those of last steps."""
        if self.actions is None:
            return None
        ends = self.starts + self.lengths - 1
        return np.delete(self.actions, ends, axis=0)

    @property
    def action_size(self) -> int | None:
        """Numbers of an action; None unless they are vectors."""
        vectors = self.actions is not None and self.actions.ndim > 1
        return self.actions.shape[1] if vectors else None

    def without_actions(self) -> "Episodes":
        """Returns these episodes without what was done in them."""
        return Episodes(self.name, self.values, None, self.lengths)

    def with_values(self, values: np.ndarray) -> "Episodes":
        """Returns these episodes with other values, a row for each step."""
        return Episodes(self.name, values, self.actions, self.lengths)

    def clip_starts(self, length: int) -> np.ndarray:
        """Returns the steps at which a clip of `length` steps can start.

        Raises:
            ValueError: if no episode is that long.
        """
        length = check_positive("length", length)
        starts = [
            np.arange(start, start + steps - length + 1)
            for start, steps in zip(self.starts, self.lengths)
        ]
        starts = np.concatenate(starts)
        if not len(starts):
            raise ValueError(
                f"No episode of {self.name} has the {length} steps of a clip. "
                f"Received: episodes of at most {self.lengths.max()} steps. "
                "Ask for shorter clips, or give longer episodes."
            )
        return starts.astype(np.int64)


def _normal(actions) -> np.ndarray:
    """Returns integers `[steps]` as they are, else float32 `[steps, size]`."""
    actions = np.asarray(actions)
    if not len(actions) or (actions.ndim == 1 and actions.dtype.kind in "iu"):
        return actions
    return actions.astype(np.float32).reshape([len(actions), -1])
