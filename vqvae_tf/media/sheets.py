"""Sheets of pictures: samples, originals above their reconstructions."""

import os

import numpy as np

from vqvae_tf.utils.files import write_atomically

GAP = 2


def grid(pictures: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lays pictures out in a grid, row by row, with white gaps.

    Args:
        pictures: uint8 `[n, height, width, channels]`.
        columns: pictures in a row; by default the grid is about square.

    Returns:
        uint8 `[height', width', channels]`.
    """
    pictures = np.asarray(pictures)
    count, height, width, channels = pictures.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    shape = (
        rows * (height + GAP) + GAP,
        columns * (width + GAP) + GAP,
        channels,
    )
    sheet = np.full(shape, 255, np.uint8)
    for i, picture in enumerate(pictures):
        top = GAP + i // columns * (height + GAP)
        left = GAP + i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def pairs(
    originals: np.ndarray, reconstructions: np.ndarray, columns: int = 8
) -> np.ndarray:
    """Lays out originals, each with its reconstruction below.

    Args:
        originals, reconstructions: uint8 `[n, height, width, channels]`.
        columns: pairs in a row.

    Returns:
        uint8 `[height', width', channels]`.
    """
    return stacked([originals, reconstructions], columns)


def stacked(groups: list, columns: int = 8) -> np.ndarray:
    """Lays out groups of pictures, those of the same index in one column.

    Args:
        groups: a list of uint8 `[n, height, width, channels]`, top first.
        columns: pictures of a group in a row.

    Returns:
        uint8 `[height', width', channels]`.
    """
    groups = [np.asarray(group, np.uint8) for group in groups]
    columns = min(columns, len(groups[0]))
    rows = []
    for start in range(0, len(groups[0]), columns):
        rows += [group[start : start + columns] for group in groups]
    rows = [_filled(row, columns) for row in rows]
    return grid(np.concatenate(rows), columns)


def _filled(row, columns):
    missing = columns - len(row)
    return np.pad(
        row, [(0, missing), (0, 0), (0, 0), (0, 0)], constant_values=255
    )


def enlarge(picture: np.ndarray, scale: int) -> np.ndarray:
    """Returns `[height, width, channels]` with pixels of scale x scale."""
    return np.asarray(picture).repeat(scale, axis=0).repeat(scale, axis=1)


def save_picture(
    path: str | os.PathLike, picture: np.ndarray, mark: str | None = None
):
    """Writes a picture atomically, in the format that its ending names.

    Args:
        path: the file.
        picture: uint8 `[height, width, 1 or 3]`.
        mark: a text to store in the file: what made it.
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
    """Saves a picture with a text, where the format can hold one."""
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
    else:  # a BMP cannot, but says where its pixels end
        image.save(path)
        with open(path, "ab") as file:
            file.write(mark.encode())


def save_animation(
    path: str | os.PathLike,
    frames: np.ndarray,
    frames_per_second: float = 6,
    mark: str | None = None,
):
    """Writes frames atomically as a GIF that repeats for ever.

    Args:
        path: the file.
        frames: uint8 `[time, height, width, 1 or 3]`.
        frames_per_second: its speed.
        mark: same as for `save_picture`.
    """
    from PIL import Image

    frames = np.asarray(frames, np.uint8)
    if frames.shape[-1] == 1:
        # PIL would read grey values as indices into a palette.
        frames = frames.repeat(3, axis=-1)
    # One palette for all frames, so that still parts do not flicker.
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
