"""Where a command finds the data of a recipe, or of a preset."""

import os

from absl import flags

FLAGS = flags.FLAGS


def check_data_dir(command, description):
    """Raises ValueError where the source is relative to no folder."""
    kind, _, name = description["source"].partition(":")
    given = FLAGS.data_dir or os.environ.get("TFDS_DATA_DIR")
    if given or kind not in ("folder", "npz") or os.path.isabs(name):
        return
    splits = (description["train_split"], description["eval_split"])
    inside = " and ".join(f"{split}/" for split in splits)
    if kind == "npz":
        inside = name
    elif name:
        inside = f"{name}/ (with {inside})"
    raise ValueError(
        f"{command} needs --data_dir=FOLDER with {inside} inside; "
        "TFDS_DATA_DIR is not set either."
    )
