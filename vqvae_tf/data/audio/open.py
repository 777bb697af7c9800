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
    """Opens a set of recordings; each is read once, to know which are sound.

    Args:
        source: one of
            "tfds:spoken_digit": "test" is the recordings numbered 0 to 4 of
            each speaker and digit, "train" the others;
            "tfds:vctk/mic1", "tfds:vctk/mic2": "test" is each speaker's
            utterances whose number is a multiple of 20, "train" the others;
            "tfds:NAME": any prepared set of tensorflow_datasets with one
            `Audio` feature of known rate, in its own splits; a class label
            called speaker or speaker_id names the speakers;
            "folder" or "folder:SUBDIR": wav and flac files in or below
            data_dir/SUBDIR/SPLIT/SPEAKER. The speakers are those of all
            splits (train, validation, test) together.
        split: "train", "test", ...; "all" is every recording. Slices as
            "train[:90%]" for TFDS sets with splits of their own.
        sample_rate: samples a second of what is returned. Recordings at other
            rates are resampled; those at half of it or less are refused.
        data_dir: where to look; the default is the environment variable
            TFDS_DATA_DIR, then the current folder (TFDS: its own default).
        on_corrupt: "error" refuses a set with a recording that is damaged,
            truncated, empty, silent, out of range or at too low a rate, and
            names it; "skip" leaves it out with a logged warning. (A damaged
            file of TFDS, which holds many recordings, is always refused.)
            Several channels are averaged, with one logged warning for all;
            so are clipped recordings told of, and kept.
        normalize: "peak" takes each recording's mean away and scales it to a
            largest sample of 1 or -1; None keeps the levels. `audio_reading`
            says why.
        progress: show a progress bar while recordings are read.
        download: let TFDS download and prepare a missing set.
        cache_bytes: waveforms stay in memory up to this size (512 MiB are 2.3
            hours at 16 kHz); otherwise each is read again when it is used.

    Returns:
        An `AudioSource`.

    Raises:
        ValueError: an unknown source, split or option, or a bad recording.
        FileNotFoundError: the folder or prepared set is not there.
        ImportError: files, or a change of rate, without the extra `audio`.

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
