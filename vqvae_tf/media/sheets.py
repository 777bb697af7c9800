"""Pictures of pictures: sample sheets, originals beside reconstructions."""

import numpy as np

from vqvae_tf.utils.files import write_atomically

GAP = 2


def grid(pictures, columns=None) -> np.ndarray:
    """Lays pictures out in a grid, row by row, with white gaps.

    Args:
        pictures: uint8 `[n, height, width, channels]`.
        columns: how many in a row; about a square by default.

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


def pairs(originals, reconstructions, columns=8) -> np.ndarray:
    """Lays out originals, each with its reconstruction below.

    Args:
        originals, reconstructions: uint8 `[n, height, width, channels]`.
        columns: pairs in a row.

    Returns:
        uint8 `[height', width', channels]`.
    """
    return stacked([originals, reconstructions], columns)


def stacked(groups, columns=8) -> np.ndarray:
    """Lays out pictures, each with those of the same number below.

    Args:
        groups: a list of uint8 `[n, height, width, channels]`, from above.
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


def enlarge(picture, scale) -> np.ndarray:
    """Makes each pixel of `[height, width, channels]` scale x scale."""
    return np.asarray(picture).repeat(scale, axis=0).repeat(scale, axis=1)


def save_picture(path, picture, mark=None):
    """Writes a picture as PNG (or by the ending of path), in one piece.

    Args:
        path: the file.
        picture: uint8 `[height, width, 1 or 3]`.
        mark: a text to keep in the file, which says what made it.
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
    """Saves a picture with a text, where the format has room for one."""
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
    else:  # a BMP has no room, but says where its pixels end
        image.save(path)
        with open(path, "ab") as file:
            file.write(mark.encode())


def save_animation(path, frames, frames_per_second=6, mark=None):
    """Writes frames as an endless GIF, in one piece.

    Args:
        path: the file.
        frames: uint8 `[time, height, width, 1 or 3]`.
        frames_per_second: its pace.
        mark: as for `save_picture`.
    """
    from PIL import Image

    frames = np.asarray(frames, np.uint8)
    if frames.shape[-1] == 1:
        # PIL takes grey values for indices into a palette.
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
