"""Pictures as arrays: decoding, channels, resizing, cropping.

Every picture file is decoded by PIL, wherever it is used, so that a file given
on the command line and the same file in a training folder are equal.
"""

import os

import numpy as np
import tensorflow as tf

from vqvae_tf.checks import check_positive

# What PIL raises on damaged files: SyntaxError from PNG chunks, ValueError and
# EOFError from several plug-ins; UnidentifiedImageError is an OSError.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError)


def decode_picture(path: str, channels: int = 3) -> np.ndarray:
    """Reads one picture file.

    The EXIF orientation is applied, transparency is laid over white, palettes
    are resolved, 16-bit grey is scaled to 8 bits, and of an animation the
    first frame is taken.

    Args:
        path: a file that PIL can read (jpg, png, bmp, gif, webp, ...).
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).

    Returns:
        A uint8 array [height, width, channels] in 0..255.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, or is damaged.
    """
    from PIL import Image

    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such picture file. Received: {path!r}.")
    try:
        with Image.open(path) as image:
            return _to_array(image, channels)
    except (*_DECODE_ERRORS, Image.DecompressionBombError) as error:
        raise ValueError(
            "A picture file (jpg, png, bmp, gif, webp) was expected, but this "
            f"one cannot be decoded ({error}). Received: {path!r}."
        ) from error


def _to_array(image, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey: PIL would clip, not scale
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
        image = Image.fromarray(grey.astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    if channels == 1:
        return np.array(image.convert("L"))[:, :, None]
    return np.array(image)


def load_picture(
    path: str, image_size: int | None = None, channels: int = 3
) -> np.ndarray:
    """Reads one picture file, as evaluation on a folder would see it.

    Args:
        path: a picture file.
        image_size: None, or the side of the square that `resize_and_crop`
            makes of it.
        channels: 3 (RGB) or 1 (grey).

    Returns:
        A uint8 array [height, width, channels] in 0..255.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, or is damaged.

    Example:

    >>> import os, tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.png")
    >>> Image.new("RGB", (40, 30), "red").save(path)
    >>> load_picture(path).shape, load_picture(path, image_size=16).shape
    ((30, 40, 3), (16, 16, 3))
    """
    picture = decode_picture(path, channels)
    if image_size is not None:
        picture = resize_and_crop(picture, image_size).numpy()
    return picture


def convert_channels(images, channels: int) -> tf.Tensor:
    """Converts uint8 [..., h, w, 1, 3 or 4] to `channels` (1 or 3) channels.

    Grey is repeated, alpha laid over white, and RGB becomes grey by PIL's
    integer form of the ITU-R 601 luma.
    """
    images = tf.convert_to_tensor(images)
    found = images.shape[-1]
    if found not in (1, 3, 4):
        raise ValueError(
            "Images must have 1 (grey), 3 (RGB) or 4 (RGBA) channels last. "
            f"Received: shape {tuple(images.shape)}."
        )
    if found == 4:
        alpha = tf.cast(images[..., 3:], tf.float32) / 255.0
        colour = tf.cast(images[..., :3], tf.float32)
        mixed = tf.round(alpha * colour + (1.0 - alpha) * 255.0)
        images, found = tf.cast(mixed, tf.uint8), 3
    if found == channels:
        return images
    if channels == 3:
        return tf.repeat(images, 3, axis=-1)
    weights = tf.constant([19595, 38470, 7471])
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * weights, -1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(luma + 0x8000, 16), tf.uint8)


def resize(image: tf.Tensor, height, width) -> tf.Tensor:
    """Resizes uint8 [h, w, c] to [height, width, c], bilinear, antialiased.

    Equals PIL's `resize(..., BILINEAR)` up to its rounding between the two
    passes (at most 1 or 2 levels).
    """
    target = tf.stack([height, width])

    def resized():
        result = tf.image.resize(image, target, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(result), 0.0, 255.0), tf.uint8)

    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], target))
    return tf.cond(same, lambda: tf.identity(image), resized)


def resize_shorter_side(image: tf.Tensor, side) -> tf.Tensor:
    """Resizes uint8 [h, w, c] so that min(h, w) is `side`; aspect is kept."""
    shape = tf.cast(tf.shape(image)[:2], tf.float64)
    scale = tf.cast(side, tf.float64) / tf.reduce_min(shape)
    target = tf.cast(tf.round(shape * scale), tf.int32)
    target = tf.maximum(target, side)
    return resize(image, target[0], target[1])


def crop(image: tf.Tensor, size: int, vertical, horizontal) -> tf.Tensor:
    """Cuts [size, size, c] out of [h, w, c], inside it for fractions in [0, 1].

    Fraction 0 is the top or left edge; u in [0, 1) hits each of the possible
    positions equally often.
    """
    room = tf.shape(image)[:2] - size
    fractions = tf.stack([vertical, horizontal])
    offset = tf.cast(fractions * tf.cast(room + 1, tf.float32), tf.int32)
    offset = tf.minimum(offset, room)
    cut = tf.slice(image, [offset[0], offset[1], 0], [size, size, -1])
    return tf.ensure_shape(cut, [size, size, image.shape[-1]])


def center_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the central [size, size, c] out of [h, w, c]."""
    room = tf.shape(image)[:2] - size
    offset = room // 2
    cut = tf.slice(image, [offset[0], offset[1], 0], [size, size, -1])
    return tf.ensure_shape(cut, [size, size, image.shape[-1]])


def resize_and_crop(image, size: int) -> tf.Tensor:
    """Makes a square of a picture: shorter side to `size`, central crop.

    Smaller pictures are enlarged. This is what evaluation does.

    Args:
        image: uint8 [height, width, channels].
        size: the side of the result in pixels.

    Returns:
        A uint8 tensor [size, size, channels].

    Raises:
        ValueError: `image` is not a uint8 picture, or `size` not positive.

    Example:

    >>> resize_and_crop(np.zeros([30, 40, 3], np.uint8), 16).shape.as_list()
    [16, 16, 3]
    """
    image = tf.convert_to_tensor(image)
    if image.dtype != tf.uint8 or image.shape.rank != 3:
        raise ValueError(
            "image must be uint8 [height, width, channels]. Received: "
            f"{image.dtype.name} of shape {image.shape}."
        )
    check_positive("size", size)
    return center_crop(resize_shorter_side(image, size), size)
