"""Batches of waveforms: random windows to train on, whole recordings.

A batch is (waveform, context, mask). The mask is 1 where a sample belongs to
the recording and 0 where it is padding; a model takes it for the weights of
the samples.
"""

import numpy as np
import tensorflow as tf

from vqvae_tf.data import batches as batching, order
from vqvae_tf.data.audio.source import AudioSource, PackedAudio
from vqvae_tf.utils.checks import check_positive


def window_batches(
    audio: AudioSource,
    batch_size: int,
    window: int,
    seed: int = 0,
    labels: bool = False,
    skip_steps: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless shuffled batches of random windows: a function of (seed, step).

    Order and restarts are those of `training_batches`; an epoch holds one
    window of each recording, from anywhere in it. A recording shorter than
    the window is taken whole, with zeros at the end.

    Args:
        audio: what `open_audio` returned.
        batch_size: global batch size, B.
        window: samples of a window, T.
        seed: integer; decides order and windows.
        labels: whether the context holds the class label.
        skip_steps: number of the first step.
        part: as in `training_batches`.

    Returns:
        An infinite dataset of (waveform, context, mask): float32 `[B, T]` in
        [-1, 1]; a dict of
            "global": one-hot speaker, float32 `[B, num_speakers]`, not there
            where speakers are not known;
            "label": int32 `[B]`, with `labels` alone;
        and float32 `[B, T]`, 1 for samples and 0 for padding.

    Raises:
        ValueError: bad arguments, or labels of a source without.

    Example:

    >>> waveforms = [np.ones(200), np.ones(70)]
    >>> audio = PackedAudio("mine", 8000, waveforms, [0, 1], ["ann", "bob"])
    >>> waveform, context, mask = next(iter(window_batches(audio, 2, 100)))
    >>> waveform.shape.as_list(), context["global"].shape.as_list()
    ([2, 100], [2, 2])
    >>> sorted(mask.numpy().sum(axis=1).tolist())
    [70.0, 100.0]
    """
    window = check_positive("window", window)
    _check_labels(audio, labels)
    batching.tell_if_few(audio, batch_size)
    rows = order.training_rows(
        audio.num_examples, batch_size, seed, skip_steps, part, noise=()
    )

    def place(index, noise):
        free = tf.maximum(audio.length(index) - window, 0)
        drawn = tf.cast(noise * tf.cast(free + 1, tf.float32), tf.int64)
        return index, tf.minimum(drawn, free)

    rows_each = batch_size // part[1]
    batches = _windows(audio, rows.map(place), rows_each, window)
    return batching.pipeline_options(
        batches.map(
            lambda index, waveform, mask: (
                waveform,
                _context(audio, index, labels),
                mask,
            )
        )
    )


def audio_evaluation_batches(
    audio: AudioSource,
    batch_size: int,
    multiple: int = 64,
    labels: bool = False,
) -> tf.data.Dataset:
    """Batches that hold every recording whole and exactly once, in order.

    A batch is as long as its longest recording, up to the next `multiple`,
    and so has a time axis of unknown size, for which one graph is traced. All
    as long as the source's longest would be one shape, but mostly padding: of
    the test recordings of spoken_digit 47 % of the samples would be real, and
    61 % are in batches of 25. Where each shape is compiled anew (XLA), a
    larger multiple makes them fewer.

    Args:
        audio: what `open_audio` returned.
        batch_size: global batch size, B.
        multiple: of samples; the encoder's hop, 64 for six strides of 2.
        labels: whether the context holds the class label.

    Returns:
        A finite dataset of (waveform, context, mask) as in `window_batches`,
        float32 `[B, T]`. The last batch is filled up with rows whose mask is 0
        throughout. The sum of a mask's row is the recording's length.

    Raises:
        ValueError: bad arguments, or labels of a source without.

    Example:

    >>> audio = PackedAudio("mine", 8000, [np.ones(200), np.ones(70)] * 2)
    >>> for waveform, _, mask in audio_evaluation_batches(audio, 3):
    ...     print(waveform.shape, mask.numpy().sum(axis=1))
    (3, 256) [200.  70. 200.]
    (3, 128) [70.  0.  0.]
    """
    multiple = check_positive("multiple", multiple)
    _check_labels(audio, labels)
    indices = order.evaluation_order(audio.num_examples, batch_size)

    def whole(index, weight):
        size = tf.reduce_max(audio.length(index))
        size = -(-size // multiple) * multiple
        return index, weight, size

    def finish(index, weight, waveform, mask):
        return (
            waveform * weight[:, None],
            _context(audio, index, labels),
            mask * weight[:, None],
        )

    batches = _whole(audio, indices.map(whole), batch_size).map(finish)
    return batching.finite(batches, audio, batch_size)


def _windows(audio, places, batch_size, window):
    """Turns (index [B], first [B]) into (index, waveform, mask)."""
    if isinstance(audio, PackedAudio):  # many times faster than one by one
        return places.map(
            lambda index, first: (index, *audio.windows(index, first, window)),
            **batching.PARALLEL,
        )

    def read(index, first):
        found = audio.waveform(index)[first : first + window]
        return index, *_padded(found, window)

    examples = places.unbatch().map(read, **batching.PARALLEL)
    return examples.batch(batch_size, drop_remainder=True)


def _whole(audio, places, batch_size):
    """Turns (index [B], weight [B], size) into (..., waveform, mask)."""
    if isinstance(audio, PackedAudio):

        def gather(index, weight, size):
            first = tf.zeros_like(index)
            return index, weight, *audio.windows(index, first, size)

        return places.map(gather, **batching.PARALLEL)

    def read(index, weight, size):
        found = _padded(audio.waveform(index), size)
        return index, weight, *found

    examples = places.map(
        lambda index, weight, size: (
            index,
            weight,
            tf.repeat(size, batch_size),
        )
    )
    examples = examples.unbatch().map(read, **batching.PARALLEL)
    return examples.batch(batch_size, drop_remainder=True)


def _padded(waveform, size):
    """Returns a waveform and its mask, both float32 `[size]`."""
    length = tf.size(waveform, tf.int64)
    missing = [[0, tf.cast(size, tf.int64) - length]]
    padded = tf.pad(waveform, missing)
    mask = tf.pad(tf.ones_like(waveform), missing)
    if isinstance(size, (int, np.integer)):
        padded = tf.ensure_shape(padded, [size])
        mask = tf.ensure_shape(mask, [size])
    return padded, mask


def _context(audio, index, labels):
    numbers = audio.numbers(index)
    context = {}
    if audio.num_speakers:
        context["global"] = tf.one_hot(
            numbers["speaker"], audio.num_speakers, dtype=tf.float32
        )
    if labels:
        context["label"] = tf.cast(numbers["label"], tf.int32)
    return context


def _check_labels(audio, labels):
    if labels and audio.num_classes is None:
        raise ValueError(
            f"{audio.name} has no class labels. Received: labels=True."
        )
