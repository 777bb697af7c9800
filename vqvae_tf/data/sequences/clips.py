"""Sequences that are clips of episodes."""

import numpy as np
import tensorflow as tf

from vqvae_tf.data import batches as batching
from vqvae_tf.data.episodes.episodes import Episodes
from vqvae_tf.data.sequences.source import SequenceSource, check_length


class EpisodeSequences(SequenceSource):
    """Clips of episodes, each within one episode.

    Every step at which a clip of `length` steps can start is an example. An
    episode that is shorter is one example, padded with its last value. Episodes
    of one step are left out: a sequence needs two frames.

    Args:
        episodes: `Episodes` of frames, or of their codes; actions are ignored.
        length: steps of each clip, T; 20 by default.

    A sequence has frames `[T, *shape]` of the values' dtype (float64 becomes
    float32). If any episode is padded, there are masks, 0 for padding. No noise
    is needed, and nothing is `known`.

    Attributes:
        episodes: the argument; its values are copied.

    Raises:
        ValueError: no episode has two steps, or clips of one frame.

    Example: an episode of four steps has two clips, one of two steps has one.

    >>> from vqvae_tf.data import Episodes
    >>> episodes = Episodes("mine", np.arange(7), None, [4, 1, 2])
    >>> clips = EpisodeSequences(episodes, length=3)
    >>> frames, mask = clips.get([0, 1, 2], noise=None)
    >>> frames.numpy().tolist()
    [[0, 1, 2], [1, 2, 3], [5, 6, 6]]
    >>> mask.numpy().tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
    """

    def __init__(self, episodes: Episodes, length: int = 20):
        length = check_length(length)
        starts, sizes = _clips(episodes, length)
        _, (values, _) = batching.as_tensors(episodes.values, {})
        shape = values.shape[1:]
        super().__init__(episodes.name, len(starts), length, shape)
        self.episodes, self._values = episodes, values
        self._padded = bool(sizes.min() < length)
        with tf.device("CPU:0"):
            self._starts = tf.constant(starts)
            self._sizes = tf.constant(sizes)

    def get(
        self, index: tf.Tensor, noise: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        times = tf.range(self.length, dtype=tf.int64)
        sizes = tf.gather(self._sizes, index)[:, None]
        steps = tf.gather(self._starts, index)[:, None]
        steps += tf.minimum(times, sizes - 1)
        frames = tf.gather(self._values, steps)
        mask = tf.cast(times < sizes, tf.float32) if self._padded else None
        return frames, mask


def _clips(episodes, length):
    """Returns first step and number of steps of each clip, int64 `[n]`."""
    starts, sizes = [], []
    for first, steps in zip(episodes.starts, episodes.lengths):
        if steps > 1:
            count = max(steps - length + 1, 1)
            starts.append(first + np.arange(count))
            sizes.append(np.full(count, min(steps, length)))
    if not starts:
        raise ValueError(
            "A sequence needs an episode of at least two steps. Received: "
            f"{episodes.name} with {len(episodes.lengths)} episodes of one "
            "step."
        )
    return np.concatenate(starts), np.concatenate(sizes)
