"""Which preset made codes or latents: stored with them, compared when read.

Codes mean something only to the model that made them. Another model decodes
them to noise, without an error if it has as many codes.
"""

import json
import os

import numpy as np
from absl import logging

from vqvae_tf.presets.checks import METADATA
from vqvae_tf.presets.files import (
    CONFIG,
    PRIOR_CONFIG,
    PRIOR_WEIGHTS,
    WEIGHTS,
    sha256,
)
from vqvae_tf.presets.finding import find_preset
from vqvae_tf.presets.verifying import load_metadata

# The name of the identity's array in an npz file of `codes` or `latents`.
ARRAY = "preset"


def identity(preset: str | os.PathLike) -> dict:
    """Returns what distinguishes a preset from others, for JSON.

    Args:
        preset: same as for `presets.find_preset`.

    Raises:
        PresetError: if there is no such preset.
    """
    folder = find_preset(preset)
    digest = sha256(folder / METADATA)
    return describe(preset, digest, load_metadata(folder, digest))


def describe(
    preset: str | os.PathLike,
    digest: str,
    metadata: dict,
    with_prior: bool = False,
) -> dict:
    """Returns the `identity` of a preset whose metadata were read already.

    Args:
        preset: its name, as it was given.
        digest: the sha256 of its metadata.json.
        metadata: the content of that file.
        with_prior: whether the prior makes codes too, of a second level.
    """
    names = [CONFIG, WEIGHTS]
    if with_prior:
        names += [PRIOR_CONFIG, PRIOR_WEIGHTS]
    return {
        "name": str(preset),
        "metadata_sha256": digest,
        "files": {n: metadata["files"][n]["sha256"] for n in names},
    }


def to_array(preset: str | os.PathLike) -> np.ndarray:
    """Returns a preset's identity as an array of an npz file."""
    return np.array(json.dumps(identity(preset), sort_keys=True))


def check_array(preset: str | os.PathLike, arrays: dict, source):
    """Raises ValueError if another preset made the arrays of a file.

    Files that do not say what made them (older ones, or those of other
    programs) are accepted with a warning.

    Args:
        preset: the preset that is to decode them.
        arrays: the file's, by name.
        source: the file, for messages.
    """
    if ARRAY not in arrays:
        logging.warning(
            "%s does not say which preset made it, as files of older versions "
            "do not. Codes of another preset than %s would be noise.",
            source,
            preset,
        )
        return
    try:
        found = json.loads(arrays[ARRAY].item())
    except (ValueError, TypeError):
        found = None
    check(preset, found, source)


def check(preset: str | os.PathLike, found: dict, source):
    """Raises ValueError unless a preset made the codes.

    Only weights are compared: figures and cards of a model may be rewritten.

    Args:
        preset: the preset that is to decode them.
        found: the `identity` that was stored with the codes.
        source: their file, for messages.
    """
    try:
        expected = found["files"][WEIGHTS]
        name = found["name"]
    except (KeyError, TypeError):
        raise ValueError(
            f"{source} does not say which preset made its codes, as `vqvae-tf "
            f"encode` writes it. Received: {str(found)[:80]}."
        ) from None
    received = identity(preset)["files"][WEIGHTS]
    if received != expected:
        raise ValueError(
            f"{source} holds codes of {name}, of weights with the sha256 "
            f"{expected}. Received: {preset}, with {received}. Codes mean "
            "something to the model alone that made them."
        )
