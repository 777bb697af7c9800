"""Reading the samples of an audio file unchanged."""

import os

import numpy as np

from vqvae_tf.data.audio import wav_headers

# Largest number of samples that is read, all channels together: 2 GiB in
# memory, three hours of one channel at 48 kHz.
MAX_SAMPLES = 2**29

_BLOCK = 2**18  # samples that are read at once
_UNKNOWN = 2**63 - 1  # libsndfile's number of samples of a stream


def decode_audio(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Reads the samples of a file unchanged.

    Args:
        path: a file that libsndfile can read (wav, flac, ...). A streamed
            file, whose header does not give a size, is read to its end.

    Returns:
        float32 `[time, channels]` (integers scaled to [-1, 1]), and the sample
        rate in Hz.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not audio, is damaged or truncated, or has more
            than `MAX_SAMPLES` samples.
        ImportError: the extra `audio` is not installed.
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
        header = wav_headers.read_header(path)
        if header:
            _check_length(header.content // 8)  # 8 bytes per sample at most
        source = wav_headers.for_libsndfile(path, header)
        with soundfile.SoundFile(source) as file:
            samples, rate = _read(file), file.samplerate
            promised = None if header else file.frames
    except _TooLong as error:
        raise ValueError(f"{error} Received: {path!r}.") from None
    # Damaged files make soundfile raise errors of any kind.
    except Exception as error:
        reason = str(error).split(": ", 1)[-1].rstrip(".")
        raise ValueError(
            "An audio file (wav, flac) was expected, but this one cannot be "
            f"decoded ({reason or type(error).__name__}). Received: {path!r}."
        ) from error
    if header:
        found = header.promised
    else:
        short = len(samples) < promised < _UNKNOWN
        found = (promised, len(samples), "samples") if short else None
    if found:
        promised, present, what = found
        raise ValueError(
            f"{promised} {what} were expected according to the header; the "
            f"file is truncated. Received: {path!r} with {present}."
        )
    return samples, rate


class _TooLong(Exception):
    """A recording has too many samples; the message does not name the file."""


def _read(file):
    """Returns the samples, float32 `[time, channels]`, read to the end.

    Reads blocks in sequence, since libsndfile cannot seek in some files (GSM
    6.10, FLAC streams), and takes the number of samples from a header that may
    be wrong.
    """
    if file.frames < _UNKNOWN:
        _check_length(file.frames * file.channels)
    file.seekable = lambda: False  # soundfile would seek after each block
    size = max(1, _BLOCK // file.channels)
    blocks, count = [], 0
    while True:
        block = file.read(size, dtype="float32", always_2d=True)
        blocks.append(block)
        count += block.size
        _check_length(count)
        if len(block) < size:
            return np.concatenate(blocks)


def _check_length(count):
    if count > MAX_SAMPLES:
        raise _TooLong(
            f"A recording of at most {MAX_SAMPLES:,} samples was expected, all "
            f"channels together, not of {count:,} or more. Split it, or raise "
            f"{__name__}.MAX_SAMPLES."
        )
