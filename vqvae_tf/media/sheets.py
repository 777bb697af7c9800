"""Sheets of pictures, such as samples or originals and reconstructions."""

import os
from collections.abc import Sequence

import numpy as np

from vqvae_tf.utils.files import write_atomically

GAP = 2


def grid(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Arranges pictures in a grid, row by row, with white gaps.

    Args:
        pictures: uint8 `[n, height, width, channels]`.
        columns: pictures per row; None (default) makes the grid about square.

    Returns:
        uint8 `[height', width', channels]`.
    """
    pictures = np.asarray(pictures)
    count, height, width, channels = pictures.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    down, right = height + GAP, width + GAP
    shape = (rows * down + GAP, columns * right + GAP, channels)
    sheet = np.full(shape, 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = GAP + i // columns * down, GAP + i % columns * right
        sheet[top : top + height, left : left + width] = picture
    return sheet


def pairs(
    originals: np.ndarray, reconstructions: np.ndarray, columns: int = 8
) -> np.ndarray:
    """Arranges originals with their reconstructions below; see `stacked`."""
    return stacked([originals, reconstructions], columns)


def stacked(groups: Sequence[np.ndarray], columns: int = 8) -> np.ndarray:
    """Arranges groups of pictures below each other, in columns by index.

    Args:
        groups: uint8 `[n, height, width, channels]` each, top first.
        columns: pictures of a group per row (default 8).

    Returns:
        uint8 `[height', width', channels]`.
    """
    groups = [np.asarray(group, np.uint8) for group in groups]
    columns = min(columns, len(groups[0]))
    rows = []
    for start in range(0, len(groups[0]), columns):
        for group in groups:
            row = group[start : start + columns]
            missing = [(0, columns - len(row)), (0, 0), (0, 0), (0, 0)]
            rows.append(np.pad(row, missing, constant_values=255))
    return grid(np.concatenate(rows), columns)


def enlarge(picture: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges `[height, width, channels]` by repeating pixels."""
    return np.asarray(picture).repeat(scale, axis=0).repeat(scale, axis=1)


def save_picture(
    path: str | os.PathLike, picture: np.ndarray, mark: str | None = None
) -> None:
    """Writes a picture atomically, in the format of its file extension.

    Args:
        path: path of the file.
        picture: uint8 `[height, width, 1 or 3]`.
        mark: text to store in the file, such as what made it; None (default)
            for none.
    """
    from PIL import Image

    picture = np.asarray(picture, np.uint8)
    if picture.shape[-1] == 1:
        picture = picture[..., 0]
    with write_atomically(path, sync=False) as temporary:
        image = Image.fromarray(picture)
        if mark is None:
            image.save(temporary)
        else:
            _save_marked(image, temporary, mark)


def _save_marked(image, path, mark):
    """Saves a picture with a text in the format's own metadata."""
    from PIL import ExifTags, Image, PngImagePlugin

    ending = path.lower().rpartition(".")[2]
    if ending == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", mark)
        image.save(path, pnginfo=info)
    elif ending == "webp":
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = mark
        image.save(path, exif=exif)
    elif ending in ("jpg", "jpeg", "gif"):
        image.save(path, comment=mark)
    else:  # BMP has no metadata, but readers ignore what follows its pixels
        image.save(path)
        with open(path, "ab") as file:
            file.write(mark.encode())


def save_animation(
    path: str | os.PathLike,
    frames: np.ndarray,
    frames_per_second: float = 6,
    mark: str | None = None,
) -> None:
    """Writes frames atomically as a GIF that loops forever.

    Args:
        path, mark: same as for `save_picture`.
        frames: uint8 `[time, height, width, 1 or 3]`.
        frames_per_second: speed (default 6).
    """
    from PIL import Image

    frames = np.asarray(frames, np.uint8)
    if frames.shape[-1] == 1:
        # PIL would take grey values for palette indices.
        frames = frames.repeat(3, axis=-1)
    # One palette for all frames, so that static parts do not flicker.
    palette = Image.fromarray(
        np.concatenate(frames[:: max(1, len(frames) // 8)])
    ).quantize(256)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=0)
        for frame in frames
    ]
    with write_atomically(path, sync=False) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / frames_per_second),
            loop=0,
            **({} if mark is None else {"comment": mark}),
        )
