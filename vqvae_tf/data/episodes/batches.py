"""Batches of clips: successive values, and the action before the last one."""

import numpy as np
import tensorflow as tf

from vqvae_tf.data import batches as batching, order
from vqvae_tf.data.episodes.episodes import Episodes
from vqvae_tf.utils.checks import check_positive


def clip_batches(
    episodes: Episodes,
    num_past: int,
    batch_size: int,
    seed: int = 0,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless shuffled batches of clips that lie within one episode.

    Shuffled and resumed as in `training_batches`; an epoch holds each clip of
    `num_past + 1` steps once.

    Args:
        episodes: episodes of frames or codes.
        num_past: number of values before x, P, at least 1.
        batch_size: global batch size, B.
        seed: 64-bit integer (default 0); determines the order.
        skip_steps, part: as in `training_batches`.

    Returns:
        An infinite dataset of (x, context): the values [B, ...] after the
        past, and a dict of

        * "past": [B, P, ...], the values before x, oldest first;
        * "action": the action at the last past step, which led to x: int32
          [B] for integer actions [steps], else float32 [B, size]; absent
          for episodes without actions.

    Raises:
        ValueError: bad arguments, or no episode has `num_past + 1` steps.

    Example:

    >>> frames = np.arange(5, dtype=np.uint8)[:, None, None, None]
    >>> episodes = Episodes("mine", frames, np.array([7, 8, 9, 5, 6]), [5])
    >>> x, context = next(iter(clip_batches(episodes, 2, batch_size=4)))
    >>> x.shape.as_list(), context["past"].shape.as_list()
    ([4, 1, 1, 1], [4, 2, 1, 1, 1])
    """
    clips, clip = _clips(episodes, num_past)
    indices = order.training_rows(clips, batch_size, seed, skip_steps, part)
    return batching.pipeline_options(indices.map(clip))


def clip_evaluation_batches(
    episodes: Episodes, num_past: int, batch_size: int
) -> tf.data.Dataset:
    """Batches that hold every clip exactly once, in order.

    Args:
        episodes, num_past, batch_size: as in `clip_batches`.

    Returns:
        A finite dataset of (x, context, sample_weight): x and context as in
        `clip_batches`, padded as in `evaluation_batches`.

    Raises:
        ValueError: bad arguments, or no episode has `num_past + 1` steps.

    Example:

    >>> frames = np.arange(5, dtype=np.uint8)[:, None, None, None]
    >>> episodes = Episodes("mine", frames, np.array([7, 8, 9, 5, 6]), [5])
    >>> for x, context, weight in clip_evaluation_batches(episodes, 2, 3):
    ...     past = context["past"].numpy()[..., 0, 0, 0].tolist()
    ...     print(past, context["action"].numpy(), x.numpy().ravel())
    [[0, 1], [1, 2], [2, 3]] [8 9 5] [2 3 4]
    """
    clips, clip = _clips(episodes, num_past)
    indices = order.evaluation_order(clips, batch_size)
    return batching.pipeline_options(
        indices.map(lambda index, weight: (*clip(index), weight))
    )


def _clips(episodes, num_past):
    """Returns the number of clips, and a function that gathers some [B]."""
    num_past = check_positive("num_past", num_past)
    starts = episodes.clip_starts(num_past + 1)
    actions = episodes.actions
    if episodes.num_actions is not None:
        actions = actions.astype(np.int32)
    _, (values, actions) = batching.as_tensors(
        episodes.values, {} if actions is None else {"action": actions}
    )
    with tf.device("CPU:0"):
        first_steps = tf.constant(starts)

    def clip(index):
        first = tf.gather(first_steps, index)
        steps = first[:, None] + tf.range(num_past, dtype=tf.int64)
        context = {
            "past": tf.gather(values, steps),
            **batching.gather(actions, steps[:, -1]),
        }
        return tf.gather(values, first + num_past), context

    return len(starts), clip
