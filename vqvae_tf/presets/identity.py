"""Which preset made codes or latents: noted with them, compared when read.

Codes mean something to the model alone that made them. Another one decodes them
to noise, without an error if it has as many codes.
"""

import json

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

# The array of an npz file, beside `codes` or `latents`, that says it.
ARRAY = "preset"


def identity(preset) -> dict:
    """Returns what tells a preset from another one, for JSON.

    Args:
        preset: as for `presets.find_preset`.

    Raises:
        PresetError: if there is no such preset.
    """
    folder = find_preset(preset)
    digest = sha256(folder / METADATA)
    return describe(preset, digest, load_metadata(folder, digest))


def describe(preset, digest, metadata, with_prior=False) -> dict:
    """Returns the `identity` of a preset that is known already.

    Args:
        preset: its name, as it was given.
        digest: the sha256 of its metadata.json.
        metadata: what is in that.
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


def to_array(preset) -> np.ndarray:
    """Returns a preset's identity as an array of an npz file."""
    return np.array(json.dumps(identity(preset), sort_keys=True))


def check_array(preset, arrays, source):
    """Raises ValueError where the arrays of a file are another preset's.

    Files that do not say what made them, older or made by other means, are
    accepted with a warning.

    Args:
        preset: the preset that is to decode them.
        arrays: by their names.
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


def check(preset, found, source):
    """Raises ValueError unless a preset is the one that codes say.

    Compared are the weights: figures and cards of a model may be written anew.

    Args:
        preset: the preset that is to decode them.
        found: the `identity` that was noted.
        source: where, for messages.
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
