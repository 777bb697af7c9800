"""The pictures that a model takes: their size and channels."""

import dataclasses
import os

import keras
import numpy as np
import tensorflow as tf

from vqvae_tf.data.decoding import load_picture, resize_and_crop
from vqvae_tf.utils.messages import with_article


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

    def load(self, path: str | os.PathLike) -> np.ndarray:
        """Reads a picture file as the model takes it; see `load_picture`."""
        return self.fit(load_picture(path, self.size, self.channels))

    def fit_all(self, images: np.ndarray) -> np.ndarray:
        """Brings uint8 `[n, height, width, channels]` to this format."""
        side = self.size
        if side is not None and images.shape[1:3] != (side, side):
            images = np.stack([fitted(image, self) for image in images])
        return self.fit(images)

    def fit(self, images: np.ndarray) -> np.ndarray:
        """Crops uint8 `[..., height, width, channels]` unless `size` is set."""
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


def fitted(image: np.ndarray | tf.Tensor, form: PictureFormat) -> tf.Tensor:
    """Brings uint8 `[height, width, channels]` to a format, as a tensor."""
    if form.size is not None:
        return resize_and_crop(image, form.size)
    size = tf.shape(image)[:2]
    cut = size - size % form.stride
    top = (size - cut) // 2
    return tf.slice(image, [top[0], top[1], 0], [cut[0], cut[1], -1])


def picture_format(model: keras.Model, metadata: dict) -> PictureFormat:
    """Returns the format of the pictures that a preset's model takes.

    Args:
        model: a `VQVAE`, or one that is built on it.
        metadata: the preset's; its `data` decide the size, if they name one.

    Raises:
        ValueError: if the model's data are not pictures, or it does not encode
            them.
    """
    autoencoder = model.autoencoder
    shape = autoencoder.event_shape
    if not hasattr(autoencoder, "downsampling"):
        raise ValueError(
            "Expected the preset of an autoencoder of pictures, or of a model "
            f"built on one. Received: {with_article(model)}, which has neither "
            "codes nor latents of pictures."
        )
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(
            "Expected a preset whose model takes pictures [height, width, 3 "
            f"or 1]. Received: one for data of shape {shape}, whose encode and "
            "reconstruct can be called from Python."
        )
    description, size = metadata.get("data"), None
    if isinstance(description, dict):
        size = description.get("image_size")
    if size is None and shape[0] == shape[1]:
        size = shape[0]
    return PictureFormat(size, shape[-1], autoencoder.downsampling)
