"""The files of a preset, and whether a folder holds others."""

import hashlib
import json
import os
import pathlib

from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.utils import folders, scratch
from vqvae_tf.utils.paths import expand

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
PRIOR_CONFIG, PRIOR_WEIGHTS = "prior.json", "prior.weights.h5"
# The attribute `parts` of models whose preset has both pairs of files.
JOINED = ("autoencoder", "prior")


def sha256(path: str | os.PathLike) -> str:
    """Returns the sha256 of a file, in hexadecimal digits."""
    with open(expand(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_preset_alone(folder: pathlib.Path) -> None:
    """Raises PresetError unless a folder is empty or holds only a preset.

    A preset's files are those that its metadata lists, unchanged. Others, and
    files that were changed since, may be somebody's work.
    """
    # Another process may be replacing the preset.
    folders.read_steadily(lambda: folder, _check, (PresetError, OSError))


def _check(folder):
    if folder.exists() and not folder.is_dir():
        raise PresetError(
            f"A preset is a folder, but {folder} is a file. Choose a new "
            "folder."
        )
    # A killed `write_metadata` leaves a scratch folder.
    found = [p for p in folder.iterdir() if not scratch.is_leftover(p)]
    listed = _listed(folder / METADATA)
    for path in sorted(found):
        known = path.name in {METADATA, *(listed or ())}
        if not known or not path.is_file():
            raise PresetError(
                f"Saving a preset replaces its whole folder, but {folder} "
                f"holds {path.name!r}, which is not part of a preset and would "
                "be lost. Choose a new folder, or move it away."
            )
    if found and listed is None:
        raise PresetError(
            f"Saving a preset replaces its whole folder, but {folder} is not "
            f"a preset: it has no {METADATA} written by save_to_preset. Choose "
            "a new folder."
        )
    for path in sorted(found):
        if path.name == METADATA:
            continue
        entry = listed[path.name]
        same_size = path.stat().st_size == entry["size"]
        if not same_size or sha256(path) != entry["sha256"]:
            raise PresetError(
                f"Saving a preset replaces its whole folder, but {path.name!r} "
                f"in {folder} was changed since it was saved: its size or "
                f"sha256 differs from {METADATA}, and the change would be "
                "lost. Choose a new folder, or move it away."
            )


def _listed(path):
    """Returns the files that a preset's metadata lists, or None if invalid."""
    try:
        metadata = json.loads(path.read_bytes())
        files = metadata["files"]
        if "vqvae_tf_version" not in metadata:
            return None
        return {
            name: files[name]
            for name in files
            if isinstance(files[name], dict)
            and {"sha256", "size"} <= {*files[name]}
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
