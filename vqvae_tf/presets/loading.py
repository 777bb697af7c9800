"""Loading a model from a preset."""

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
    """Loads the model of a preset with its weights.

    Layers get the current `keras.config.dtype_policy()`, not the one they were
    trained with. The sizes in a configuration are compared with the weights
    before anything is built, so a malicious preset costs no more than its
    files. Only classes of vqvae_tf and Keras, and those in `custom_objects`,
    are instantiated.

    Args:
        name: same as for `find_preset`.
        expected_class: required class of the model, or of its autoencoder, in
            which case the prior is not read. None (default) accepts any.
        custom_objects: further classes that the preset may name, a dict by
            their registered names. Default none.
        sha256: expected sha256 of metadata.json, as `save` returned it; it
            pins the whole preset, since metadata.json lists the sha256 of all
            other files. None (default) accepts any.

    Returns:
        The model; for a preset with a prior of the class that metadata.json
        names, a `LatentGenerator` or a `VideoGenerator`.

    Raises:
        PresetError: the preset does not exist, is altered or incomplete, or is
            of another class.
        ValueError: `sha256` or `custom_objects` is malformed.
    """
    own = configs.own_classes(custom_objects)
    with contextlib.ExitStack() as copies:
        # Read all files before building any model, which takes so long that
        # another process could replace the preset meanwhile.
        metadata, parts = folders.read_steadily(
            lambda: find_preset(name),
            lambda folder: _read(
                folder, load_metadata(folder, sha256), expected_class, copies
            ),
            READ_ERRORS,
        )
        model = _build(metadata, parts, expected_class, own)
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
    """The files of one model.

    Attributes:
        config: its configuration, any JSON value.
        path: file of the configuration.
        copy: path of a copy of its weights.
        weights_path: original file of the weights.
    """

    config: object
    path: pathlib.Path
    copy: pathlib.Path
    weights_path: pathlib.Path


def _read(folder, metadata, expected_class, copies):
    """Reads the files that will be loaded, each checked against metadata.

    Args:
        folder: folder of the preset, a `pathlib.Path`.
        metadata: from `checks.check_metadata`.
        expected_class: same as for `load`.
        copies: a `contextlib.ExitStack` that keeps copies of the weights until
            it is closed; those of an earlier attempt are dropped now.

    Returns:
        metadata, and the list of `_Part`: the autoencoder, and the prior if it
        is requested.

    Raises:
        PresetError: a file is missing or altered.
    """
    copies.close()
    parts = []
    for name, weights in (CONFIG, WEIGHTS), (PRIOR_CONFIG, PRIOR_WEIGHTS):
        content = checks.read_checked(folder, name, metadata)
        config = checks.parse_json(content, folder / name)
        copy = copies.enter_context(
            checks.checked_copy(folder, weights, metadata)
        )
        parts.append(_Part(config, folder / name, copy, folder / weights))
        has_prior = PRIOR_CONFIG in metadata["files"]
        if not has_prior or _is_wanted(config, expected_class):
            break
    return metadata, parts


def _is_wanted(config, expected_class):
    """Returns whether `expected_class` asks for the model without its prior."""
    if expected_class is None or not isinstance(config, dict):
        return False
    name = config.get("registered_name")
    found = keras.saving.get_registered_object(str(name))
    return isinstance(found, type) and issubclass(found, expected_class)


# Models ----------------------------------------------------------------------


def _build(metadata, parts, expected_class, own):
    """Returns the model of a preset, with its prior if that was read.

    Args:
        metadata, parts: from `_read`.
        expected_class: same as for `load`.
        own: the caller's classes, from `configs.own_classes`.

    Raises:
        PresetError: files are damaged, do not match each other, or describe a
            larger model than the weights hold.
    """
    weights = []  # all are checked before the first model is built
    for part in parts:
        weights.append(checks.measure_weights(part.copy, part.weights_path))
        configs.check_config(part.config, part.path, weights[-1], own)
    model = _load_part(parts[0], weights[0], metadata, own)
    wants = expected_class and issubclass(type(model), expected_class)
    if len(parts) == 1 or wants:
        return model
    prior = _load_part(parts[1], weights[1], metadata, own)
    joint = _joint_class(metadata, prior)
    try:
        model = joint(model, prior)
        model.build()
    except (ValueError, TypeError, AttributeError) as error:
        raise PresetError(
            f"{CONFIG} and {PRIOR_CONFIG} of the preset "
            f"{parts[0].path.parent} do not match each other: "
            f"{first_line(error)}"
        ) from error
    return model


def _load_part(part, weights, metadata, own):
    model = configs.build(part.config, part.path, weights, own)
    _check_size(model, part.path, metadata)
    try:
        model.load_weights(part.copy)
    except Exception as error:  # Keras raises errors of any kind
        raise PresetError(
            f"{part.weights_path} does not match the model of "
            f"{part.path.name}: {first_line(error)}"
        ) from error
    try:
        finite.check_weights(model, "used")
    except ValueError as error:
        raise PresetError(f"{part.weights_path}: {error}") from None
    return model


def _check_size(model, path, metadata):
    """Raises PresetError unless build() made all the saved parameters."""
    name = "parameters" if path.name == CONFIG else "prior_parameters"
    expected, received = metadata.get(name), model.count_params()
    if expected is not None and received != expected:
        raise PresetError(
            f"{path} builds a model of {received:,} parameters, but "
            f"{METADATA} says {expected:,}: some part is not built by build(). "
            "Save a model whose build() creates all variables."
        )


def _joint_class(metadata, prior) -> type:
    """Returns the class of the model that joins an autoencoder and a prior."""
    named = _registered(metadata.get("class"))
    if getattr(named, "parts", None) == JOINED:
        return named
    # Metadata may lack it, or name a class that is not ours. Only priors of
    # video have a network for past frames.
    video = hasattr(prior, "network")
    return _registered("VideoGenerator" if video else "LatentGenerator")


def _registered(name):
    return keras.saving.get_registered_object(f"vqvae_tf>{name}")
