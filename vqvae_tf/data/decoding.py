"""Pictures as arrays: channels, resizing, cropping."""

import functools
import os

import numpy as np
import tensorflow as tf

from vqvae_tf.data.pictures import files as picture_files
from vqvae_tf.data.pictures.files import decode_picture
from vqvae_tf.utils.checks import check_choice, check_positive
from vqvae_tf.utils.paths import expand

# The filters of `resized_square`, all antialiased, and TensorFlow's names of
# their kernels.
RESIZE_FILTERS = {
    "bilinear": "triangle",
    "bicubic": "keyscubic",
    "lanczos": "lanczos3",
    "box": "box",
}
# That of `resize`, and the default; recorded with figures, which depend on it.
RESIZE_FILTER = "bilinear, antialiased"


def load_picture(
    path: str | os.PathLike, image_size: int | None = None, channels: int = 3
) -> np.ndarray:
    """Reads one picture file exactly as evaluation on a folder does.

    Args:
        path: a picture file.
        image_size: side of the square that `resize_and_crop` cuts, in pixels;
            None (default) keeps the picture's own size.
        channels: 3 (RGB, the default) or 1 (grey).

    Returns:
        A uint8 array [height, width, channels] in 0..255.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a picture, is damaged, holds values that
            are not grey levels, or has too many pixels.

    Example:

    >>> import os, tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "red.png")
    >>> Image.new("RGB", (40, 30), "red").save(path)
    >>> load_picture(path).shape, load_picture(path, image_size=16).shape
    ((30, 40, 3), (16, 16, 3))
    """
    picture = decode_picture(str(expand(path)), channels)
    if image_size is not None:
        picture = resize_and_crop(picture, image_size).numpy()
    return picture


def convert_channels(
    images: np.ndarray | tf.Tensor, channels: int
) -> tf.Tensor:
    """Converts uint8 [..., h, w, 1, 3 or 4] to `channels` (1 or 3) channels.

    Grey is repeated, alpha is composited over white, and RGB becomes grey by
    PIL's integer form of the ITU-R 601 luma.
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


def resize(
    image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Resizes uint8 [h, w, c] to [height, width, c], bilinear, antialiased.

    Equals PIL's `resize(..., BILINEAR)` to within 1 or 2 levels, since PIL
    rounds between its two passes.
    """
    target = tf.stack([height, width])

    def resized():
        return _rounded(tf.image.resize(image, target, antialias=True))

    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], target))
    return tf.cond(same, lambda: tf.identity(image), resized)


def resized_square(
    image: tf.Tensor,
    side: int | tf.Tensor,
    size: int | tf.Tensor,
    fractions: tuple[tf.Tensor, tf.Tensor] | None = None,
    resize_filter: str | tf.Tensor = "bilinear",
) -> tf.Tensor:
    """Resizes so that min(h, w) is `side`, then crops a square.

    Same as `resize` and a slice, but computes only the pixels of the square.

    Args:
        image: uint8 [h, w, c].
        side: shorter side of the resized picture, at least `size`.
        size: side of the square.
        fractions: position of the crop, float32 (vertical, horizontal) in
            [0, 1), where 0 is the top or left edge; a uniform draw hits all
            positions equally often. None (default) crops the centre.
        resize_filter: one of `RESIZE_FILTERS`, or an int32 scalar tensor, its
            number among them.

    Returns:
        uint8 [size, size, c].
    """
    found = tf.shape(image)[:2]
    shape = tf.cast(found, tf.float64)
    scale = tf.cast(side, tf.float64) / tf.reduce_min(shape)
    target = tf.maximum(tf.cast(tf.round(shape * scale), tf.int32), side)
    room = target - size
    if fractions is None:
        offset = room // 2
    else:
        drawn = tf.stack(fractions) * tf.cast(room + 1, tf.float32)
        offset = tf.minimum(tf.cast(drawn, tf.int32), room)

    def cut():
        begin = tf.concat([offset, [0]], 0)
        return tf.slice(image, begin, [size, size, -1])

    def scaled(kernel):
        return tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=[size, size],
            scale=tf.cast(target / found, tf.float32),
            translation=-tf.cast(offset, tf.float32),
            kernel_type=kernel,
        )

    def resized():
        if isinstance(resize_filter, str):
            return _rounded(scaled(RESIZE_FILTERS[resize_filter])[0])
        branches = [
            functools.partial(scaled, kernel)
            for kernel in RESIZE_FILTERS.values()
        ]
        return _rounded(tf.switch_case(resize_filter, branches)[0])

    return tf.cond(tf.reduce_all(found == target), cut, resized)


def _rounded(image):
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


# A graph: run eagerly, the few small operations take three times as long as
# the resizing itself.
@functools.cache
def _central_square(resize_filter):
    return tf.function(
        lambda image, size: resized_square(
            image, size, size, resize_filter=resize_filter
        ),
        input_signature=[
            tf.TensorSpec([None, None, None], tf.uint8),
            tf.TensorSpec([], tf.int32),
        ],
        autograph=False,
    )


def resize_and_crop(
    image: np.ndarray | tf.Tensor, size: int, resize_filter: str = "bilinear"
) -> tf.Tensor:
    """Resizes the shorter side to `size` and crops the central square.

    Smaller pictures are enlarged. Evaluation preprocesses pictures this way.

    Args:
        image: uint8 [height, width, channels].
        size: side of the result in pixels.
        resize_filter: "bilinear" (default), "bicubic", "lanczos" or "box", all
            antialiased.

    Returns:
        A uint8 tensor [size, size, channels].

    Raises:
        ValueError: `image` is not a uint8 picture, or `size` is not positive
            or exceeds `data.pictures.files.MAX_PIXELS` pixels.

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
    if check_positive("size", size) ** 2 > picture_files.MAX_PIXELS:
        raise ValueError(
            "size must be the side of a square of at most "
            f"{picture_files.MAX_PIXELS:,} pixels. Received: {size}."
        )
    check_choice("resize_filter", resize_filter, RESIZE_FILTERS)
    if 0 in image.shape:
        raise ValueError(
            "A picture with at least one pixel was expected. "
            f"Received: shape {image.shape}."
        )
    if image.shape[:2] == (size, size):
        return image
    square = _central_square(resize_filter)(image, size)
    return tf.ensure_shape(square, [size, size, image.shape[-1]])
