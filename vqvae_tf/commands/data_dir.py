"""Checks that a command can find the data of a recipe or preset."""

import os

from absl import flags

from vqvae_tf.utils.paths import expand

FLAGS = flags.FLAGS


def check_data_dir(command: str, description: dict) -> None:
    """Raises an error if there is no folder to find the source in."""
    folder = FLAGS.data_dir
    if folder is not None and "://" not in folder:
        if not expand(folder).is_dir():
            raise FileNotFoundError(
                f"{command} needs the folder of the data. Received: "
                f"--data_dir={folder}, which does not exist."
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
        f"{command} needs --data_dir=FOLDER with {inside} inside; neither it "
        "nor TFDS_DATA_DIR is set."
    )
