"""Where a command finds the data of a recipe, or of a preset."""

import os

from absl import flags

from vqvae_tf.utils.paths import expand

FLAGS = flags.FLAGS


def check_data_dir(command: str, description: dict) -> None:
    """Raises an error where there is no folder that the source is in."""
    folder = FLAGS.data_dir
    if folder is not None and "://" not in folder:
        if not expand(folder).is_dir():
            raise FileNotFoundError(
                f"{command} needs the folder of the data. Received: "
                f"--data_dir={folder}, where there is none."
            )
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
