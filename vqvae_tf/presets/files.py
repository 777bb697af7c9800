"""Which files make up a preset, and whether a folder holds others."""

import hashlib
import json
import os

from vqvae_tf.presets.checks import METADATA, PresetError
from vqvae_tf.utils import folders, scratch
from vqvae_tf.utils.paths import expand

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
PRIOR_CONFIG, PRIOR_WEIGHTS = "prior.json", "prior.weights.h5"
# The parts of a model whose preset has both pairs of files.
JOINED = ("autoencoder", "prior")


def sha256(path: str | os.PathLike) -> str:
    """Returns the sha256 of a file, in hexadecimal digits."""
    with open(expand(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_preset_alone(folder):
    """Raises PresetError unless a folder is empty or holds only a preset.

    A preset's files are those that its metadata lists, as they were saved.
    Others, and those that were changed since, belong to somebody.
    """
    # Another process may replace the preset meanwhile.
    folders.read_steadily(lambda: folder, _check, (PresetError, OSError))


def _check(folder):
    if folder.exists() and not folder.is_dir():
        raise PresetError(
            f"A preset is a folder, and {folder} is a file. Choose a new "
            "folder."
        )
    # A killed `write_metadata` leaves a scratch folder.
    found = [p for p in folder.iterdir() if not scratch.is_leftover(p)]
    listed = _listed(folder / METADATA)
    for path in sorted(found):
        known = path.name in {METADATA, *(listed or ())}
        if not known or not path.is_file():
            raise PresetError(
                f"A preset replaces its whole folder, and {folder} holds "
                f"{path.name!r}, which is no file of a preset and would be "
                "lost. Choose a new folder, or move it away."
            )
    if found and listed is None:
        raise PresetError(
            f"A preset replaces its whole folder, and {folder} holds something "
            f"else: it has no {METADATA} that save_to_preset wrote. Choose a "
            "new folder."
        )
    for path in sorted(found):
        if path.name != METADATA and not _as_saved(path, listed[path.name]):
            raise PresetError(
                f"A preset replaces its whole folder, and {path.name!r} in "
                f"{folder} is not as it was saved: its size or sha256 differs "
                f"from that in {METADATA}, and the change would be lost. "
                "Choose a new folder, or move it away."
            )


def _as_saved(path, entry) -> bool:
    if path.stat().st_size != entry["size"]:
        return False
    return sha256(path) == entry["sha256"]


def _listed(path) -> dict | None:
    """Returns the files that a preset's metadata lists, None if none did."""
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
