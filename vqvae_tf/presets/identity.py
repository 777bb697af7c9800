"""The preset that made codes or latents: stored with them, checked on reading.

Codes have a meaning only for the model that made them. Another model decodes
them to noise, and without an error if its codebook has the same size.
"""

import json
import os
from collections.abc import Mapping

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

# Name of the identity's array in an npz file of `codes` or `latents`.
ARRAY = "preset"


def identity(preset: str | os.PathLike) -> dict:
    """Returns what identifies a preset: its name and sha256s, for JSON.

    Args:
        preset: same as for `presets.find_preset`.

    Raises:
        PresetError: the preset does not exist.
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
    """Returns the `identity` of a preset whose metadata was already read.

    Args:
        preset: its name as the user gave it.
        digest: sha256 of its metadata.json.
        metadata: content of that file.
        with_prior: whether to include the prior, which makes codes of a second
            level (default False).
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
    """Returns a preset's identity as an array for an npz file."""
    return np.array(json.dumps(identity(preset), sort_keys=True))


def check_array(
    preset: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    source: str | os.PathLike,
) -> None:
    """Raises ValueError if another preset made the arrays of a file.

    Files without an identity (from older versions or other programs) are
    accepted with a warning.

    Args:
        preset: preset that will decode them.
        arrays: arrays of the file by name.
        source: the file, for messages.
    """
    if ARRAY not in arrays:
        logging.warning(
            "%s does not say which preset made it (older versions did not "
            "store this). If it was not %s, its codes will decode to noise.",
            source,
            preset,
        )
        return
    try:
        found = json.loads(arrays[ARRAY].item())
    except (ValueError, TypeError):
        found = None
    check(preset, found, source)


def check(
    preset: str | os.PathLike, found: object, source: str | os.PathLike
) -> None:
    """Raises ValueError unless a preset made the codes.

    Compares only the weights, since figures and cards may be rewritten.

    Args:
        preset: preset that will decode them.
        found: the `identity` stored with the codes, any JSON value.
        source: their file, for messages.
    """
    try:
        expected = found["files"][WEIGHTS]
        name = found["name"]
    except (KeyError, TypeError):
        raise ValueError(
            f"{source} does not say which preset made its codes; write it by "
            f"`vqvae-tf encode`. Received: {str(found)[:80]}."
        ) from None
    received = identity(preset)["files"][WEIGHTS]
    if received != expected:
        raise ValueError(
            f"{source} holds codes of {name}, whose weights have the sha256 "
            f"{expected}. Received: {preset}, with {received}. Decode codes "
            "with the model that made them."
        )
