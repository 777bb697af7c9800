"""Batches of sequences, and the same examples as arrays."""

import numpy as np
import tensorflow as tf

from vqvae_tf.data import batches as batching, order
from vqvae_tf.data.sequences.source import SequenceSource, open_interval
from vqvae_tf.utils.checks import check_integer


def sequence_batches(
    source: SequenceSource,
    batch_size: int,
    seed: int = 0,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless shuffled batches of sequences: a function of (seed, step).

    Shuffled and resumed as in `training_batches`. Generated sequences are
    drawn anew at each step.

    Args:
        source: source from `open_sequences`.
        batch_size: global batch size, B.
        seed: 64-bit integer (default 0); determines order and noise.
        skip_steps, part: as in `training_batches`.

    Returns:
        An infinite dataset of the frames x `[B, T, *shape]`; of (x, {}, mask)
        if the source has masks, float32 `[B, T]`, 1 for frames and 0 for
        padding at the end.

    Raises:
        ValueError: bad arguments.

    Example:

    >>> from vqvae_tf.data import Oscillators
    >>> x = next(iter(sequence_batches(Oscillators(length=50), batch_size=4)))
    >>> x.shape.as_list()
    [4, 50, 1]
    """
    rows = order.training_rows(
        source.num_examples,
        batch_size,
        source.stream_seed(seed),
        skip_steps,
        part,
        noise=(source.noise_size,),
    )
    batching.tell_if_few(source, batch_size)

    def batch(index, noise):
        frames, mask = _frames(source, index, open_interval(noise))
        return frames if mask is None else (frames, {}, mask)

    return batching.pipeline_options(rows.map(batch, **batching.PARALLEL))


def sequence_evaluation_batches(
    source: SequenceSource, batch_size: int, seed: int = 0
) -> tf.data.Dataset:
    """Batches that hold every sequence exactly once, in order.

    Example i is a function of (seed, i) alone, whatever the batch size, and of
    noise that training does not draw, whatever its seed. `evaluation_sequences`
    returns the same examples with what is known of them.

    Args:
        source, batch_size: as in `sequence_batches`.
        seed: 64-bit integer (default 0); determines generated sequences.

    Returns:
        A finite dataset of (x, {}, weight): frames `[B, T, *shape]`, and
        float32 `[B]`, 0 for the rows that pad the last batch and 1 for others;
        or, if the source has masks, the mask `[B, T]` times this weight.

    Raises:
        ValueError: bad arguments.

    Example:

    >>> from vqvae_tf.data import Oscillators
    >>> source = Oscillators(length=50, num_examples=5)
    >>> batches = sequence_evaluation_batches(source, batch_size=4)
    >>> [weight.numpy().tolist() for x, _, weight in batches]
    [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]
    """
    indices = order.evaluation_order(source.num_examples, batch_size)
    source.stream_seed(seed)  # raises here, not in the dataset's graph

    def batch(index, weight):
        noise = source.evaluation_noise(index, seed)
        frames, mask = _frames(source, index, noise)
        return frames, {}, weight if mask is None else mask * weight[:, None]

    batches = indices.map(batch, **batching.PARALLEL)
    return batching.finite(batches, source, batch_size)


def evaluation_sequences(
    source: SequenceSource,
    first: int = 0,
    count: int | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    """Returns examples of evaluation, for figures and pictures of them.

    Args:
        source, seed: as in `sequence_evaluation_batches`; with the same seed,
            the examples are the same.
        first: index of the first example (default 0).
        count: number of examples, n; None (default) for all from `first` on.

    Returns:
        The frames `[n, T, *shape]`; the mask, float32 `[n, T]`, or None if the
        source has none; and a dict of arrays `[n, ...]`, what is known of the
        sequences, empty for stored ones.

    Raises:
        ValueError: the source does not have these examples, or a bad seed.

    Example:

    >>> from vqvae_tf.data import Oscillators
    >>> frames, mask, known = evaluation_sequences(Oscillators(), 10, count=2)
    >>> frames.shape, sorted(known)
    ((2, 200, 1), ['amplitude', 'frequency', 'phase'])
    """
    first = check_integer("first", first, 0, source.num_examples - 1)
    rest = source.num_examples - first
    count = rest if count is None else check_integer("count", count, 1, rest)
    return sequences_at(source, np.arange(first, first + count), seed)


def sequences_at(
    source: SequenceSource, index: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    """Returns examples of evaluation by their indices.

    Args:
        source, seed: as for `evaluation_sequences`, as are the returns.
        index: integers `[n]`.
    """
    index = tf.constant(index, tf.int64)
    noise = source.evaluation_noise(index, seed)
    frames, mask = _frames(source, index, noise)
    known = source.known(index, noise)
    return (
        frames.numpy(),
        None if mask is None else mask.numpy(),
        {key: value.numpy() for key, value in known.items()},
    )


def _frames(source, index, noise):
    """Returns frames and mask, checked to be of the source's shape."""
    frames, mask = source.get(index, noise)
    frames = tf.ensure_shape(frames, [None, source.length, *source.shape])
    if mask is not None:
        mask = tf.ensure_shape(mask, [None, source.length])
    return frames, mask
