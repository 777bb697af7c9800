"""The pictures that a command is given: files, folders and npz files."""

import dataclasses
import os
import pathlib

import numpy as np
import tensorflow as tf
from absl import logging

from vqvae_tf import data
from vqvae_tf.data.folders import list_files
from vqvae_tf.data.pictures.folder import EXTENSIONS
from vqvae_tf.utils.paths import expand


@dataclasses.dataclass(frozen=True)
class PictureFormat:
    """The pictures that a model takes.

    Attributes:
        size: the side of a square in pixels; None keeps each picture's size,
            cropped to multiples of `stride`.
        channels: 3 (RGB) or 1 (grey).
        stride: input size over latent size.
    """

    size: int | None
    channels: int = 3
    stride: int = 1

    def fit(self, images):
        """Crops uint8 `[..., height, width, channels]` that has no `size`."""
        if self.size is not None:
            return images
        height, width = (n - n % self.stride for n in images.shape[-3:-1])
        if not height or not width:
            raise ValueError(
                f"The model needs pictures of at least {self.stride}x"
                f"{self.stride} pixels. Received: shape {images.shape}."
            )
        top = (images.shape[-3] - height) // 2
        left = (images.shape[-2] - width) // 2
        return images[..., top : top + height, left : left + width, :]


def fitted(image, form: PictureFormat) -> tf.Tensor:
    """Brings uint8 `[height, width, channels]` to what the model takes."""
    if form.size is not None:
        return data.resize_and_crop(image, form.size)
    size = tf.shape(image)[:2]
    cut = size - size % form.stride
    top = (size - cut) // 2
    return tf.slice(image, [top[0], top[1], 0], [cut[0], cut[1], -1])


def picture_format(model, metadata) -> PictureFormat:
    """Returns what pictures a preset's model takes.

    Args:
        model: a `VQVAE` or a `LatentGenerator`.
        metadata: the preset's; its data, where named, decide the size.

    Raises:
        ValueError: if the model's data are no pictures.
    """
    autoencoder = model.autoencoder
    shape = autoencoder.event_shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(
            "Expected a preset whose model takes pictures, (height, width, 3 "
            f"or 1). Received: one for data of shape {shape}; call its encode "
            "and reconstruct from Python."
        )
    description = metadata.get("data")
    size = None
    if isinstance(description, dict):
        size = description.get("image_size")
    if size is None and shape[0] == shape[1]:
        size = shape[0]
    stride = autoencoder.downsampling
    return PictureFormat(size, shape[-1], stride)


def list_inputs(
    inputs, extensions=EXTENSIONS, kind="picture"
) -> list[tuple[pathlib.Path, str]]:
    """Returns (path, name) of each picture file.

    Args:
        inputs: files and folders. A folder stands for the pictures in and
            below it, named by their path inside it; a file for itself.
        extensions: of the files that are taken from folders.
        kind: what one is called.

    Raises:
        FileNotFoundError: if one is not there, or a folder has no pictures.
    """
    found = []
    for path in map(expand, inputs):
        if path.is_dir():
            names = list_files(str(path), extensions)
            if not names:
                raise FileNotFoundError(
                    f"There is no {kind} ({', '.join(extensions)}) in or "
                    f"below the folder {path}."
                )
            found += [(path / name, name) for name in names]
        elif path.is_file():
            found.append((path, path.name))
        else:
            raise FileNotFoundError(f"There is no file or folder {path}.")
    return found


def output_names(
    inputs, taken=None, extensions=EXTENSIONS, ending=".png"
) -> dict[str, str]:
    """Returns the file to write for each name, a path inside the output.

    Args:
        inputs: (path, name), as from `list_inputs`; path is for messages.
        taken: a dict to keep over several calls whose names must differ.
        extensions: endings of names, which `ending` replaces.
        ending: of the files to write.

    Raises:
        ValueError: if two would be one file, or one lie outside the output,
            or a name is none.
    """
    names, taken = {}, {} if taken is None else taken
    for path, name in inputs:
        pure = pathlib.PurePath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(
                "Names must be relative paths without `..`. "
                f"Received: {name!r}."
            )
        if not pure.name.strip(".") or "\0" in name:
            raise ValueError(
                "Names of files must not be empty, nor dots alone, nor have "
                "null characters. "
                f"Received: {name!r} of {path}. Give each row a name, or "
                "leave the names out."
            )
        if pure.suffix.lower() in extensions:
            pure = pure.with_suffix("")
        target = f"{pure}{ending}"
        if target in taken:
            raise ValueError(
                f"{taken[target]} and {path} would both be written to "
                f"{target}. Rename one, write them to different folders, or "
                "give the folder above both: its sub-folders are kept."
            )
        taken[target], names[name] = path, target
    return names


def check_links(inputs, on_corrupt="error"):
    """Raises ValueError for a link to nothing, before any other is read.

    Args:
        inputs: (path, name), as from `list_inputs`.
        on_corrupt: "error"; with "skip" it is left out when it is read.
    """
    lost = [path for path, _ in inputs if not os.path.exists(path)]
    if lost and on_corrupt == "error":
        raise ValueError(
            f"{lost[0]} is a link to nothing. Repair or remove it, or use "
            "--on_corrupt=skip."
        )


def read_pictures(inputs, form, on_corrupt="error"):
    """Returns an iterator of (name, uint8 `[height, width, channels]`).

    Args:
        inputs: (path, name), as from `list_inputs`.
        form: the `PictureFormat` to bring them to.
        on_corrupt: "error", or "skip" to log what cannot be read.
    """

    def read(path):
        return form.fit(data.load_picture(path, form.size, form.channels))

    return read_each(inputs, read, on_corrupt)


def read_each(inputs, read, on_corrupt):
    """Yields (name, `read(path)`) of each of the inputs.

    Args:
        inputs: (path, name), as from `list_inputs`.
        read: raises ValueError or OSError for a file that is damaged.
        on_corrupt: "error", or "skip" to log what cannot be read.
    """
    for path, name in inputs:
        try:
            yield name, read(path)
        except (ValueError, OSError) as error:
            if on_corrupt == "error":
                raise ValueError(
                    f"{error} Repair or remove it, or use --on_corrupt=skip."
                ) from error
            logging.warning("Skipped: %s", error)


def check_source(source):
    """Raises FileNotFoundError where there is nothing for `picture_batches`."""
    if _is_npz(source):
        if not pathlib.Path(source).is_file():
            raise FileNotFoundError(f"There is no file {source}.")
    else:
        list_inputs([source])


def _is_npz(source):
    return source.lower().endswith(".npz")


def picture_batches(source, form, on_corrupt="error", batch_size=16):
    """Yields names and uint8 `[batch, height, width, channels]`.

    Args:
        source: a picture file, a folder, or an npz file with `images`.
        form, on_corrupt: as in `read_pictures`.
        batch_size: rows of a batch; the last may have fewer.
    """
    if _is_npz(source):
        yield from _npz_batches(pathlib.Path(source), form, batch_size)
        return
    names, images, first = [], [], None
    for name, image in read_pictures(list_inputs([source]), form, on_corrupt):
        first = first or (name, image.shape)
        if image.shape != first[1]:
            raise ValueError(
                "The codes of one file must be of pictures of one size; the "
                "preset names none. Received: "
                f"{first[0]} of shape {first[1]} and {name} of {image.shape}. "
                "Encode them apart, or resize them before."
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
