"""Recordings from wav and flac files, one or a folder of them."""

import os

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf.data.audio import reading as audio_reading
from vqvae_tf.data.audio.decoding import decode_audio
from vqvae_tf.data.audio.source import AudioSource, LazyAudio, PackedAudio
from vqvae_tf.data.folders import in_threads, list_files
from vqvae_tf.data.pictures.folder import split_folder
from vqvae_tf.utils.checks import check_positive
from vqvae_tf.utils.paths import expand

EXTENSIONS = (".wav", ".flac")
_CHUNK = 8  # recordings that are read at a time; they may be long


def load_waveform(
    path: str | os.PathLike, sample_rate: int, normalize: str | None = "peak"
) -> np.ndarray:
    """Reads one wav or flac file exactly as training on a folder does.

    Args:
        path: path of the file.
        sample_rate: sample rate of the result, in Hz.
        normalize: "peak" (default) or None, as in `open_audio`.

    Returns:
        float32 `[time]` in [-1, 1]. Averaging several channels, clipped
        samples and a lower rate are logged as warnings.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not audio, is too long, or has one of the faults that
            `open_audio` refuses.
        ImportError: the extra `audio` is not installed.

    Example:

    >>> from vqvae_tf.samples.voices import voice_files
    >>> load_waveform(voice_files()[0], sample_rate=8000).dtype
    dtype('float32')
    """
    path = str(expand(path))
    sample_rate = check_positive("sample_rate", sample_rate)
    audio_reading.check_normalize(normalize)
    waveform, notes = _load(path, sample_rate, normalize)
    for note in notes:
        what = audio_reading.NOTES[note]
        logging.warning("%s is one of the recordings that %s.", path, what)
    return waveform


def _load(path, sample_rate, normalize):
    """Returns the waveform, and what to note about it."""
    samples, rate = decode_audio(path)
    place = repr(os.fspath(path))
    return audio_reading.conform(samples, rate, sample_rate, normalize, place)


def open_audio_folder(
    name: str, options: audio_reading.AudioOptions
) -> AudioSource:
    """Opens "folder:name"; see `open_audio`.

    Files are taken in the order of their paths; hidden ones are ignored.
    """
    root = options.folder(name, "recordings")
    place, siblings = split_folder(root, options.split)
    places = siblings if options.split == "all" else [place]
    seen = set()  # a split may be a link to another
    files = sorted(file for p in places for file in _recordings(p, seen))
    if not files:
        raise ValueError(
            f"No audio file ({', '.join(EXTENSIONS)}) in or below the "
            f"folder. Received: {place!r}."
        )
    names = sorted({name for s in siblings for _, name in _recordings(s)})
    collection = audio_reading.Collection(f"folder {place}", options)
    results = in_threads(_reader(options), files, _CHUNK)
    collection.add(options.bar(len(files), results, "recordings"))
    collection.warn()
    found = collection.found
    speakers = [names.index(recording.speaker) for recording in found]
    title, rate = collection.title, options.sample_rate
    if collection.waveforms is not None:
        return PackedAudio(title, rate, collection.waveforms, speakers, names)
    paths = np.array([recording.key for recording in found])

    def load(index):
        return load_waveform(str(paths[index]), rate, options.normalize)

    def read(index):
        return tf.numpy_function(load, [index], tf.float32, stateful=False)

    return LazyAudio(title, rate, collection.lengths, read, speakers, names)


def _recordings(place, seen=None):
    """Returns (path, speaker) of each recording in the folder of a split.

    `seen` is as in `list_files`.
    """
    found = []
    for file in list_files(place, EXTENSIONS, seen):
        path, parts = os.path.join(place, file), file.split(os.sep)
        if len(parts) < 2:
            raise ValueError(
                "Recordings were expected in one sub-folder per speaker (even "
                "if there is only one), as in train/ann/1.wav. "
                f"Received: {path!r}."
            )
        found.append((path, parts[0]))
    return found


def _reader(options):
    """Returns a function from (path, speaker) to a `Recording`."""

    def read(file):
        path, speaker = file
        found = audio_reading.Recording(path, None, speaker=speaker)
        try:
            found.waveform, found.notes = _load(
                path, options.sample_rate, options.normalize
            )
        except (ValueError, FileNotFoundError) as error:
            found.fault = error
        return found

    return read
