"""The recordings, codes and speakers that a command is given."""

import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from vqvae_tf import data, presets
from vqvae_tf.commands.inputs.files import RECORDINGS, Inputs, read_each
from vqvae_tf.commands.inputs.latents import class_name, read_codes
from vqvae_tf.models import SpeechVQVAE
from vqvae_tf.presets import identity as preset_identity
from vqvae_tf.utils.padding import pad

# Samples of a recording, at most, from which its speaker is recognized.
_HEARD = 16384


def is_speech(preset: str | os.PathLike) -> bool:
    """Returns whether a preset's model is one of waveforms.

    Args:
        preset: as for `presets.find_preset`.

    Raises:
        PresetError: if it is not found. One with a damaged configuration is
            none of speech; loading it says what is wrong.
    """
    return class_name(preset) == SpeechVQVAE.__name__


def loudness(preset: str | os.PathLike) -> str | None:
    """Returns how a preset's recordings were scaled: "peak", or None."""
    described = presets.load_metadata(presets.find_preset(preset)).get("data")
    described = described if isinstance(described, dict) else {}
    return described.get("normalize", "peak")


def read_recordings(
    inputs: Inputs,
    sample_rate: int,
    normalize: str | None,
    on_corrupt: str = "error",
) -> Iterator[tuple[str, np.ndarray]]:
    """Returns an iterator of (name, float32 `[time]`) at a model's sample rate.

    Args:
        inputs: as from `RECORDINGS.list_inputs`.
        sample_rate: in Hz.
        normalize: "peak" or None, see `data.load_waveform`.
        on_corrupt: "error", or "skip" to log what cannot be read.
    """
    return read_each(
        inputs,
        lambda path: data.load_waveform(path, sample_rate, normalize),
        on_corrupt,
    )


# Codes ------------------------------------------------------------------------


def pack(
    codes: Sequence[np.ndarray],
    lengths: Sequence[int],
    names: Sequence[str],
    preset: str | os.PathLike | None = None,
) -> dict:
    """Returns the arrays of a codes file.

    Args:
        codes: integers `[n_i]` (or `[n_i, G]`) of each recording.
        lengths: its samples.
        names: its name.
        preset: that which made them, to be noted.

    Returns:
        `codes` int32 `[recordings, longest]`, 0 after the end of each,
        `lengths` int32 and `names`.

    Example:

    >>> pack([np.array([3, 1]), np.array([2])], [7, 4], "ab")["codes"].tolist()
    [[3, 1], [2, 0]]
    """
    arrays = {
        "codes": pad(codes)[0].astype(np.int32),
        "lengths": np.array(lengths, np.int32),
        "names": np.array(list(names)),
    }
    if preset is not None:
        arrays[preset_identity.ARRAY] = preset_identity.to_array(preset)
    return arrays


def unpack(
    source: str | os.PathLike,
    model: SpeechVQVAE,
    preset: str | os.PathLike | None = None,
) -> tuple[list, list, list]:
    """Reads a codes file that `pack` made, or one with `codes` alone.

    Args:
        source: the npz file.
        model: the `SpeechVQVAE` that is to decode it.
        preset: where it is from; codes of another preset are refused.

    Returns:
        The codes of each recording, its samples, and the wav to write.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another file or preset, or arrays that do not fit the
            model or each other.
    """
    arrays = read_codes(source, ["codes", "lengths"])
    if preset is not None:
        preset_identity.check_array(preset, arrays, source)
    codes = arrays["codes"]
    groups = model.quantizer.num_codebooks
    rest = (groups,) if groups > 1 else ()
    if codes.ndim < 2 or codes.shape[2:] != rest or 0 in codes.shape:
        axes = ", ".join(["recordings", "n", *map(str, rest)])
        raise ValueError(
            f"Codes of speech have shape [{axes}]. Received: codes of shape "
            f"{codes.shape} in {source}."
        )
    whole = codes.shape[1] * model.stride
    lengths = arrays.get("lengths", np.full(len(codes), whole))
    names = arrays["names"]
    if not len(codes) == len(lengths) == len(names):
        raise ValueError(
            f"Expected as many `names` and `lengths` as `codes` in {source}. "
            f"Received: {len(names)}, {len(lengths)} and {len(codes)}."
        )
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1:
        raise ValueError(
            "`lengths` must be integers [recordings]. Received: "
            f"{lengths.dtype} of shape {lengths.shape} in {source}."
        )
    if np.min(lengths) < 1 or np.max(lengths) > whole:
        raise ValueError(
            f"{codes.shape[1]} codes are up to {whole} samples. Received: "
            f"lengths in {np.min(lengths)}..{np.max(lengths)} in {source}."
        )
    kept = [row[: -(-n // model.stride)] for row, n in zip(codes, lengths)]
    return kept, list(map(int, lengths)), RECORDINGS.row_names(names)


# Speakers ---------------------------------------------------------------------


def speaker_number(model: SpeechVQVAE, given: str | None) -> int:
    """Returns the number of a speaker that is given by name or number.

    Args:
        model: a `SpeechVQVAE`.
        given: what `--speaker` says, or None.

    Returns:
        0 for a model without speakers.

    Raises:
        ValueError: for an unknown one, or none where one must be named.
    """
    names = model.speaker_names
    if not names:
        if given is None:
            return 0
        raise ValueError(
            f"This preset knows no speakers. Received: --speaker={given}."
        )
    if given in names:
        return names.index(given)
    if given is not None and given.isdecimal() and int(given) < len(names):
        return int(given)
    raise ValueError(
        f"--speaker must be one of {', '.join(names)}, or a number in "
        f"0..{len(names) - 1}. Received: --speaker={given or ''}."
    )


def likeliest_speaker(
    model: SpeechVQVAE, waveform: np.ndarray, codes: np.ndarray
) -> int:
    """Returns the number of the speaker under whom a recording is likeliest.

    Args:
        model: a `SpeechVQVAE` of several speakers.
        waveform: float `[time]`, of which two seconds at 8 kHz are looked at.
        codes: its codes, `[n]` or `[n, G]`.
    """
    count = min(-(-_HEARD // model.stride), len(codes))
    local = model.quantizer.decode(codes[np.newaxis, :count])
    heard = tf.constant(waveform[np.newaxis, : count * model.stride])
    mask = model.pad(tf.ones_like(heard))
    heard = model.pad(heard)
    # One after the other: a WaveNet takes some 10 kB a sample.
    scores = [
        model.decoder.log_prob(
            heard, {**model.speaker_context(i), "local": local}, mask=mask
        )
        for i in range(len(model.speaker_names))
    ]
    return int(tf.argmax(tf.concat(scores, axis=0)))
