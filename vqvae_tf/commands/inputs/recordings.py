"""The recordings, codes and speakers that are input to a command."""

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

# The most samples of a recording that are used to recognize its speaker.
_HEARD = 16384


def is_speech(preset: str | os.PathLike) -> bool:
    """Returns whether a preset's model is one of speech; see `class_name`."""
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
        normalize: as for `data.load_waveform`.
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
        lengths: the samples of each.
        names: the name of each.
        preset: the preset that made them, to be recorded.

    Returns:
        `codes` int32 `[recordings, longest]`, padded with 0, `lengths` int32
        and `names`.

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
        model: the `SpeechVQVAE` that will decode it.
        preset: the model's; codes of another preset are refused.

    Returns:
        For each recording its codes, its number of samples, and the name of the
        wav file to write.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another file or preset, or arrays that do not fit the
            model or each other.
    """
    arrays = read_codes(source, ["codes", "lengths"])
    if preset is not None:
        preset_identity.check_array(preset, arrays, source)
    codes = arrays["codes"]
    rest = model.quantizer.codes_shape((model.quantizer.channels,))
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
    """Returns the number of a speaker; 0 for a model without speakers.

    Args:
        model: a `SpeechVQVAE`.
        given: the speaker's name or number from `--speaker`, or None.

    Raises:
        ValueError: for an unknown speaker, or if one must be given.
    """
    names = model.speaker_names
    if not names:
        if given is None:
            return 0
        raise ValueError(
            f"This preset has no speakers. Received: --speaker={given}."
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
    """Returns the number of the speaker who makes a recording most likely.

    Args:
        model: a `SpeechVQVAE` of several speakers.
        waveform: float `[time]`, of which at most two seconds at 8 kHz are
            used.
        codes: its codes, `[n]` or `[n, G]`.
    """
    count = min(-(-_HEARD // model.stride), len(codes))
    local = model.quantizer.decode(codes[np.newaxis, :count])
    heard = tf.constant(waveform[np.newaxis, : count * model.stride])
    mask = model.pad(tf.ones_like(heard))
    heard = model.pad(heard)
    # One at a time, since a WaveNet takes some 10 kB for each sample.
    scores = [
        model.decoder.log_prob(
            heard, {**model.speaker_context(i), "local": local}, mask=mask
        )
        for i in range(len(model.speaker_names))
    ]
    return int(tf.argmax(tf.concat(scores, axis=0)))
