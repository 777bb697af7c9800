"""`open_audio`: recordings of speech from TFDS or a folder."""

from vqvae_tf.data.audio import files as audio_files, prepared as audio_tfds
from vqvae_tf.data.audio.reading import AudioOptions
from vqvae_tf.data.audio.source import AudioSource
from vqvae_tf.data.options import CACHE_BYTES, split_source

_OPENERS = {
    "tfds": audio_tfds.open_tfds_audio,
    "folder": audio_files.open_audio_folder,
}
_FORMS = 'source must be "tfds:NAME", "folder" or "folder:SUBDIR".'


def open_audio(
    source: str,
    split: str,
    sample_rate: int,
    data_dir: str | None = None,
    on_corrupt: str = "error",
    normalize: str | None = "peak",
    progress: bool = True,
    download: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> AudioSource:
    """Opens a set of recordings; each is read once, to find the sound ones.

    Args:
        source: one of
            "tfds:spoken_digit": "test" is the recordings numbered 0 to 4 of
            each speaker and digit, "train" the others;
            "tfds:vctk/mic1", "tfds:vctk/mic2": "test" is each speaker's
            utterances whose number is a multiple of 20, "train" the others;
            "tfds:NAME": any prepared tensorflow_datasets set with one `Audio`
            feature of known sample rate, in its own splits; a class label
            called speaker or speaker_id names the speakers;
            "folder" or "folder:SUBDIR": wav and flac files in or below
            data_dir/SUBDIR/SPLIT/SPEAKER. All splits (train, validation, test)
            share one list of speakers.
        split: "train", "test", ..., or "all" for every recording; for TFDS
            sets with splits of their own also slices such as "train[:90%]".
        sample_rate: sample rate of the result, in Hz. Other rates are
            resampled; rates of half of it or less are refused.
        data_dir, progress, download: as in `open_images`.
        on_corrupt: "error" (default) refuses a set with a recording that is
            damaged, truncated, empty, silent, out of range or at too low a
            rate, and names it; "skip" omits it and logs a warning. A damaged
            TFDS file, which holds many recordings, is always refused.
            Recordings with several channels are averaged and clipped ones are
            kept, with one warning for each kind.
        normalize: "peak" (default) subtracts each recording's mean and scales
            its largest absolute sample to 1 (`data.audio.reading` explains
            why); None keeps the levels.
        cache_bytes: size up to which waveforms stay in memory (default 512
            MiB, 2.3 hours at 16 kHz); beyond it they are read at each use.

    Returns:
        An `AudioSource`.

    Raises:
        ValueError: an unknown source, split or option, or a bad recording.
        FileNotFoundError: the folder or prepared set does not exist.
        ImportError: the extra `audio`, needed to read files or to resample, is
            not installed.

    Example:

    >>> from vqvae_tf.samples.voices import voice_files
    >>> import os, shutil, tempfile
    >>> data_dir = tempfile.mkdtemp()
    >>> for path in voice_files():
    ...     speaker = path.stem.split("_")[1]
    ...     os.makedirs(f"{data_dir}/test/{speaker}", exist_ok=True)
    ...     _ = shutil.copy(path, f"{data_dir}/test/{speaker}")
    >>> audio = open_audio("folder", "test", 8000, data_dir)
    >>> audio.num_examples, audio.speaker_names
    (10, ('george', 'jackson', 'nicolas', 'theo', 'yweweler'))
    """
    kind, name = split_source(source, _OPENERS, ("folder",), _FORMS)
    options = AudioOptions(
        split=split,
        data_dir=data_dir,
        on_corrupt=on_corrupt,
        progress=progress,
        download=download,
        cache_bytes=cache_bytes,
        sample_rate=sample_rate,
        normalize=normalize,
    )
    return _OPENERS[kind](name, options)
