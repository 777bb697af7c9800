"""Folders of pictures and npz files to encode, read incrementally."""

import hashlib
import os
import re
from collections.abc import Callable

import numpy as np

from vqvae_tf.data.decoding import convert_channels
from vqvae_tf.data.folders import in_threads
from vqvae_tf.data.options import OpenOptions
from vqvae_tf.data.pictures import folder as folders, npz
from vqvae_tf.encoding.streams import batched
from vqvae_tf.utils import npz_files
from vqvae_tf.utils.paths import printable

_CHUNK = 64  # pictures that are read at once


def open_folder(name: str, options: OpenOptions) -> tuple[Callable, list[str]]:
    """Opens a folder of pictures; see `encoding.sources.open_source`.

    Unlike `data.open_images`, it decodes a picture only when it is encoded.
    """
    root = options.folder(name, "pictures")
    found = [
        split
        for split in folders.SPLITS
        if os.path.isdir(os.path.join(root, split))
    ]

    def open_split(split, form):
        return _Folder(*folders.split_folder(root, split), form, options)

    return open_split, found or ["train"]


class _Folder:
    """Pictures with their path in the split's folder, and their class."""

    unit = "pictures"

    def __init__(self, folder, siblings, form, options):
        self._folder, self._form, self._options = folder, form, options
        self._files = folders.pictures_of(folder)
        names = folders.class_names(siblings)
        self._labels = folders.labels_of(self._files, names)
        self._names = None if self._labels is None else names

    def __len__(self):
        return len(self._files)

    @property
    def origin(self):
        return {"files_sha256": _digest(self._folder, self._files)}

    @property
    def features(self):
        return _features(self._names)

    def batches(self, start, stop, batch_size):
        """Yields dicts of `image`, `name` and perhaps `label`."""
        yield from batched(self._rows(start, stop), batch_size)

    def _rows(self, start, stop):
        numbers = range(start, stop)
        loaded = in_threads(self._load, numbers, _CHUNK)
        for number, image in zip(numbers, loaded):
            file = self._files[number]
            if isinstance(image, Exception):
                self._options.refuse(str(image), image)
                continue
            row = {"image": image[None]}
            if self._labels is not None:
                row["label"] = self._labels[number : number + 1]
            yield {**row, "name": np.array([file], object)}

    def _load(self, number):
        try:
            return self._form.load(
                os.path.join(self._folder, self._files[number])
            )
        except (ValueError, FileNotFoundError) as error:
            return error


def _digest(folder, files):
    """Returns a sha256 of names and sizes, as a cheap fingerprint."""
    digest = hashlib.sha256()
    for file in files:
        path = os.path.join(folder, file)
        # A broken link has no size; reading it later reports it.
        size = os.path.getsize(path) if os.path.isfile(path) else None
        digest.update(os.fsencode(f"{file}\0{size}\0"))
    return digest.hexdigest()


def open_npz(name: str, options: OpenOptions) -> tuple[Callable, list[str]]:
    """Opens an npz file; see `encoding.sources.open_source`."""
    path = options.npz_file(name)
    with npz_files.Npz(path) as file:
        arrays = file.names
    splits = []
    for array in arrays:
        match = re.fullmatch(r"(?:(\w+)_images|x_(\w+)|images)", array)
        if match:
            splits.append(match[1] or match[2] or "train")

    def open_split(split, form):
        for images, labels in npz.keys(split):
            if images in arrays:
                labels = labels if labels in arrays else None
                return _Npz(path, images, labels, form)
        raise ValueError(
            f"{path!r} has no pictures for this split, only for: "
            f"{', '.join(splits) or 'none'}. Received: split={split!r}."
        )

    return open_split, splits or ["train"]


class _Npz:
    """Rows of an array of an npz file, which is never read as a whole."""

    unit = "pictures"

    def __init__(self, path, images, labels, form):
        self._path, self._key, self._form = path, images, form
        self._keys = [images] if labels is None else [images, labels]
        with npz_files.Npz(path) as file, file.rows(images) as array:
            shape, dtype = array.shape, array.dtype
        npz.check_images(path, dtype, (*shape, 1)[: max(4, len(shape))])
        self._rows, self._labels = shape[0], None
        if labels is not None:
            with npz_files.Npz(path) as file:
                self._labels = file.read(labels)
            npz.check_labels(path, self._labels, self._rows)

    def __len__(self):
        return self._rows

    @property
    def origin(self):
        with npz_files.Npz(self._path) as file:
            found = [file.checksum(key) for key in self._keys]
        return {"crc32": found}

    @property
    def features(self):
        if self._labels is None:
            return _features(None)
        count = int(self._labels.max(initial=0)) + 1
        return _features([str(number) for number in range(count)])

    def batches(self, start, stop, batch_size):
        """Yields dicts of `image`, `name` (the row) and perhaps `label`."""
        with npz_files.Npz(self._path) as file, file.rows(self._key) as array:
            array.skip(start)
            for low in range(start, stop, batch_size):
                high = min(low + batch_size, stop)
                names = [str(row) for row in range(low, high)]
                batch = {
                    "image": self._fitted(array.read(high - low)),
                    "name": np.array(names, object),
                }
                if self._labels is not None:
                    batch["label"] = self._labels[low:high].astype(np.int64)
                yield batch

    def _fitted(self, images):
        if images.ndim == 3:
            images = images[..., None]
        images = convert_channels(images, self._form.channels).numpy()
        return self._form.fit_all(images)


def _features(names):
    import tensorflow_datasets as tfds

    features = {"name": tfds.features.Text()}
    if names is not None:
        names = list(map(printable, names))
        features["label"] = tfds.features.ClassLabel(names=names)
    return features
