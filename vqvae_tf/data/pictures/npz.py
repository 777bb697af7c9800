"""Pictures from an npz file."""

import os

import numpy as np

from vqvae_tf.data import decoding as pictures
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures import source as sources
from vqvae_tf.utils import npz_files

MAX_CLASSES = 2**20

_AT_ONCE = 256  # pictures that are converted together


def open_npz(name: str, options: OpenOptions) -> sources.ImageSource:
    """Opens "npz:name"; see `open_images`. The arrays stay in memory."""
    path = options.npz_file(name)
    images, labels = _read(path, options.split)
    if images.ndim == 3:
        images = images[..., None]
    check_images(path, images.dtype, images.shape)
    if images.shape[-1] != options.channels:
        images = _converted(images, options.channels)
    title = f"npz:{name} ({options.split})"
    if labels is None:
        return sources.ArrayImages(title, images)
    check_labels(path, labels, len(images))
    classes = int(labels.max()) + 1 if labels.size else 0
    names = [str(number) for number in range(classes)]
    return sources.ArrayImages(title, images, labels, names)


def _converted(images, channels):
    """Converts in chunks, since conversion needs ten times the memory."""
    found = np.empty((*images.shape[:-1], channels), np.uint8)
    for i in range(0, max(1, len(images)), _AT_ONCE):
        some = images[i : i + _AT_ONCE]
        found[i : i + _AT_ONCE] = pictures.convert_channels(some, channels)
    return found


def _read(path, split):
    """Returns the pictures of a split, and their labels or None."""
    with npz_files.Npz(path) as file:
        for images, labels in keys(split):
            if images in file.names:
                return file.read(images), (
                    file.read(labels) if labels in file.names else None
                )
        found = sorted(file.names)
    wanted = [images for images, _ in keys(split)]
    raise ValueError(
        f"{path!r} has no pictures for this split: one of {wanted} was "
        f"expected among {found}. Received: split={split!r}."
    )


def keys(split: str) -> list[tuple[str, str]]:
    """Returns the possible names of a split's images and labels."""
    return [
        (f"{split}_images", f"{split}_labels"),
        (f"x_{split}", f"y_{split}"),
        # A file without splits holds training data and nothing else.
        *[("images", "labels")] * (split in ("train", "all")),
    ]


def check_images(
    path: str | os.PathLike, dtype: np.dtype, shape: tuple[int, ...]
) -> None:
    """Raises ValueError unless dtype and shape are those of pictures."""
    if dtype != np.uint8 or len(shape) != 4 or 0 in shape[1:]:
        raise ValueError(
            f"The images in {path!r} must be uint8 [n, height, width] or "
            "[n, height, width, channels] in 0..255, none of them empty. "
            f"Received: {dtype} of shape {shape}."
        )
    if shape[3] not in (1, 3, 4):
        raise ValueError(
            f"The images in {path!r} must have 1 (grey), 3 (RGB) or 4 (RGBA) "
            f"channels last. Received: shape {shape}."
        )


def check_labels(
    path: str | os.PathLike, labels: np.ndarray, rows: int
) -> None:
    """Raises ValueError unless labels are `rows` class numbers."""
    integers = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != (rows,) or not integers:
        raise ValueError(
            f"The labels in {path!r} must be {rows} integers of at least 0. "
            f"Received: {labels.dtype} of shape {labels.shape}."
        )
    low, high = (int(labels.min()), int(labels.max())) if rows else (0, 0)
    if low < 0 or high >= MAX_CLASSES:
        raise ValueError(
            f"The labels in {path!r} must be class numbers in "
            f"0..{MAX_CLASSES - 1}: each up to the highest becomes a class. "
            f"Received: {labels.dtype} in {low}..{high}."
        )
