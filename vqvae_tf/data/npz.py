"""Pictures from an npz file."""

import os
import zipfile

import numpy as np

from vqvae_tf.data import pictures
from vqvae_tf.data import source as sources


def open_npz(name: str, options: sources.OpenOptions) -> sources.ImageSource:
    """Opens "npz:name"; see `open_images`. The arrays are held in memory."""
    path = os.path.join(options.base, name)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "No such npz file; give its folder as data_dir. "
            f"Received: {path!r}."
        )
    images, labels = _read(path, options.split)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"The images in {path!r} must be uint8 [n, height, width] or "
            "[n, height, width, channels] in 0..255. Received: "
            f"{images.dtype} of shape {images.shape}."
        )
    if images.shape[-1] != options.channels:
        images = pictures.convert_channels(images, options.channels).numpy()
    title = f"npz:{name} ({options.split})"
    if labels is None:
        return sources.ArrayImages(title, images)
    check_labels(path, labels, len(images))
    classes = int(labels.max()) + 1 if labels.size else 0
    names = [str(number) for number in range(classes)]
    return sources.ArrayImages(title, images, labels, names)


def _read(path, split):
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for images, labels in keys(split):
                if images in arrays:
                    return arrays[images], (
                        arrays[labels] if labels in arrays else None
                    )
            found = sorted(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"An npz file of plain arrays was expected ({error}). "
            f"Received: {path!r}."
        ) from error
    wanted = [images for images, _ in keys(split)]
    raise ValueError(
        f"{path!r} has no pictures for this split: one of {wanted} was "
        f"expected among {found}. Received: split={split!r}."
    )


def keys(split):
    keys = [
        (f"{split}_images", f"{split}_labels"),
        (f"x_{split}", f"y_{split}"),
    ]
    # A file without splits is training data; asking it for "test" is refused.
    return keys + [("images", "labels")] * (split in ("train", "all"))


def check_labels(path, labels, rows):
    integers = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != (rows,) or not integers or (labels < 0).any():
        raise ValueError(
            f"The labels in {path!r} must be {rows} integers of at least 0. "
            f"Received: {labels.dtype} of shape {labels.shape}."
        )
