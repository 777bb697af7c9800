"""The sequences that are input to a command, and the presets that take them."""

import os

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf import data
from vqvae_tf.commands.inputs.clips import read_arrays, read_folder
from vqvae_tf.commands.inputs.latents import class_name
from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.pictures.source import ArrayImages
from vqvae_tf.models import CodedSequenceModel
from vqvae_tf.models.sequence_model import SequenceModel
from vqvae_tf.samples.clips import sample_clips
from vqvae_tf.samples.digits import sample_digits
from vqvae_tf.utils.paths import expand

# Frames of the package's own sequences: of a digit, of an oscillator.
_DIGIT_LENGTH, _OSCILLATOR_LENGTH = 10, 60


def is_sequences(preset: str | os.PathLike) -> bool:
    """Returns whether a preset is of sequences; see `class_name`."""
    found = keras.saving.get_registered_object(f"vqvae_tf>{class_name(preset)}")
    return isinstance(found, type) and issubclass(
        found, (CodedSequenceModel, SequenceModel)
    )


def has_pictures(model: keras.Model) -> bool:
    """Returns whether a model's frames are pictures that can be shown."""
    shape = model.event_shape
    pixels = model.frame_dtype == tf.uint8
    return pixels and len(shape) == 3 and shape[-1] in (1, 3)


def read_sequence(
    source: str | os.PathLike | None, model: keras.Model
) -> np.ndarray:
    """Reads a sequence of frames.

    Args:
        source: an npz file with `frames`, or, for a model of pictures, a folder
            of them, sorted by the numbers in their names; None for a sequence
            of the package.
        model: the model of sequences that they are for.

    Returns:
        `[time, *event]` of the model's `frame_dtype`.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: for other frames than the model takes, or a model for which
            the package has no sequence.
    """
    if source is None:
        return _own_sequence(model)
    shape = tuple(model.event_shape)
    names = ", ".join(map(str, ("time", *shape)))
    expected = f"`frames` {model.frame_dtype.name} [{names}]"
    if not expand(source).is_dir():
        frames = read_arrays(expand(source), f"an npz file with {expected}")
        frames = _as_stored(frames["frames"], model)
    elif has_pictures(model):
        frames = read_folder(source, shape[0], shape[-1])
    else:
        raise ValueError(
            f"The model takes an npz file with {expected}. Received: the "
            f"folder {source}."
        )
    dtype = model.frame_dtype.as_numpy_dtype
    fits = frames.shape[1:] == shape and len(frames)
    if frames.dtype != dtype or not fits:
        raise ValueError(
            f"The model takes {expected}, at least one. Received: "
            f"{frames.dtype} of shape {frames.shape} in {source}."
        )
    return frames


def _as_stored(frames, model):
    """Returns frames with the model's channels, or of its dtype, if possible.

    Nothing is rounded: fractions do not become codes, nor numbers pixels.
    """
    shape, kind = model.event_shape, frames.dtype.kind
    if has_pictures(model):
        pixels = frames.dtype == np.uint8 and frames.ndim == 4
        if pixels and frames.shape[-1] in (1, 3, 4):
            return convert_channels(frames, shape[-1]).numpy()
    elif model.frame_dtype == tf.float32 and kind in "fiu":
        return frames.astype(np.float32)
    elif model.frame_dtype == tf.int32 and kind in "iu":
        limits = np.iinfo(np.int32)
        return np.clip(frames, limits.min, limits.max).astype(np.int32)
    return frames


def _own_sequence(model):
    """Returns a sequence that comes with the package."""
    shape, dtype = tuple(model.event_shape), model.frame_dtype
    if dtype == tf.uint8 and shape == (84, 84, 3):
        return sample_clips()[0][1]
    if dtype == tf.uint8 and shape == (28, 28, 1):
        digits = ArrayImages("the package's digits", sample_digits()[0])
        source = data.MovingPictures(digits, _DIGIT_LENGTH)
    elif dtype == tf.float32 and shape == (1,):
        source = data.Oscillators(_OSCILLATOR_LENGTH)
    else:
        raise ValueError(
            "The package has sequences for frames of shape (28, 28, 1), "
            "(84, 84, 3) or (1,); for others, give the file of a sequence. "
            f"Received: a model of {dtype.name} frames of shape {shape}."
        )
    index = tf.constant([2], tf.int64)
    return source.get(index, source.evaluation_noise(index))[0].numpy()[0]
