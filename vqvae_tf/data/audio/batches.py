"""Batches of waveforms: random windows to train on, or whole recordings.

A batch is (waveform, context, mask). The mask is 1 for samples of the recording
and 0 for padding; models use it as the weights of the samples.
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

    Shuffled and resumed as in `training_batches`; an epoch holds one random
    window of each recording. Recordings shorter than the window are padded
    with zeros at the end.

    Args:
        audio: source from `open_audio`.
        batch_size: global batch size, B.
        window: length of a window in samples, T.
        seed: 64-bit integer (default 0); determines order and windows.
        labels: whether the context includes the class label (default False).
        skip_steps, part: as in `training_batches`.

    Returns:
        An infinite dataset of (waveform, context, mask): float32 `[B, T]` in
        [-1, 1]; a dict of

        * "global": one-hot speaker, float32 `[B, num_speakers]`, absent if
          the speakers are unknown;
        * "label": int32 `[B]`, only with `labels`;

        and float32 `[B, T]`, 1 for samples and 0 for padding.

    Raises:
        ValueError: bad arguments, or `labels` for a source without them.

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

    batches = _windows(audio, rows.map(place), batch_size // part[1], window)
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

    A batch is as long as its longest recording, rounded up to a `multiple`.
    Its time axis has unknown size, so one graph serves all batches. Padding
    all batches to the longest recording of the source would give one shape but
    less real data: 47 % of the samples of spoken_digit's test recordings,
    instead of 61 % in batches of 25. XLA compiles each shape separately; a
    larger multiple gives fewer shapes.

    Args:
        audio, batch_size, labels: as in `window_batches`.
        multiple: samples that divide the length; the encoder's hop, 64
            (default) for six strides of 2.

    Returns:
        A finite dataset of (waveform, context, mask) as in `window_batches`,
        float32 `[B, T]`. The last batch is padded with rows whose mask is all
        0. The sum of a row of the mask is the recording's length.

    Raises:
        ValueError: bad arguments, or `labels` for a source without them.

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
            found = audio.windows(index, tf.zeros_like(index), size)
            return index, weight, *found

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
