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
            webp) in or below data_dir/SUBDIR/SPLIT, where each folder is read
            once even if linked; two or more sub-folders are classes;
            "npz:FILE": arrays `images` (uint8 [n, h, w] or [n, h, w, c]) and
            optionally `labels` (integers [n]), or per split
            `{split}_images`, `{split}_labels`, or `x_{split}`, `y_{split}`;
            "shapes": generated pictures of known factors; see `load_shapes`.
        split: "train", "test", ..., or "all" for every picture; for TFDS also
            slices such as "train[:45000]".
        data_dir: folder of the data. None (default) uses the environment
            variable TFDS_DATA_DIR, else the current folder (TFDS: its own
            default).
        on_corrupt: "error" (default) refuses a set with an undecodable picture
            and names it; "skip" omits the picture and logs a warning.
        progress: whether to show a progress bar while reading (default True).
        channels: 3 (grey becomes RGB, the default) or 1 (RGB becomes grey).
            Transparency is composited over white.
        download: whether TFDS may download and prepare a missing set (default
            False).
        cache_bytes: size up to which decoded pictures stay in memory (default
            512 MiB); beyond it they are decoded at each use. Frames of a TFDS
            set of episodes (RLDS) must fit.

    Returns:
        An `ImageSource`.

    Raises:
        ValueError: an unknown source, split or option, a bad picture, or
            episodes beyond `cache_bytes`.
        FileNotFoundError: the folder, file or prepared set does not exist.

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
