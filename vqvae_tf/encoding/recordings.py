"""Encodes and decodes whole sets of recordings.

Recordings are encoded in groups with equally many codes, so that their codes do
not depend on the others: an encoder sees some of the padding at the end.
Waveforms are sampled in large batches of similar lengths, since a step of an
autoregressive decoder hardly takes longer with more rows.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.models import VQVAE
from vqvae_tf.runtime import random
from vqvae_tf.utils import tensor_checks
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.padding import pad
from vqvae_tf.utils.progress import bar

# Samples at once, at most, when nothing is drawn: a WaveNet of 20 layers of 64
# channels takes some 10 kB for each.
_AT_ONCE = 65536


def code_counts(
    autoencoder: VQVAE, audio: AudioSource, shift: int = 0
) -> np.ndarray:
    """Returns the number of codes of each recording, int64 `[n]`."""
    stride = autoencoder.downsampling
    return -(-(audio.lengths + shift) // stride)


def speakers(audio: AudioSource) -> np.ndarray:
    """Returns the speaker of each recording, int64 `[n]`; 0 if unknown."""
    rows = tf.range(audio.num_examples, dtype=tf.int64)
    found = audio.numbers(rows).get("speaker", tf.zeros_like(rows))
    return found.numpy()


def equal_groups(
    counts: ArrayLike, size_of_one: int, at_once: int = _AT_ONCE
) -> list[np.ndarray]:
    """Groups rows with equal counts, up to a size.

    Args:
        counts: integers `[n]`, the number of codes of each recording.
        size_of_one: samples per code.
        at_once: the most samples of a group of several recordings.

    Example:

    >>> [group.tolist() for group in equal_groups([3, 2, 3, 3], 64, 400)]
    [[1], [0, 2], [3]]
    """
    counts, groups = np.asarray(counts), []
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        size = max(1, int(at_once // (count * size_of_one)))
        groups += [rows[i : i + size] for i in range(0, len(rows), size)]
    return groups


def read(
    audio: AudioSource, rows: Iterable[int], multiple: int = 1, shift: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns padded recordings and their mask, float32 `[n, T]` each.

    Args:
        audio: from `open_audio`.
        rows: which recordings.
        multiple: T is a multiple of this.
        shift: zeros before each recording.
    """
    found = [audio.waveform(tf.constant(r, tf.int64)).numpy() for r in rows]
    return pad([np.pad(x, (shift, 0)) for x in found], multiple)


def encode(
    autoencoder: VQVAE,
    audio: AudioSource,
    progress: bool = True,
    shift: int = 0,
) -> list[np.ndarray]:
    """Encodes all recordings of a source.

    Args:
        autoencoder: a `VQVAE` of waveforms.
        audio: from `open_audio`.
        progress: show a progress bar.
        shift: zeros to put before each recording, which shift its codes.

    Returns:
        For each recording int32 `[ceil((time + shift) / stride)]`, or `[...,
        G]`.
    """
    stride = autoencoder.downsampling
    quantizer = autoencoder.quantizer
    graph = tf.function(
        lambda x: quantizer.encode(autoencoder.latents(x)),
        input_signature=[tf.TensorSpec([None, None])],
        autograph=False,
    )
    codes = [None] * audio.num_examples
    groups = equal_groups(code_counts(autoencoder, audio, shift), stride)
    for rows in bar(groups, progress):
        waveform, _ = read(audio, rows, stride, shift)
        for row, found in zip(rows, graph(waveform).numpy()):
            codes[row] = found
    return codes


def decode(
    autoencoder: VQVAE,
    codes: Sequence[np.ndarray],
    speakers: ArrayLike,
    lengths: Sequence[int] | np.ndarray,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = True,
    fast: bool = False,
) -> list[np.ndarray]:
    """Decodes a waveform from each sequence of codes.

    Args:
        autoencoder: a `VQVAE` of waveforms.
        codes: n sequences of integers, `[time / stride]` each.
        speakers: integers `[n]`, the voices.
        lengths: integers `[n]`, samples to keep of each waveform.
        temperature: of the decoder.
        seed: an integer; samples also depend on the batches.
        batch_size: of every batch: the last is filled up, since another size
            would be compiled again. Shorter sequences are padded, which affects
            the waveform of their last 4 codes. For each row a WaveNet keeps
            `receptive_field * channels` floats and, in a step, all gates'
            inputs of 128 positions.
        progress: show a progress bar.
        fast: use the fast decoder; see `SpeechVQVAE.decode`.

    Returns:
        float32 `[lengths[i]]` for each.
    """
    size = min(check_positive("batch_size", batch_size), len(codes))
    counts = [len(sequence) for sequence in codes]
    order = np.argsort(counts, kind="stable")[::-1]
    waveforms = [None] * len(order)
    for first in bar(range(0, len(order), size), progress):
        rows = order[first : first + size]
        # Filled up with repeated rows, whose results are dropped.
        filled = np.resize(rows, size)
        found, mask = pad([codes[row] for row in filled])
        context = decoder_context(
            autoencoder, found, mask, np.asarray(speakers)[filled]
        )
        if fast:
            drawn = autoencoder.fast_waveform(context, mask)
        else:
            drawn = autoencoder.decoder.sample(
                context=context,
                temperature=temperature,
                seed=random.fold_in(random.make_seed(seed), first // size),
            )
        for row, waveform in zip(rows, drawn.numpy()):
            waveforms[row] = waveform[: lengths[row]]
    return waveforms


def decoder_context(
    autoencoder: VQVAE,
    codes: np.ndarray | tf.Tensor,
    mask: np.ndarray | tf.Tensor,
    speakers: np.ndarray | tf.Tensor,
) -> dict:
    """Returns the decoder's context, which is 0 at padding.

    Args:
        autoencoder: a `VQVAE` of waveforms.
        codes: integers `[batch, n]` or `[batch, n, G]`.
        mask: float `[batch, n]`, 1 for codes and 0 for padding.
        speakers: integers `[batch]`.
    """
    local = autoencoder.quantizer.decode(codes) * mask[..., tf.newaxis]
    count = autoencoder.decoder.global_channels
    if count is None:
        return {"local": local}
    speakers = tensor_checks.whole_numbers(speakers, count, "speakers")
    return {"local": local, "global": tf.one_hot(speakers, count)}
