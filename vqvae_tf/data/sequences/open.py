"""`open_sequences`: moving pictures, oscillators, or clips of episodes."""

import zlib
from typing import Any

from vqvae_tf.data.episodes.rlds import open_episodes
from vqvae_tf.data.options import CACHE_BYTES
from vqvae_tf.data.pictures.open import open_images
from vqvae_tf.data.sequences.clips import EpisodeSequences
from vqvae_tf.data.sequences.moving import MovingPictures
from vqvae_tf.data.sequences.oscillators import (
    Oscillators,
    SwitchingOscillators,
)
from vqvae_tf.data.sequences.source import SequenceSource
from vqvae_tf.utils.checks import check_choice

_SPLITS = ("train", "validation", "test")
_WAVES = ("num_examples", "frequencies", "amplitudes", "noise")
# What each form takes beside the arguments of all.
_OPTIONS = {
    "moving": ("binary",),
    "oscillator": _WAVES,
    "switching_oscillator": (*_WAVES, "bounds", "last_frequencies"),
    "episodes": (),
}


def open_sequences(
    form: str,
    source: str | None,
    split: str,
    data_dir: str | None = None,
    length: int | None = None,
    on_corrupt: str = "error",
    progress: bool = True,
    channels: int | None = None,
    download: bool = False,
    cache_bytes: int = CACHE_BYTES,
    **options: Any,
) -> SequenceSource:
    """Opens a set of sequences.

    Args:
        form: one of

            * "moving": pictures of one size that move sideways
              (`MovingPictures`);
            * "oscillator": noisy harmonic oscillators (`Oscillators`);
            * "switching_oscillator": such whose frequency changes
              (`SwitchingOscillators`);
            * "episodes": clips of episodes (`EpisodeSequences`).
        source: as for `open_images` ("moving") or `open_episodes`
            ("episodes"); ignored by the oscillators, which are generated.
        split: as there; "train", "validation" or "test" for oscillators.
            Splits draw different noise for every seed.
        data_dir, on_corrupt, progress, download, cache_bytes: as for
            `open_images`; ignored by the oscillators.
        length: frames of each sequence. None (default) is 20, for oscillators
            200, for switching ones 140, the end of their last segment.
        channels: 1 or 3. None (default) is 1 for "moving", 3 for "episodes".
        **options: further arguments of the class: `binary` of
            `MovingPictures`; `num_examples`, `frequencies`, `amplitudes` and
            `noise` of both oscillators; `bounds` and `last_frequencies` of
            `SwitchingOscillators`.

    Returns:
        A `SequenceSource`.

    Raises:
        ValueError: an unknown form, source, split or option, or a length that
            does not fit.
        FileNotFoundError: the folder, file or prepared set does not exist.

    Example:

    >>> test = open_sequences("oscillator", None, "test", num_examples=100)
    >>> test.num_examples, test.length, test.shape
    (100, 200, (1,))
    """
    check_choice("form", form, _OPTIONS)
    _check_options(form, options)
    if length is not None:
        options["length"] = length
    if form.endswith("oscillator"):
        check_choice("split", split, _SPLITS)
        return _oscillators(form, stream=_stream(split), **options)
    reading = dict(
        data_dir=data_dir,
        on_corrupt=on_corrupt,
        progress=progress,
        download=download,
        cache_bytes=cache_bytes,
    )
    if form == "episodes":
        channels = 3 if channels is None else channels
        found = open_episodes(source, split, channels=channels, **reading)
        return EpisodeSequences(found, **options)
    channels = 1 if channels is None else channels
    images = open_images(source, split, channels=channels, **reading)
    return MovingPictures(images, stream=_stream(split), **options)


def _stream(split):
    """Returns the number of a split's stream of noise."""
    return zlib.crc32(split.encode())


def _oscillators(form, length=None, **options):
    if form == "oscillator":
        return Oscillators(200 if length is None else length, **options)
    found = SwitchingOscillators(**options)
    if length not in (None, found.length):
        raise ValueError(
            "The length of switching oscillators is the last of their bounds, "
            f"{found.length}: omit it, or change bounds. Received: "
            f"length={length!r}."
        )
    return found


def _check_options(form, options):
    taken = _OPTIONS[form]
    unknown = sorted(set(options) - set(taken))
    if unknown:
        raise ValueError(
            f"Sequences of the form {form!r} take "
            f"{', '.join(taken) or 'no further options'}. Received: "
            f"{', '.join(unknown)}."
        )
