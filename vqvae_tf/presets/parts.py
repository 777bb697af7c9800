"""The parts of a preset: from its files to an autoencoder, and a prior."""

import dataclasses
import pathlib

import keras

from vqvae_tf.models import LatentGenerator, VideoGenerator
from vqvae_tf.presets import checks as preset_checks, configs as preset_configs
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.presets.files import CONFIG, PRIOR_CONFIG, PRIOR_WEIGHTS, WEIGHTS
from vqvae_tf.utils import finite
from vqvae_tf.utils.messages import first_line


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
class Files:
    """The files of a preset, all of one moment.

    Attributes:
        metadata: of the preset.
        parts: the autoencoder's, and the prior's where it is asked for.
    """

    metadata: dict
    parts: list[_Part] = dataclasses.field(default_factory=list)


def read(folder, metadata, expected_class, copies) -> Files:
    """Reads the files that are to be loaded, each compared with metadata.

    Args:
        folder: the preset's, a `pathlib.Path`.
        metadata: as of `preset_checks.check_metadata`.
        expected_class: as of `presets.load`.
        copies: a `contextlib.ExitStack`, which keeps copies of the weights
            until it is closed; those of a reading before are closed now.

    Raises:
        PresetError: for files that are missing or altered.
    """
    copies.close()
    files = Files(metadata)
    for name, weights in (CONFIG, WEIGHTS), (PRIOR_CONFIG, PRIOR_WEIGHTS):
        content = preset_checks.read_checked(folder, name, metadata)
        config = preset_checks.parse_json(content, folder / name)
        copy = copies.enter_context(
            preset_checks.checked_copy(folder, weights, metadata)
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


def load(files, expected_class, own) -> keras.Model:
    """Returns the model of a preset, with its prior if that was read.

    Args:
        files: from `read`.
        expected_class: as of `presets.load`.
        own: the caller's classes, as of `preset_configs.own_classes`.

    Raises:
        PresetError: for files that are damaged, do not belong together or ask
            for more than is there.
    """
    # All are checked before the first is built.
    weights = [_check(part, own) for part in files.parts]
    model = _load(files.parts[0], weights[0], files.metadata, own)
    wants = expected_class and issubclass(type(model), expected_class)
    if len(files.parts) == 1 or wants:
        return model
    prior = _load(files.parts[1], weights[1], files.metadata, own)
    return _with_prior(model, prior, files.parts[0].path.parent)


def _check(part, own):
    weights = preset_checks.measure_weights(part.copy, part.weights_path)
    preset_configs.check_config(part.config, part.path, weights, own)
    return weights


def _load(part, weights, metadata, own):
    model = preset_configs.build(part.config, part.path, weights, own)
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


def _with_prior(autoencoder, prior, folder):
    # Only a prior of video has a network that sees past frames.
    video = hasattr(prior, "network")
    try:
        model = (VideoGenerator if video else LatentGenerator)(
            autoencoder, prior
        )
        model.build()
    except (ValueError, TypeError, AttributeError) as error:
        raise PresetError(
            f"{CONFIG} and {PRIOR_CONFIG} of the preset {folder} do not fit "
            f"each other: {first_line(error)}"
        ) from error
    return model
