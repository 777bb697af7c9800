"""From a preset's files to its model."""

import contextlib
import dataclasses
import os
import pathlib

import keras

from vqvae_tf.presets import checks, configs
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.presets.files import (
    CONFIG,
    JOINED,
    PRIOR_CONFIG,
    PRIOR_WEIGHTS,
    WEIGHTS,
)
from vqvae_tf.presets.finding import find_preset
from vqvae_tf.presets.verifying import READ_ERRORS, load_metadata
from vqvae_tf.utils import finite, folders
from vqvae_tf.utils.messages import first_line, with_article


def load(
    name: str | os.PathLike,
    expected_class: type | None = None,
    *,
    custom_objects: dict | None = None,
    sha256: str | None = None,
) -> keras.Model:
    """Loads a preset as what it is, with its weights.

    Layers get the present `keras.config.dtype_policy()`, whatever they were
    trained in. What a preset asks for is compared with the weights that it
    has before anything is built, so a stranger's preset costs no more than
    its files. Only classes of vqvae_tf and Keras, and those that the caller
    gives, are made.

    Args:
        name: same as for `find_preset`.
        expected_class: the class that the preset must be, or that its
            autoencoder must be: then the prior is not read.
        custom_objects: the classes of its author that it may name, a dict by
            their registered names.
        sha256: what that of metadata.json must be, as `save` returned it. It
            pins the whole preset, since metadata.json lists the sha256 of all
            other files. None accepts any.

    Returns:
        The class that metadata.json names, a `LatentGenerator` or a
        `VideoGenerator`, where the preset has a prior, else its model.

    Raises:
        PresetError: if it is not found, altered, incomplete, or of another
            class.
        ValueError: if `sha256` or `custom_objects` is malformed.
    """
    own = configs.own_classes(custom_objects)
    with contextlib.ExitStack() as copies:
        # All files at once, and models later: that takes longer than another
        # process needs to replace the preset.
        files = folders.read_steadily(
            lambda: find_preset(name),
            lambda folder: _read(
                folder, load_metadata(folder, sha256), expected_class, copies
            ),
            READ_ERRORS,
        )
        model = _build(files, expected_class, own)
    if expected_class and not isinstance(model, expected_class):
        raise PresetError(
            f"The preset {str(name)!r} holds {with_article(model)}. "
            f"Received: {expected_class.__name__}.from_preset; use "
            f"{type(model).__name__}.from_preset."
        )
    return model


# Files -----------------------------------------------------------------------


@dataclasses.dataclass
class _Part:
    """What a model is made of.

    Attributes:
        config: its configuration.
        path: where that is from.
        copy: the path of a copy of its weights.
        weights_path: where these are from.
    """

    config: object
    path: pathlib.Path
    copy: pathlib.Path
    weights_path: pathlib.Path


@dataclasses.dataclass
class _Files:
    """The files of a preset, all of one moment.

    Attributes:
        metadata: of the preset.
        parts: the autoencoder's, and the prior's where it is asked for.
    """

    metadata: dict
    parts: list[_Part] = dataclasses.field(default_factory=list)


def _read(folder, metadata, expected_class, copies) -> _Files:
    """Reads the files that are to be loaded, each compared with metadata.

    Args:
        folder: the preset's, a `pathlib.Path`.
        metadata: from `checks.check_metadata`.
        expected_class: same as for `load`.
        copies: a `contextlib.ExitStack`, which keeps copies of the weights
            until it is closed; those of an earlier attempt are dropped now.

    Raises:
        PresetError: for files that are missing or altered.
    """
    copies.close()
    files = _Files(metadata)
    for name, weights in (CONFIG, WEIGHTS), (PRIOR_CONFIG, PRIOR_WEIGHTS):
        content = checks.read_checked(folder, name, metadata)
        config = checks.parse_json(content, folder / name)
        copy = copies.enter_context(
            checks.checked_copy(folder, weights, metadata)
        )
        part = _Part(config, folder / name, copy, folder / weights)
        files.parts.append(part)
        has_prior = PRIOR_CONFIG in metadata["files"]
        if not has_prior or _is_wanted(config, expected_class):
            break
    return files


def _is_wanted(config, expected_class):
    """Returns whether a model alone, without its prior, is asked for."""
    if expected_class is None or not isinstance(config, dict):
        return False
    name = config.get("registered_name")
    found = keras.saving.get_registered_object(str(name))
    return isinstance(found, type) and issubclass(found, expected_class)


# Models ----------------------------------------------------------------------


def _build(files, expected_class, own) -> keras.Model:
    """Returns the model of a preset, with its prior if that was read.

    Args:
        files: from `_read`.
        expected_class: same as for `load`.
        own: the caller's classes, from `configs.own_classes`.

    Raises:
        PresetError: for files that are damaged, do not belong together or ask
            for more than is there.
    """
    # All are checked before the first is built.
    weights = [_check(part, own) for part in files.parts]
    model = _load_part(files.parts[0], weights[0], files.metadata, own)
    wants = expected_class and issubclass(type(model), expected_class)
    if len(files.parts) == 1 or wants:
        return model
    prior = _load_part(files.parts[1], weights[1], files.metadata, own)
    joint = _joint_class(files.metadata, prior)
    try:
        model = joint(model, prior)
        model.build()
    except (ValueError, TypeError, AttributeError) as error:
        raise PresetError(
            f"{CONFIG} and {PRIOR_CONFIG} of the preset "
            f"{files.parts[0].path.parent} do not fit each other: "
            f"{first_line(error)}"
        ) from error
    return model


def _check(part, own):
    weights = checks.measure_weights(part.copy, part.weights_path)
    configs.check_config(part.config, part.path, weights, own)
    return weights


def _load_part(part, weights, metadata, own):
    model = configs.build(part.config, part.path, weights, own)
    _check_size(model, part.path, metadata)
    try:
        model.load_weights(part.copy)
    except Exception as error:  # whatever Keras makes of other weights
        raise PresetError(
            f"{part.weights_path} does not fit the model of "
            f"{part.path.name}: {first_line(error)}"
        ) from error
    try:
        finite.check_weights(model, "used")
    except ValueError as error:
        raise PresetError(f"{part.weights_path}: {error}") from None
    return model


def _check_size(model, path, metadata):
    """Raises PresetError unless all the parameters are there to be loaded."""
    name = "parameters" if path.name == CONFIG else "prior_parameters"
    expected, received = metadata.get(name), model.count_params()
    if expected is not None and received != expected:
        raise PresetError(
            f"{path} makes a model of {received:,} parameters without data, "
            f"{METADATA} says {expected:,}: some part is not built by build(). "
            "Save a model whose build() makes all variables."
        )


def _joint_class(metadata, prior) -> type:
    """Returns the class of the model that joins an autoencoder and a prior."""
    named = _registered(metadata.get("class"))
    if getattr(named, "parts", None) == JOINED:
        return named
    # Metadata may lack it, or name a class that is not ours. Only a prior of
    # video has a network that sees past frames.
    video = hasattr(prior, "network")
    return _registered("VideoGenerator" if video else "LatentGenerator")


def _registered(name):
    return keras.saving.get_registered_object(f"vqvae_tf>{name}")
