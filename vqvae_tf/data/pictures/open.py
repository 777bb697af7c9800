"""`open_images`: pictures from TFDS, a folder, an npz file, or generated."""

from vqvae_tf.data.options import CACHE_BYTES, OpenOptions, split_source
from vqvae_tf.data.pictures import folder, npz, prepared, shapes
from vqvae_tf.data.pictures.source import ImageSource

_OPENERS = {
    "tfds": prepared.open_tfds,
    "folder": folder.open_folder,
    "npz": npz.open_npz,
    "shapes": shapes.open_shapes,
}
_FORMS = (
    'source must be "tfds:NAME", "folder", "folder:SUBDIR", "npz:FILE" or '
    '"shapes".'
)


def open_images(
    source: str,
    split: str,
    data_dir: str | None = None,
    on_corrupt: str = "error",
    progress: bool = True,
    channels: int = 3,
    download: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> ImageSource:
    """Opens a set of pictures.

    Args:
        source: one of
            "tfds:NAME": a TensorFlow Datasets set, prepared in `data_dir`;
            "folder" or "folder:SUBDIR": picture files (jpg, png, bmp, gif,
            webp) in or below data_dir/SUBDIR/SPLIT, each folder once whatever
            links lead to it; two or more sub-folders are classes;
            "npz:FILE": arrays `images` (uint8 [n, h, w] or [n, h, w, c]) and
            optionally `labels` (integers [n]), or per split
            `{split}_images`, `{split}_labels`, or `x_{split}`, `y_{split}`;
            "shapes": generated pictures of known factors; see `load_shapes`.
        split: "train", "test", ...; for TFDS also slices as "train[:45000]";
            "all" is every picture.
        data_dir: where to look; the default is the environment variable
            TFDS_DATA_DIR, then the current folder (TFDS: its own default).
        on_corrupt: "error" refuses a set with an undecodable picture and
            names it; "skip" leaves it out with a logged warning.
        progress: show a progress bar while pictures are read.
        channels: 3 (grey pictures become RGB) or 1 (RGB becomes grey).
            Transparency is laid over white.
        download: let TFDS download and prepare a missing set.
        cache_bytes: decoded pictures stay in memory up to this size;
            otherwise they are decoded each time they are used (the frames of
            a TFDS set of episodes, RLDS, must fit).

    Returns:
        An `ImageSource`.

    Raises:
        ValueError: an unknown source, split or option, a bad picture, or
            episodes of more than `cache_bytes`.
        FileNotFoundError: the folder, file or prepared set is not there.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> data_dir = tempfile.mkdtemp()
    >>> images = np.zeros([6, 16, 16, 3], np.uint8)
    >>> np.savez(os.path.join(data_dir, "x.npz"), train_images=images)
    >>> open_images("npz:x.npz", "train", data_dir).num_examples
    6
    """
    kind, name = split_source(source, _OPENERS, ("folder", "shapes"), _FORMS)
    options = OpenOptions(
        split, data_dir, on_corrupt, progress, channels, download, cache_bytes
    )
    return _OPENERS[kind](name, options)
