"""Which files a preset consists of, and whether a folder holds others."""

import json

from vqvae_tf import scratch
from vqvae_tf.preset_checks import METADATA, PresetError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
PRIOR_CONFIG, PRIOR_WEIGHTS = "prior.json", "prior.weights.h5"
# What saving writes besides what a card shows.
_OWN = {CONFIG, WEIGHTS, PRIOR_CONFIG, PRIOR_WEIGHTS, METADATA, "README.md"}


def check_preset_alone(folder):
    """Raises PresetError unless a folder is empty or a preset, and no more."""
    if not folder.is_dir():
        raise PresetError(
            f"A preset is a folder, and {folder} is a file. Choose a new "
            "folder."
        )
    found = sorted(folder.iterdir())
    listed = _listed(folder / METADATA)
    for path in found:
        if path.name.startswith(scratch.PREFIX):
            continue  # left there by `write_metadata`, killed
        if path.name not in _OWN | set(listed or ()) or path.is_dir():
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


def _listed(path) -> list[str] | None:
    """Returns the files that a preset's metadata lists, None if none did."""
    try:
        metadata = json.loads(path.read_bytes())
        files = metadata["files"]
        if "vqvae_tf_version" not in metadata:
            return None
        return [name for name in files if {"sha256", "size"} <= {*files[name]}]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
