"""The pictures that are input to a command: files, folders and npz files."""

import pathlib
from collections.abc import Iterator

import numpy as np

from vqvae_tf import data
from vqvae_tf.commands.inputs.files import PICTURES, Inputs, read_each
from vqvae_tf.encoding.picture_format import PictureFormat
from vqvae_tf.utils.paths import has_ending


def read_pictures(
    inputs: Inputs, form: PictureFormat, on_corrupt: str = "error"
) -> Iterator[tuple[str, np.ndarray]]:
    """Returns an iterator of (name, uint8 `[height, width, channels]`).

    Args:
        inputs: as from `PICTURES.list_inputs`.
        form: the `PictureFormat` of the pictures to return.
        on_corrupt: "error", or "skip" to log what cannot be read.
    """
    return read_each(inputs, form.load, on_corrupt)


def check_source(source: str) -> None:
    """Raises FileNotFoundError if `picture_batches` would find nothing."""
    if has_ending(source, ".npz"):
        if not pathlib.Path(source).is_file():
            raise FileNotFoundError(f"There is no file {source}.")
    else:
        PICTURES.list_inputs([source])


def picture_batches(
    source: str,
    form: PictureFormat,
    on_corrupt: str = "error",
    batch_size: int = 16,
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields names and uint8 `[batch, height, width, channels]`.

    Args:
        source: a picture file, a folder, or an npz file with `images`.
        form, on_corrupt: as in `read_pictures`.
        batch_size: rows of a batch; the last may have fewer.
    """
    if has_ending(source, ".npz"):
        yield from _npz_batches(pathlib.Path(source), form, batch_size)
        return
    names, images, first = [], [], None
    inputs = PICTURES.list_inputs([source])
    for name, image in read_pictures(inputs, form, on_corrupt):
        first = first or (name, image.shape)
        if image.shape != first[1]:
            raise ValueError(
                "This preset does not resize pictures, so all pictures of a "
                f"file must have one size. Received: {first[0]} of shape "
                f"{first[1]} and {name} of {image.shape}. Encode sizes "
                "separately, or resize the pictures."
            )
        names.append(name)
        images.append(image)
        if len(images) == batch_size:
            yield names, np.stack(images)
            names, images = [], []
    if images:
        yield names, np.stack(images)


def _npz_batches(path, form, batch_size):
    images = data.open_images(
        f"npz:{path.name}", "all", str(path.parent), channels=form.channels
    )
    first = 0
    for x, _, weight in data.evaluation_batches(images, batch_size, form.size):
        count = int(weight.numpy().sum())
        names = [str(first + i) for i in range(count)]
        yield names, form.fit(x.numpy()[:count])
        first += count
