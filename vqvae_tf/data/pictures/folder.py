"""Pictures from a folder of picture files."""

import os

import numpy as np
import tensorflow as tf

from vqvae_tf.data.folders import in_threads, list_files
from vqvae_tf.data.memory import Kept
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures import source as sources
from vqvae_tf.data.pictures.files import decode_picture

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
SPLITS = ("train", "validation", "val", "valid", "dev", "test")
_CHUNK = 256


def open_folder(name: str, options: OpenOptions) -> sources.ImageSource:
    """Opens "folder:name"; see `open_images`.

    Files are taken in the order of their paths; hidden ones are ignored. All
    are decoded once, to find out which are sound.
    """
    root = options.folder(name, "pictures")
    folder, siblings = split_folder(root, options.split)
    return _verified(
        folder, pictures_of(folder), class_names(siblings), options
    )


def pictures_of(folder: str) -> list[str]:
    """Same as `list_pictures`, but raises ValueError if there are none."""
    files = list_pictures(folder)
    if not files:
        raise ValueError(
            f"No picture file ({', '.join(EXTENSIONS)}) in or below the "
            f"folder. Received: {folder!r}."
        )
    return files


def list_pictures(folder: str) -> list[str]:
    """Returns the sorted relative paths of the picture files below `folder`."""
    return list_files(folder, EXTENSIONS)


def split_folder(root: str, split: str) -> tuple[str, list[str]]:
    """Returns the folder of a split, and those of all splits.

    The classes are the sub-folders of the latter.

    Raises:
        ValueError: there is no folder for this split.
    """
    present = [s for s in SPLITS if os.path.isdir(os.path.join(root, s))]
    folder = os.path.join(root, split)
    if split != "all" and _is_below(split) and os.path.isdir(folder):
        names = sorted({split, *present})
        return folder, [os.path.join(root, name) for name in names]
    if split == "all":
        return root, [os.path.join(root, name) for name in present] or [root]
    if split == "train" and not present:
        return root, [root]
    raise ValueError(
        f"{root!r} has no sub-folder for this split. Expected a folder with a "
        "sub-folder for each split, such as train/ and test/. "
        f"Received: split={split!r}, and sub-folders for: "
        f"{', '.join(present) or 'none'}."
    )


def _is_below(split):
    """Whether a split can be the path of a sub-folder."""
    parts = os.path.normpath(split).split(os.sep)
    return not {"", os.curdir, os.pardir} & set(parts)


def class_names(folders: list[str]) -> list[str] | None:
    """Returns the names of the class folders, or None for fewer than two.

    Takes the folders of all splits, so that each numbers the classes alike.
    """
    names = set()
    for folder in folders:
        for file in list_pictures(folder):
            parts = file.split(os.sep)
            if len(parts) == 1:
                return None  # a picture outside any class folder
            names.add(parts[0])
    return sorted(names) if len(names) > 1 else None


def labels_of(files: list[str], names: list[str] | None) -> np.ndarray | None:
    """Returns int64 [n], or None if a picture is outside the class folders."""
    if names is None:
        return None
    number = {name: index for index, name in enumerate(names)}
    labels = []
    for file in files:
        # With split="all" the path may start with the split's name.
        found = [number[p] for p in file.split(os.sep)[:2] if p in number]
        if not found:
            return None
        labels.append(found[0])
    return np.array(labels, np.int64)


def _verified(folder, files, names, options):
    """Decodes every file once; keeps the pictures if they fit the bound."""

    def decode(file):
        try:
            path = os.path.join(folder, file)
            return file, decode_picture(path, options.channels)
        except (ValueError, FileNotFoundError) as error:
            return file, error

    title = f"folder {folder}"
    sound, shapes, kept = [], [], Kept(options.cache_bytes)
    decoded = in_threads(decode, files, _CHUNK)
    for file, picture in options.bar(len(files), decoded):
        if isinstance(picture, Exception):
            options.refuse(str(picture), picture)
            continue
        sound.append(file)
        shapes.append(picture.shape)
        kept.add(picture)
    labels = labels_of(sound, names)
    names = None if labels is None else names
    if kept.arrays is not None:
        return sources.in_memory(title, kept.arrays, labels, names)
    paths = [os.path.join(folder, file) for file in sound]
    return sources.LazyImages(
        title,
        len(sound),
        sources.common_shape(shapes),
        _reader(paths, labels, options.channels),
        names,
    )


def _reader(paths, labels, channels):
    paths = np.array(paths)
    labels = None if labels is None else tf.constant(labels)

    def decode(index):
        return decode_picture(str(paths[index]), channels)

    def read(index):
        image = tf.numpy_function(decode, [index], tf.uint8, stateful=False)
        return sources.example_of(image, labels, index)

    return read
