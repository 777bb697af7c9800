"""Verifying that a preset's files are those that its metadata lists."""

import hashlib
import os

from vqvae_tf.presets import checks, finding
from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.utils import folders
from vqvae_tf.utils.paths import expand

# Raised, among other reasons, if a preset is replaced while it is read.
READ_ERRORS = (PresetError, OSError)


def load_metadata(folder: str | os.PathLike, sha256: str | None = None) -> dict:
    """Reads a preset's metadata; that of built-in presets must match its hash.

    Args:
        folder: folder of the preset.
        sha256: expected sha256 of metadata.json, as `save` returned it; None
            (default) accepts any.

    Raises:
        PresetError: the file is missing, damaged or not the expected one.
        ValueError: `sha256` is not 64 hexadecimal digits.
    """
    path = expand(folder) / METADATA
    if not path.is_file():
        raise PresetError(
            f"The preset {folder} has no {METADATA}. Expected a folder "
            "written by save_to_preset."
        )
    text = path.read_bytes()
    built_in = path.parent.parent == finding.built_in_dir()
    for expected in (
        finding.BUILT_IN.get(path.parent.name) if built_in else None,
        checks.check_pin(sha256),
    ):
        if expected:
            received = hashlib.sha256(text).hexdigest()
            checks.compare(path, received, expected)
    return checks.check_metadata(checks.parse_json(text, path), path)


def verify(folder: str | os.PathLike, sha256: str | None = None) -> dict:
    """Checks every file of a preset against its metadata, and returns that.

    Args:
        folder, sha256: same as for `load_metadata`.

    Raises:
        PresetError: a file is missing, truncated or altered.
    """

    def verified(found):
        metadata = load_metadata(found, sha256)
        for name in metadata["files"]:
            for _ in checks.checked_blocks(found, name, metadata):
                pass
        return metadata

    return folders.read_steadily(lambda: expand(folder), verified, READ_ERRORS)
