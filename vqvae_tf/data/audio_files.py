"""Recordings from wav and flac files, one or a folder of them."""

import os
import struct

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf.data import audio_reading, folder
from vqvae_tf.data.audio_source import AudioSource, LazyAudio, PackedAudio
from vqvae_tf.data.walking import list_files

EXTENSIONS = (".wav", ".flac")
_CHUNK = 8  # recordings that are read at a time; they may be long
# Sizes in the header of a wav file that was written to a pipe: sox, ffmpeg.
_UNKNOWN_SIZES = (0x7FFFF000, 0xFFFFFFFF)


def load_waveform(
    path: str, sample_rate: int, normalize: str | None = "peak"
) -> np.ndarray:
    """Reads one wav or flac file, as training on a folder would see it.

    Args:
        path: of the file.
        sample_rate: samples a second of what is returned.
        normalize: "peak" or None, as for `open_audio`.

    Returns:
        float32 `[time]` in [-1, 1]; several channels are averaged. Of this,
        of clipped samples and of a lower rate it warns in the log.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no recording, or has one of the faults that
            `open_audio` refuses.
        ImportError: without the extra `audio`.

    Example:

    >>> from vqvae_tf.voices import voice_files
    >>> load_waveform(voice_files()[0], sample_rate=8000).dtype
    dtype('float32')
    """
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


def decode_audio(path: str) -> tuple[np.ndarray, int]:
    """Reads the samples of a file as they are.

    Returns:
        float32 `[time, channels]` (integers scaled to [-1, 1]), and the
        samples a second.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no audio, or is damaged or truncated.
        ImportError: without the extra `audio`.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such audio file. Received: {path!r}.")
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: no libsndfile
        raise ImportError(
            "soundfile is needed to read audio files; install it with "
            f"`pip install vqvae_tf[audio]`. Received: {path!r}."
        ) from error
    try:
        with soundfile.SoundFile(path) as file:
            promised = _promised(path, file)
            samples = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).split(": ", 1)[-1].rstrip(".")
        raise ValueError(
            "An audio file (wav, flac) was expected, but this one cannot be "
            f"decoded ({reason}). Received: {path!r}."
        ) from error
    if len(samples) < promised:
        raise ValueError(
            f"{promised} samples were expected, as the file's header says; it "
            f"is truncated. Received: {path!r} with {len(samples)}."
        )
    return samples, rate


def _promised(path, file) -> int:
    """Returns how many samples a channel the header promises.

    libsndfile takes a wav file's own size for the truth, so the header is
    looked at: RIFF chunks, each a name and a size, then the content.
    """
    with open(path, "rb") as stream:
        if file.format not in ("WAV", "WAVEX") or stream.read(4) != b"RIFF":
            return file.frames
        frame_bytes, position = 0, 12
        while True:
            stream.seek(position)
            head = stream.read(8)
            if len(head) < 8:
                return file.frames
            name, size = struct.unpack("<4sI", head)
            if name == b"fmt ":
                frame_bytes = struct.unpack("<12xH", stream.read(14))[0]
            if name == b"data":
                known = size not in _UNKNOWN_SIZES and frame_bytes
                return size // frame_bytes if known else file.frames
            position += 8 + size + size % 2


def open_audio_folder(name, options) -> AudioSource:
    """Opens "folder:name"; see `open_audio`.

    Files are taken in the order of their paths; hidden ones are ignored.
    """
    root = os.path.join(options.base, name) if name else options.base
    if not os.path.isdir(root):
        raise FileNotFoundError(
            "No such folder of recordings; give data_dir or TFDS_DATA_DIR. "
            f"Received: {root!r}."
        )
    place, siblings = folder.split_folder(root, options.split)
    places = siblings if options.split == "all" else [place]
    seen = set()  # a split may be a link to another
    files = [file for place in places for file in _recordings(place, seen)]
    files.sort()
    if not files:
        raise ValueError(
            f"No audio file ({', '.join(EXTENSIONS)}) in or below the "
            f"folder. Received: {place!r}."
        )
    names = sorted({name for s in siblings for _, name in _recordings(s)})
    collection = audio_reading.Collection(f"folder {place}", options)
    results = folder.in_threads(_reader(options), files, _CHUNK)
    collection.add(options.bar(len(files), results, "recordings"))
    collection.warn()
    found = collection.found
    speakers = [names.index(recording.speaker) for recording in found]
    title, rate = collection.title, options.sample_rate
    if collection.waveforms is not None:
        kept = collection.waveforms
        return PackedAudio(title, rate, kept, speakers, names)
    read = _graph_reader([recording.key for recording in found], options)
    return LazyAudio(title, rate, collection.lengths, read, speakers, names)


def _recordings(place, seen=None) -> list[tuple[str, str]]:
    """Returns path and speaker of each recording of a split.

    Args:
        place: the split's folder.
        seen: as of `list_files`.
    """
    found = []
    for file in list_files(place, EXTENSIONS, seen):
        path, parts = os.path.join(place, file), file.split(os.sep)
        if len(parts) < 2:
            raise ValueError(
                "Recordings were expected in a sub-folder for each speaker "
                "(one for a single speaker too), as in train/ann/1.wav. "
                f"Received: {path!r}."
            )
        found.append((path, parts[0]))
    return found


def _reader(options):
    """Returns what makes a `Recording` of a path and its speaker."""

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


def _graph_reader(paths, options):
    paths = np.array(paths)

    def load(index):
        path = str(paths[index])
        return load_waveform(path, options.sample_rate, options.normalize)

    def read(index):
        return tf.numpy_function(load, [index], tf.float32, stateful=False)

    return read
